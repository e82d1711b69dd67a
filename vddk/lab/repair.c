/*
 * CheckRepair, for local files: a raw image, or a descriptor with flat extents
 * beside it. A wrong text cannot be repaired; an extent whose length differs from
 * the text can.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "faults.h"

#define FIRST_LINE "# Disk DescriptorFile"
#define TEXT_MAX 65536

struct descriptor {
	char folder[4096]; /* ends in a slash */
	FILE *mended; /* the text as it should be */
	bool version, cid, type;
	int extents, wrong, hopeless;
};

static bool is_key(const char *line, const char *key) {
	size_t n = strlen(key);
	return strncasecmp(line, key, n) == 0 && line[n + strspn(line + n, " \t")] == '=';
}

/* "RW 2048 VMFS "x-flat.vmdk"", and for FLAT an offset in sectors. */
static VixError extent(struct descriptor *d, const char *line) {
	char access[16], type[16], name[1024], path[4096 + 1024 + 2];
	unsigned long long sectors, offset = 0;
	struct stat st;
	if (sscanf(line, "%15s %llu %15s \"%1023[^\"]\" %llu", access, &sectors, type, name, &offset) < 4 || sectors == 0 ||
	    sectors > INT64_MAX / VIX_SECTOR_SIZE || offset > INT64_MAX / VIX_SECTOR_SIZE - sectors)
		return VIX_DISK_INVAL;
	if (strcmp(type, "VMFS") != 0 && strcmp(type, "FLAT") != 0)
		return VIX_DISK_NOTSUPPORTED;
	d->extents++;
	snprintf(path, sizeof path, "%s%s", name[0] == '/' ? "" : d->folder, name);
	if (stat(path, &st) != 0)
		return lab_from_errno(errno);
	unsigned long long there = (unsigned long long)st.st_size / VIX_SECTOR_SIZE;
	bool right = there == sectors + offset && st.st_size % VIX_SECTOR_SIZE == 0;
	d->wrong += !right;
	d->hopeless += !right && (there <= offset || st.st_size % VIX_SECTOR_SIZE != 0);
	fprintf(d->mended, "%s %llu %s \"%s\"", access, right || there <= offset ? sectors : there - offset, type, name);
	fprintf(d->mended, offset ? " %llu\n" : "\n", offset);
	return VIX_OK;
}

static VixError take_line(struct descriptor *d, const char *line) {
	const char *text = line + strspn(line, " \t");
	static const char *const accesses[] = {"RW ", "RDONLY ", "NOACCESS "};
	for (size_t i = 0; i < sizeof accesses / sizeof accesses[0]; i++)
		if (strncmp(text, accesses[i], strlen(accesses[i])) == 0)
			return extent(d, text);
	fprintf(d->mended, "%s\n", line);
	if (*text == 0 || *text == '#')
		return VIX_OK;
	const char *equals = strchr(text, '=');
	if (!equals || equals == text)
		return VIX_DISK_INVAL;
	if (is_key(text, "version")) {
		d->version = true;
		long version = strtol(equals + 1, NULL, 10);
		return version >= 1 && version <= 4 ? VIX_OK : VIX_DISK_UNSUPPORTEDVERSION;
	}
	d->cid = d->cid || is_key(text, "CID");
	d->type = d->type || is_key(text, "createType");
	return VIX_OK;
}

static VixError take_text(struct descriptor *d, char *text) {
	VixError err = VIX_OK;
	for (char *line = text; line && err == VIX_OK;) {
		char *end = strchr(line, '\n');
		if (end)
			*end = 0;
		line[strcspn(line, "\r")] = 0;
		if (end || *line)
			err = take_line(d, line);
		line = end ? end + 1 : NULL;
	}
	if (err == VIX_OK && !(d->version && d->cid && d->type && d->extents > 0))
		err = VIX_DISK_INVAL;
	return err;
}

/* Replaces the file at once, with the same permissions. */
static VixError put(const char *file, const char *text, size_t length) {
	char made[4096 + 8];
	struct stat st;
	if (stat(file, &st) != 0 || snprintf(made, sizeof made, "%s.new", file) >= (int)sizeof made)
		return VIX_FILE_ERROR;
	int fd = open(made, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, st.st_mode & 0777);
	if (fd < 0)
		return lab_from_errno(errno);
	VixError err = write(fd, text, length) == (ssize_t)length && fsync(fd) == 0 ? VIX_OK : lab_from_errno(errno);
	close(fd);
	if (err == VIX_OK && rename(made, file) != 0)
		err = lab_from_errno(errno);
	if (err != VIX_OK)
		unlink(made);
	return err;
}

static VixError check_descriptor(const char *file, char *text, bool repair) {
	struct descriptor d = {0};
	char *mended = NULL;
	size_t length = 0;
	const char *slash = strrchr(file, '/');
	snprintf(d.folder, sizeof d.folder, "%.*s", slash ? (int)(slash - file) + 1 : 2, slash ? file : "./");
	d.mended = open_memstream(&mended, &length);
	if (!d.mended)
		return VIX_OUT_OF_MEMORY;
	VixError err = take_text(&d, text);
	if (fclose(d.mended) != 0 && err == VIX_OK)
		err = VIX_OUT_OF_MEMORY;
	if (err == VIX_OK && d.wrong > 0) {
		lab_warn("%s: %d of %d extents have another length than the descriptor says\n", file, d.wrong, d.extents);
		err = !repair ? VIX_DISK_NEEDSREPAIR : d.hopeless ? VIX_DISK_CANTREPAIR : put(file, mended, length);
	}
	free(mended);
	return err;
}

/* The beginning of a file, as a text to be freed; *size is the file's. */
static VixError read_beginning(const char *file, char **text, off_t *size) {
	struct stat st;
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return lab_from_errno(errno);
	VixError err = VIX_OK;
	*text = calloc(1, TEXT_MAX + 1);
	if (!*text)
		err = VIX_OUT_OF_MEMORY;
	else if (fstat(fd, &st) != 0 || pread(fd, *text, TEXT_MAX, 0) < 0)
		err = lab_from_errno(errno);
	else
		*size = S_ISREG(st.st_mode) ? st.st_size : -1;
	close(fd);
	return err;
}

API VixError VixDiskLib_CheckRepair(VixConnection *connection, const char *file, VixBool repair) {
	LAB_STAY;
	lab_needs_connection(connection, "VixDiskLib_CheckRepair");
	lab_needs(file, "VixDiskLib_CheckRepair", "the file");
	VixError err = lab_fault_for(connection->params, "CheckRepair");
	if (err != VIX_OK)
		return err;
	if (connection->transport_error != VIX_OK || connection->modes.list[0] != LAB_FILE)
		return VIX_NOT_SUPPORTED;
	if (repair && connection->read_only)
		return VIX_FILE_READ_ONLY;
	char *text = NULL;
	off_t size = 0;
	err = read_beginning(file, &text, &size);
	if (err == VIX_OK && strncmp(text, FIRST_LINE, strlen(FIRST_LINE)) == 0)
		err = size <= TEXT_MAX && strlen(text) == (size_t)size ? check_descriptor(file, text, repair) : VIX_DISK_INVAL;
	else if (err == VIX_OK && (size <= 0 || size % VIX_SECTOR_SIZE != 0))
		err = VIX_INCORRECT_FILE_TYPE;
	free(text);
	return err;
}
