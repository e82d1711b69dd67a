/* See chain.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "chain_files.h"

#define META_MAX (1 << 20)

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

/* When a snapshot is deleted while its files are opened, meta has been replaced and
 * is read again. */
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

VixError chain_load(struct chain *chain) {
	VixError err = VIX_FILE_ERROR;
	for (int again = 0; again < 100 && err == VIX_FILE_ERROR; again++)
		err = load_once(chain);
	return err;
}

bool chain_stale(const struct chain *chain) {
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
		err = chain_load(chain);
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
VixError chain_read_zero(int fd, void *buffer, size_t size, uint64_t offset) {
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

/* For each block the oldest layer that has saved it for this snapshot, or -1. *any:
 * whether there is one. */
VixError chain_owners(const struct chain *chain, uint64_t from, uint64_t to, int16_t *owners, bool *any) {
	uint8_t bits[WINDOW / 8 + 1];
	uint64_t first = from / 8, bytes = (to - 1) / 8 - first + 1;
	memset(owners, 0xff, (to - from) * sizeof *owners);
	*any = false;
	for (int i = chain->count - 1; i >= chain->own; i--) {
		VixError err = chain_read_zero(chain->layers[i].bits, bits, bytes, first);
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

/* The end of the run of blocks with the same owner as owners[from]. */
static uint64_t run_end(const int16_t *owners, uint64_t from, uint64_t count) {
	uint64_t end = from + 1;
	while (end < count && owners[end] == owners[from])
		end++;
	return end;
}

/* Reads the blocks of a range that layers have. */
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
			VixError err = chain_read_zero(chain->layers[owners[run]].data, buffer + (from - offset), to - from, from);
			if (err != VIX_OK)
				return err;
		}
		run = end;
	}
	return VIX_OK;
}

/* The order matters: the bits, the present content, whether there is a younger
 * snapshot by now, and the bits again. Blocks that another process has saved
 * meanwhile are the snapshot's. */
static VixError read_range(struct chain *chain, uint8_t *buffer, size_t size, uint64_t offset) {
	int16_t owners[PIECE / CHAIN_BLOCK + 1];
	uint64_t first = offset / CHAIN_BLOCK, count = (offset + size - 1) / CHAIN_BLOCK - first + 1;
	bool any;
	for (int again = 0; again < 1000; again++) {
		VixError err = chain_owners(chain, first, first + count, owners, &any);
		if (err != VIX_OK)
			return err;
		if (any && run_end(owners, 0, count) == count)
			return read_saved(chain, owners, first, count, buffer, size, offset);
		err = chain_read_zero(chain->content, buffer, size, offset);
		if (err == VIX_OK && chain_stale(chain)) {
			err = chain_load(chain);
			if (err == VIX_OK)
				continue;
		}
		if (err == VIX_OK)
			err = chain_owners(chain, first, first + count, owners, &any);
		return err == VIX_OK ? read_saved(chain, owners, first, count, buffer, size, offset) : err;
	}
	return VIX_FILE_ERROR;
}

VixError chain_read(struct chain *chain, uint8_t *buffer, size_t size, uint64_t offset) {
	if (!*chain->snapshot)
		return chain_read_zero(chain->content, buffer, size, offset);
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

