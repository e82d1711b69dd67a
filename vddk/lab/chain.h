/*
 * A disk of the laboratory in its files, as docs/laboratory.md lays them out: the
 * present content, the layers of its snapshots, the changes. Readers take no lock,
 * writers the disk's own; both see the changes of other processes. A chain takes one
 * call at a time.
 */
#ifndef IVD_LAB_CHAIN_H
#define IVD_LAB_CHAIN_H

#include "lab.h"

#define CHAIN_BLOCK 65536u

struct chain;

/* descriptor ends in ".vmdk"; snapshot empty: the present content. */
VixError chain_open(const char *descriptor, const char *snapshot, bool write, struct chain **chain);
void chain_close(struct chain *chain);
uint64_t chain_size(const struct chain *chain); /* bytes */
int chain_links(const struct chain *chain);
int chain_snapshots(const struct chain *chain);
bool chain_tracks(const struct chain *chain); /* its changes */
VixError chain_read(struct chain *chain, uint8_t *buffer, size_t size, uint64_t offset);
VixError chain_write(struct chain *chain, const uint8_t *buffer, size_t size, uint64_t offset);
VixError chain_flush(struct chain *chain);
/* The blocks in [from, to) that have data. */
typedef void (*chain_found)(void *data, uint64_t from, uint64_t to);
VixError chain_allocated(struct chain *chain, uint64_t from, uint64_t to, chain_found found, void *data);

#endif
