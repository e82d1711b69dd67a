/* See chain.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "chain.h"

#define PIECE (16 * CHAIN_BLOCK)
#define META_MAX (1 << 20)

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

static void close_layers(struct layer *layers, int count) {
	for (int i = 0; i < count; i++) {
		close(layers[i].bits);
		close(layers[i].data);
	}
	free(layers);
}

static int open_file(const struct chain *chain, const char *folder, const char *name, int flags) {
	char path[5120];
	snprintf(path, sizeof path, "%s%s%s", chain->base, folder, name);
	return open(path, flags | O_CLOEXEC, 0600);
}

static bool add_layer(const struct chain *chain, struct layer **layers, int *count, const char *id) {
	struct layer *more = realloc(*layers, (size_t)(*count + 1) * sizeof **layers);
	if (!more)
		return false;
	*layers = more;
	struct layer *made = &more[*count];
	int flags = chain->write ? O_RDWR : O_RDONLY;
	char name[128];
	snprintf(made->id, sizeof made->id, "%.79s", id);
	snprintf(name, sizeof name, "snap-%s.map", made->id);
	made->bits = open_file(chain, ".ivd/", name, flags);
	snprintf(name, sizeof name, "snap-%s.data", made->id);
	made->data = open_file(chain, ".ivd/", name, flags);
	if (made->bits >= 0 && made->data >= 0) {
		(*count)++;
		return true;
	}
	if (made->bits >= 0)
		close(made->bits);
	if (made->data >= 0)
		close(made->data);
	return false;
}

static bool take_meta(struct chain *chain, char *text, struct layer **layers, int *count) {
	char *rest = text, *line, id[80];
	unsigned long long number;
	while ((line = strsep(&rest, "\n"))) {
		if (sscanf(line, "epoch %llu", &number) == 1)
			chain->epoch = number;
		else if (strncmp(line, "cbt ", 4) == 0)
			chain->cbt = line[4] == '1';
		else if (sscanf(line, "snapshot %79s %llu", id, &number) == 2 && !add_layer(chain, layers, count, id))
			return false;
	}
	return true;
}

static char *read_all(int fd) {
	struct stat st;
	if (fstat(fd, &st) != 0 || st.st_size > META_MAX)
		return NULL;
	char *text = calloc(1, (size_t)st.st_size + 1);
	if (text && pread(fd, text, (size_t)st.st_size, 0) != st.st_size) {
		free(text);
		return NULL;
	}
	return text;
}

/* A snapshot that goes while its files are opened means that meta is another by
 * now: then it is read again. */
static VixError load_once(struct chain *chain) {
	int meta = open_file(chain, ".ivd/", "meta", O_RDONLY);
	if (meta < 0)
		return lab_from_errno(errno);
	struct layer *layers = NULL;
	int count = 0, changes = -1;
	char *text = read_all(meta);
	bool good = text && take_meta(chain, text, &layers, &count);
	free(text);
	if (good && chain->cbt && chain->write) {
		char name[64];
		snprintf(name, sizeof name, "changes-%llu", (unsigned long long)chain->epoch);
		changes = open_file(chain, ".ivd/", name, O_RDWR | O_CREAT);
		good = changes >= 0;
	}
	if (!good) {
		close_layers(layers, count);
		close(meta);
		return VIX_FILE_ERROR;
	}
	close_layers(chain->layers, chain->count);
	if (chain->meta >= 0)
		close(chain->meta);
	if (chain->changes >= 0)
		close(chain->changes);
	chain->meta = meta;
	chain->changes = changes;
	chain->layers = layers;
	chain->own = chain->count = count;
	for (int i = 0; i < count && *chain->snapshot; i++)
		if (strcmp(layers[i].id, chain->snapshot) == 0)
			chain->own = i;
	return *chain->snapshot && chain->own == count ? 16008 : VIX_OK;
}

static VixError load(struct chain *chain) {
	VixError err = VIX_FILE_ERROR;
	for (int again = 0; again < 100 && err == VIX_FILE_ERROR; again++)
		err = load_once(chain);
	return err;
}

static bool stale(const struct chain *chain) {
	char path[5120];
	struct stat now, then;
	snprintf(path, sizeof path, "%s.ivd/meta", chain->base);
	return stat(path, &now) != 0 || fstat(chain->meta, &then) != 0 || now.st_ino != then.st_ino || now.st_dev != then.st_dev;
}

VixError chain_open(const char *descriptor, const char *snapshot, bool write, struct chain **out) {
	size_t n = strlen(descriptor);
	if (n < 6 || n >= sizeof(((struct chain *)0)->base) || strcmp(descriptor + n - 5, ".vmdk") != 0)
		return VIX_INVALID_ARG;
	struct chain *chain = calloc(1, sizeof *chain);
	if (!chain)
		return VIX_OUT_OF_MEMORY;
	snprintf(chain->base, sizeof chain->base, "%.*s", (int)(n - 5), descriptor);
	snprintf(chain->snapshot, sizeof chain->snapshot, "%s", snapshot ? snapshot : "");
	chain->write = write;
	chain->meta = chain->changes = -1;
	chain->content = open_file(chain, "", "-flat.vmdk", write ? O_RDWR : O_RDONLY);
	chain->lock = open_file(chain, ".ivd/", "lock", O_RDWR | O_CREAT);
	struct stat st;
	VixError err = VIX_OK;
	if (chain->content < 0 || chain->lock < 0 || fstat(chain->content, &st) != 0)
		err = lab_from_errno(errno);
	else if (st.st_size % VIX_SECTOR_SIZE != 0)
		err = VIX_INCORRECT_FILE_TYPE;
	if (err == VIX_OK) {
		chain->size = (uint64_t)st.st_size;
		err = load(chain);
	}
	if (err != VIX_OK) {
		chain_close(chain);
		return err;
	}
	*out = chain;
	return VIX_OK;
}

void chain_close(struct chain *chain) {
	int files[] = {chain->content, chain->lock, chain->meta, chain->changes};
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
		if (files[i] >= 0)
			close(files[i]);
	close_layers(chain->layers, chain->count);
	free(chain);
}

uint64_t chain_size(const struct chain *chain) {
	return chain->size;
}

int chain_links(const struct chain *chain) {
	return chain->own + 1;
}

int chain_snapshots(const struct chain *chain) {
	return chain->count;
}

bool chain_tracks(const struct chain *chain) {
	return chain->cbt;
}

/* What is beyond a file's end is zeros. */
static VixError read_zero(int fd, void *buffer, size_t size, uint64_t offset) {
	uint8_t *at = buffer;
	while (size > 0) {
		ssize_t n = pread(fd, at, size, (off_t)offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return lab_from_errno(errno);
		if (n == 0) {
			memset(at, 0, size);
			return VIX_OK;
		}
		at += n;
		offset += (uint64_t)n;
		size -= (size_t)n;
	}
	return VIX_OK;
}

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

#define WINDOW 32768 /* blocks that are looked at together */

/* The layers that have saved blocks for this snapshot, the oldest counting; -1:
 * none has. *any: one has. */
static VixError owners_of(const struct chain *chain, uint64_t from, uint64_t to, int16_t *owners, bool *any) {
	uint8_t bits[WINDOW / 8 + 1];
	uint64_t first = from / 8, bytes = (to - 1) / 8 - first + 1;
	memset(owners, 0xff, (to - from) * sizeof *owners);
	*any = false;
	for (int i = chain->count - 1; i >= chain->own; i--) {
		VixError err = read_zero(chain->layers[i].bits, bits, bytes, first);
		if (err != VIX_OK)
			return err;
		for (uint64_t b = from; b < to; b++) {
			if (b % 8 == 0 && bits[b / 8 - first] == 0) {
				b += 7;
				continue;
			}
			if (bits[b / 8 - first] & (1 << b % 8)) {
				owners[b - from] = (int16_t)i;
				*any = true;
			}
		}
	}
	return VIX_OK;
}

/* Where the run of blocks that begins with owners[from] ends. */
static uint64_t run_end(const int16_t *owners, uint64_t from, uint64_t count) {
	uint64_t end = from + 1;
	while (end < count && owners[end] == owners[from])
		end++;
	return end;
}

/* Of a range, what layers have. */
static VixError read_saved(const struct chain *chain, const int16_t *owners, uint64_t first, uint64_t count, uint8_t *buffer,
			   size_t size, uint64_t offset) {
	for (uint64_t run = 0; run < count;) {
		uint64_t end = run_end(owners, run, count);
		uint64_t from = (first + run) * CHAIN_BLOCK, to = (first + end) * CHAIN_BLOCK;
		if (from < offset)
			from = offset;
		if (to > offset + size)
			to = offset + size;
		if (owners[run] >= 0) {
			VixError err = read_zero(chain->layers[owners[run]].data, buffer + (from - offset), to - from, from);
			if (err != VIX_OK)
				return err;
		}
		run = end;
	}
	return VIX_OK;
}

/* Bits, then the present content, then whether there is a younger snapshot by now,
 * then the bits again: what somebody has saved meanwhile is the snapshot's. */
static VixError read_range(struct chain *chain, uint8_t *buffer, size_t size, uint64_t offset) {
	int16_t owners[PIECE / CHAIN_BLOCK + 1];
	uint64_t first = offset / CHAIN_BLOCK, count = (offset + size - 1) / CHAIN_BLOCK - first + 1;
	bool any;
	for (int again = 0; again < 1000; again++) {
		VixError err = owners_of(chain, first, first + count, owners, &any);
		if (err != VIX_OK)
			return err;
		if (any && run_end(owners, 0, count) == count)
			return read_saved(chain, owners, first, count, buffer, size, offset);
		err = read_zero(chain->content, buffer, size, offset);
		if (err == VIX_OK && stale(chain)) {
			err = load(chain);
			if (err == VIX_OK)
				continue;
		}
		if (err == VIX_OK)
			err = owners_of(chain, first, first + count, owners, &any);
		return err == VIX_OK ? read_saved(chain, owners, first, count, buffer, size, offset) : err;
	}
	return VIX_FILE_ERROR;
}

VixError chain_read(struct chain *chain, uint8_t *buffer, size_t size, uint64_t offset) {
	if (!*chain->snapshot)
		return read_zero(chain->content, buffer, size, offset);
	while (size > 0) {
		size_t n = size < PIECE ? size : PIECE;
		VixError err = read_range(chain, buffer, n, offset);
		if (err != VIX_OK)
			return err;
		buffer += n;
		offset += n;
		size -= n;
	}
	return VIX_OK;
}

static VixError set_bits(int fd, uint64_t from, uint64_t to) {
	for (uint64_t block = from; block < to; block++) {
		uint8_t bits;
		VixError err = read_zero(fd, &bits, 1, block / 8);
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

/* Into the youngest layer: data first, then the bit; zeros stay a hole. */
static VixError preserve(struct chain *chain, uint64_t from, uint64_t to) {
	struct layer *layer = &chain->layers[chain->count - 1];
	uint8_t block[CHAIN_BLOCK], bits;
	for (uint64_t b = from; b < to; b++) {
		VixError err = read_zero(layer->bits, &bits, 1, b / 8);
		if (err == VIX_OK && (bits & (1 << b % 8)))
			continue;
		uint64_t at = b * CHAIN_BLOCK, left = chain->size - at;
		size_t size = left < CHAIN_BLOCK ? left : CHAIN_BLOCK;
		if (err == VIX_OK)
			err = read_zero(chain->content, block, size, at);
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

/* As a guest writes: under the disk's lock, saved first, marked next. */
VixError chain_write(struct chain *chain, const uint8_t *buffer, size_t size, uint64_t offset) {
	while (flock(chain->lock, LOCK_EX) != 0)
		if (errno != EINTR)
			return lab_from_errno(errno);
	VixError err = stale(chain) ? load(chain) : VIX_OK;
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

/* The extent of data at or after a place, remembered. */
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
	VixError err = owners_of(chain, first, last, look->owners, &any);
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
