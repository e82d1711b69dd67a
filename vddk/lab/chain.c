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

/* The layer that has saved a block for this snapshot; -1: none has. */
static VixError owner_of(const struct chain *chain, uint64_t block, int *owner) {
	*owner = -1;
	for (int i = chain->own; i < chain->count; i++) {
		uint8_t bits = 0;
		VixError err = read_zero(chain->layers[i].bits, &bits, 1, block / 8);
		if (err != VIX_OK)
			return err;
		if (bits & (1 << block % 8)) {
			*owner = i;
			return VIX_OK;
		}
	}
	return VIX_OK;
}

/* One block or a part of it: bits, then the present content, then whether there is
 * a younger snapshot by now, then the bits again. */
static VixError read_block(struct chain *chain, uint8_t *buffer, size_t size, uint64_t offset) {
	for (int again = 0; again < 1000; again++) {
		int owner;
		VixError err = owner_of(chain, offset / CHAIN_BLOCK, &owner);
		if (err == VIX_OK && owner < 0) {
			err = read_zero(chain->content, buffer, size, offset);
			if (err == VIX_OK && stale(chain)) {
				err = load(chain);
				if (err == VIX_OK)
					continue;
			}
			if (err == VIX_OK)
				err = owner_of(chain, offset / CHAIN_BLOCK, &owner);
		}
		if (err == VIX_OK && owner >= 0)
			err = read_zero(chain->layers[owner].data, buffer, size, offset);
		return err;
	}
	return VIX_FILE_ERROR;
}

VixError chain_read(struct chain *chain, uint8_t *buffer, size_t size, uint64_t offset) {
	if (!*chain->snapshot)
		return read_zero(chain->content, buffer, size, offset);
	while (size > 0) {
		size_t n = CHAIN_BLOCK - offset % CHAIN_BLOCK;
		if (n > size)
			n = size;
		VixError err = read_block(chain, buffer, n, offset);
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

VixError chain_allocated(struct chain *chain, uint64_t from, uint64_t to,
			 void (*found)(void *data, uint64_t from, uint64_t to), void *data) {
	int layers = chain->count - chain->own;
	struct extent *extents = calloc((size_t)layers + 1, sizeof *extents);
	if (!extents)
		return VIX_OUT_OF_MEMORY;
	for (int i = 0; i < layers; i++)
		extents[i].fd = chain->layers[chain->own + i].data;
	extents[layers].fd = chain->content;
	VixError err = VIX_OK;
	for (uint64_t at = from; at < to && err == VIX_OK;) {
		uint64_t end = (at / CHAIN_BLOCK + 1) * CHAIN_BLOCK;
		int owner;
		err = owner_of(chain, at / CHAIN_BLOCK, &owner);
		if (err == VIX_OK && has_data(&extents[owner < 0 ? layers : owner - chain->own], at, end))
			found(data, at, end < to ? end : to);
		at = end;
	}
	free(extents);
	return err;
}
