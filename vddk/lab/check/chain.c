/*
 * Exercises the reading and writing of the laboratory's files by itself, under
 * AddressSanitizer: a disk is made by hand, as docs/laboratory.md lays it out.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../chain.h"
#include "want.h"

#define SIZE (5 * CHAIN_BLOCK + 1536) /* the last block is a short one */
#define SNAPSHOTS 12

static uint8_t now[SIZE], then[SNAPSHOTS][SIZE], got[SIZE];

static void put_text(const char *path, const char *text) {
	FILE *file = fopen("chain.new", "w");
	fputs(text, file);
	fclose(file);
	if (rename("chain.new", path) != 0)
		abort();
}

static void empty(const char *path) {
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (fd < 0)
		abort();
	close(fd);
}

/* The snapshots [first, count) are there; the epoch is count + 1. */
static void meta(int first, int count) {
	char text[4096];
	int n = snprintf(text, sizeof text, "version 1\nseries x\nsince 1\nepoch %d\ncbt 1\n", count + 1);
	for (int i = first; i < count; i++)
		n += snprintf(text + n, sizeof text - (size_t)n, "snapshot s-%d %d x\n", i, i + 1);
	put_text("chain.ivd/meta", text);
}

static void snapshot(int number) {
	char path[64];
	snprintf(path, sizeof path, "chain.ivd/snap-s-%d.map", number);
	empty(path);
	snprintf(path, sizeof path, "chain.ivd/snap-s-%d.data", number);
	empty(path);
	meta(0, number + 1);
	memcpy(then[number], now, SIZE);
}

static void scribble(struct chain *chain, unsigned *seed) {
	uint64_t offset = (uint64_t)rand_r(seed) % (SIZE / 512) * 512;
	size_t most = SIZE - offset, size = ((size_t)rand_r(seed) % 300 + 1) * 512;
	if (size > most)
		size = most;
	memset(now + offset, rand_r(seed) % 4, size); /* zeros among them */
	WANT(chain_write(chain, now + offset, size, offset), VIX_OK);
}

static void compare(struct chain *chain, const uint8_t *want, unsigned *seed) {
	memset(got, 0xee, SIZE);
	for (uint64_t at = 0; at < SIZE;) {
		size_t n = ((size_t)rand_r(seed) % 400 + 1) * 512;
		if (n > SIZE - at)
			n = SIZE - at;
		WANT(chain_read(chain, got + at, n, at), VIX_OK);
		at += n;
	}
	WANT(memcmp(got, want, SIZE), 0);
}

static void cover(void *data, uint64_t from, uint64_t to) {
	memset((uint8_t *)data + from, 0, to - from);
}

/* What is not allocated is zero. */
static void compare_allocated(struct chain *chain, const uint8_t *want) {
	memcpy(got, want, SIZE);
	WANT(chain_allocated(chain, 0, SIZE, cover, got), VIX_OK);
	for (size_t i = 0; i < SIZE; i++)
		WANT(got[i], 0);
}

static int changed(int epoch, int block) {
	char path[64];
	uint8_t bits = 0;
	snprintf(path, sizeof path, "chain.ivd/changes-%d", epoch);
	int fd = open(path, O_RDONLY);
	if (fd >= 0 && pread(fd, &bits, 1, block / 8) < 0)
		abort();
	if (fd >= 0)
		close(fd);
	return bits >> block % 8 & 1;
}

int main(void) {
	struct chain *live, *old[SNAPSHOTS];
	unsigned seed = 7;
	mkdir("chain.ivd", 0700);
	empty("chain-flat.vmdk");
	WANT(truncate("chain-flat.vmdk", SIZE), 0);
	put_text("chain.vmdk", "");
	meta(0, 0);
	WANT(chain_open("chain.vmdk", "s-0", false, &live), 16008);
	WANT(chain_open("chain", "", true, &live), VIX_INVALID_ARG);
	WANT(chain_open("none.vmdk", "", true, &live), VIX_FILE_NOT_FOUND);
	WANT(chain_open("chain.vmdk", "", true, &live), VIX_OK);
	WANT(chain_size(live), SIZE);
	for (int i = 0; i < SNAPSHOTS; i++) {
		char id[16];
		for (int n = 0; n < 3; n++)
			scribble(live, &seed);
		snapshot(i); /* behind the writer's back, and before the eyes of older readers */
		snprintf(id, sizeof id, "s-%d", i);
		WANT(chain_open("chain.vmdk", id, false, &old[i]), VIX_OK);
		WANT(chain_links(old[i]), i + 1);
		for (int j = 0; j <= i; j++)
			compare(old[j], then[j], &seed);
	}
	scribble(live, &seed);
	for (int i = 0; i < SNAPSHOTS; i++) {
		compare(old[i], then[i], &seed);
		compare_allocated(old[i], then[i]);
	}
	compare(live, now, &seed);
	compare_allocated(live, now);
	meta(1, SNAPSHOTS); /* the oldest goes */
	WANT(chain_write(live, now, 512, 0), VIX_OK);
	WANT(changed(SNAPSHOTS + 1, 0), 1);
	for (int i = 1; i < SNAPSHOTS; i++) {
		compare(old[i], then[i], &seed);
		chain_close(old[i]);
	}
	chain_close(old[0]);
	WANT(chain_flush(live), VIX_OK);
	chain_close(live);
	puts("ok   chain");
	return 0;
}
