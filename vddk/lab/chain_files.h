/* chain.c finds, opens and reads a disk's files; chain_write.c writes them, and
 * tells which blocks have data. */
#ifndef IVD_LAB_CHAIN_FILES_H
#define IVD_LAB_CHAIN_FILES_H

#include "chain.h"

#define PIECE (16 * CHAIN_BLOCK)

struct layer {
	char id[80];
	int bits, data;
};

struct chain {
	char base[4096];
	char snapshot[80];
	bool write, cbt;
	int content, lock, changes;
	int meta; /* kept open: another file has another inode */
	uint64_t epoch, size;
	struct layer *layers; /* oldest first, all of the disk */
	int count;
	int own; /* the snapshot's place in layers; count for the present content */
};

#define WINDOW 32768 /* blocks that are looked at together */

/* Reads meta, and opens what it names. */
VixError chain_load(struct chain *chain);
/* Whether meta has been replaced: a snapshot was made or deleted. */
bool chain_stale(const struct chain *chain);
/* Zeros beyond the file's end. */
VixError chain_read_zero(int fd, void *buffer, size_t size, uint64_t offset);
/* For each of at most WINDOW blocks the oldest layer that has saved it for this
 * snapshot, or -1. *any: whether there is one. */
VixError chain_owners(const struct chain *chain, uint64_t from, uint64_t to, int16_t *owners, bool *any);

#endif
