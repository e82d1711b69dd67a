/* See chain_files.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "chain_files.h"

static VixError write_all(int fd, const void *buffer, size_t size, uint64_t offset) {
	const uint8_t *at = buffer;
	while (size > 0) {
		ssize_t n = pwrite(fd, at, size, (off_t)offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return lab_from_errno(errno);
		at += n;
		offset += (uint64_t)n;
		size -= (size_t)n;
	}
	return VIX_OK;
}

static VixError set_bits(int fd, uint64_t from, uint64_t to) {
	for (uint64_t block = from; block < to; block++) {
		uint8_t bits;
		VixError err = chain_read_zero(fd, &bits, 1, block / 8);
		uint8_t mask = (uint8_t)(1 << block % 8);
		if (err == VIX_OK && !(bits & mask)) {
			bits |= mask;
			err = write_all(fd, &bits, 1, block / 8);
		}
		if (err != VIX_OK)
			return err;
	}
	return VIX_OK;
}

static bool is_zero(const uint8_t *bytes, size_t size) {
	return size == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
}

/* Saves into the youngest layer, the data before the bit; zeros stay a hole. */
static VixError preserve(struct chain *chain, uint64_t from, uint64_t to) {
	struct layer *layer = &chain->layers[chain->count - 1];
	uint8_t block[CHAIN_BLOCK], bits;
	for (uint64_t b = from; b < to; b++) {
		VixError err = chain_read_zero(layer->bits, &bits, 1, b / 8);
		if (err == VIX_OK && (bits & (1 << b % 8)))
			continue;
		uint64_t at = b * CHAIN_BLOCK, left = chain->size - at;
		size_t size = left < CHAIN_BLOCK ? left : CHAIN_BLOCK;
		if (err == VIX_OK)
			err = chain_read_zero(chain->content, block, size, at);
		if (err == VIX_OK && !is_zero(block, size))
			err = write_all(layer->data, block, size, at);
		if (err == VIX_OK)
			err = set_bits(layer->bits, b, b + 1);
		if (err != VIX_OK)
			return err;
	}
	return VIX_OK;
}

static VixError put(struct chain *chain, const uint8_t *buffer, size_t size, uint64_t offset) {
	uint64_t from = offset / CHAIN_BLOCK, to = (offset + size + CHAIN_BLOCK - 1) / CHAIN_BLOCK;
	VixError err = chain->count ? preserve(chain, from, to) : VIX_OK;
	if (err == VIX_OK && chain->changes >= 0)
		err = set_bits(chain->changes, from, to);
	return err == VIX_OK ? write_all(chain->content, buffer, size, offset) : err;
}

/* A write, as of a guest: under the disk's lock, after the old content was saved and
 * the blocks marked as changed. */
VixError chain_write(struct chain *chain, const uint8_t *buffer, size_t size, uint64_t offset) {
	while (flock(chain->lock, LOCK_EX) != 0)
		if (errno != EINTR)
			return lab_from_errno(errno);
	VixError err = chain_stale(chain) ? chain_load(chain) : VIX_OK;
	while (err == VIX_OK && size > 0) {
		size_t n = size < PIECE ? size : PIECE;
		err = put(chain, buffer, n, offset);
		buffer += n;
		offset += n;
		size -= n;
	}
	flock(chain->lock, LOCK_UN);
	return err;
}

VixError chain_flush(struct chain *chain) {
	return fdatasync(chain->content) == 0 ? VIX_OK : lab_from_errno(errno);
}

/* The extent of data at or after an offset; the last one is remembered. */
struct extent {
	int fd;
	uint64_t start, end;
};

static bool has_data(struct extent *extent, uint64_t from, uint64_t to) {
	if (from >= extent->end) {
		off_t data = lseek(extent->fd, (off_t)from, SEEK_DATA);
		off_t hole = data < 0 ? -1 : lseek(extent->fd, data, SEEK_HOLE);
		if (data < 0 && errno != ENXIO) /* the file system does not know */
			data = (off_t)from;
		extent->start = data < 0 ? UINT64_MAX : (uint64_t)data;
		extent->end = hole < 0 ? UINT64_MAX : (uint64_t)hole;
	}
	return extent->start < to;
}

struct look {
	int16_t owners[WINDOW];
	struct extent extents[]; /* of each layer from the snapshot's on, and of the content */
};

static VixError look_at(const struct chain *chain, struct look *look, uint64_t from, uint64_t to, chain_found found, void *data) {
	int layers = chain->count - chain->own;
	uint64_t first = from / CHAIN_BLOCK, last = (to - 1) / CHAIN_BLOCK + 1;
	bool any;
	VixError err = chain_owners(chain, first, last, look->owners, &any);
	if (err != VIX_OK || (!any && !has_data(&look->extents[layers], from, to)))
		return err;
	for (uint64_t b = first; b < last; b++) {
		int owner = look->owners[b - first];
		uint64_t start = b * CHAIN_BLOCK, end = start + CHAIN_BLOCK;
		if (has_data(&look->extents[owner < 0 ? layers : owner - chain->own], start, end))
			found(data, start < from ? from : start, end > to ? to : end);
	}
	return VIX_OK;
}

VixError chain_allocated(struct chain *chain, uint64_t from, uint64_t to, chain_found found, void *data) {
	int layers = chain->count - chain->own;
	struct look *look = calloc(1, sizeof *look + ((size_t)layers + 1) * sizeof *look->extents);
	if (!look)
		return VIX_OUT_OF_MEMORY;
	for (int i = 0; i < layers; i++)
		look->extents[i].fd = chain->layers[chain->own + i].data;
	look->extents[layers].fd = chain->content;
	VixError err = VIX_OK;
	while (from < to && err == VIX_OK) {
		uint64_t end = (from / CHAIN_BLOCK / WINDOW + 1) * WINDOW * CHAIN_BLOCK;
		if (end > to)
			end = to;
		err = look_at(chain, look, from, end, found, data);
		from = end;
	}
	free(look);
	return err;
}
