/* See vmdk.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmdk.h"

#define FIRST_LINE "# Disk DescriptorFile"
#define TEXT_MAX 65536

VixError vmdk_text(const char *path, char **text, char *folder, size_t size) {
	*text = NULL;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return lab_from_errno(errno);
	char *read = calloc(1, TEXT_MAX + 1);
	ssize_t n = read ? pread(fd, read, TEXT_MAX, 0) : -1;
	int number = errno;
	close(fd);
	if (n < 0) {
		free(read);
		return read ? lab_from_errno(number) : VIX_OUT_OF_MEMORY;
	}
	if (strncmp(read, FIRST_LINE, strlen(FIRST_LINE)) != 0) {
		free(read);
		return VIX_OK;
	}
	const char *slash = strrchr(path, '/');
	snprintf(folder, size, "%.*s", slash ? (int)(slash - path) + 1 : 2, slash ? path : "./");
	*text = read;
	return VIX_OK;
}

static bool is_extent(const char *line) {
	return strncmp(line, "RW ", 3) == 0 || strncmp(line, "RDONLY ", 7) == 0 || strncmp(line, "NOACCESS ", 9) == 0;
}

VixError vmdk_extents(const char *folder, char *text, vmdk_visit visit, void *data) {
	VixError err = VIX_OK;
	char *rest = NULL;
	for (char *line = strtok_r(text, "\r\n", &rest); line && err == VIX_OK; line = strtok_r(NULL, "\r\n", &rest)) {
		char access[16], type[16], name[1024], path[4096 + 1024];
		unsigned long long count, offset = 0;
		line += strspn(line, " \t");
		if (!is_extent(line))
			continue;
		if (sscanf(line, "%15s %llu %15s \"%1023[^\"]\" %llu", access, &count, type, name, &offset) < 4 || count == 0 ||
		    count > INT64_MAX / VIX_SECTOR_SIZE || offset > INT64_MAX / VIX_SECTOR_SIZE - count)
			return VIX_DISK_INVAL;
		if (strcmp(type, "VMFS") != 0 && strcmp(type, "FLAT") != 0)
			return VIX_DISK_NOTSUPPORTED;
		snprintf(path, sizeof path, "%s%s", name[0] == '/' ? "" : folder, name);
		err = visit(data, path, count, offset);
	}
	return err;
}

/* The value of a key's line, without quotes. */
static bool value_of(const char *text, const char *key, char *value, size_t size) {
	for (const char *line = text; line; line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
		size_t n = strlen(key);
		const char *at = line + strspn(line, " \t");
		if (strncmp(at, key, n) != 0)
			continue;
		at += n;
		at += strspn(at, " \t");
		if (*at != '=')
			continue;
		at += 1 + strspn(at + 1, " \t\"");
		snprintf(value, size, "%.*s", (int)strcspn(at, "\"\r\n"), at);
		return true;
	}
	return false;
}

static VixError open_locked(const char *path, bool read_only, int *fd, uint64_t *sectors) {
	struct stat st;
	*fd = open(path, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
	if (*fd < 0) {
		int number = errno;
		lab_log("cannot open %s: %s\n", path, strerror(number));
		return lab_from_errno(number);
	}
	VixError err = VIX_OK;
	if (fstat(*fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size % VIX_SECTOR_SIZE)
		err = VIX_INCORRECT_FILE_TYPE;
	else if (flock(*fd, (read_only ? LOCK_SH : LOCK_EX) | LOCK_NB) != 0)
		err = VIX_FILE_ALREADY_LOCKED;
	if (err != VIX_OK)
		close(*fd);
	else
		*sectors = (uint64_t)st.st_size / VIX_SECTOR_SIZE;
	return err;
}

struct opening {
	struct vmdk *vmdk;
	bool read_only;
};

static VixError open_extent(void *data, const char *path, uint64_t count, uint64_t offset) {
	struct opening *opening = data;
	struct vmdk *vmdk = opening->vmdk;
	uint64_t sectors = 0;
	if (vmdk->count == VMDK_EXTENTS || count > UINT64_MAX - vmdk->capacity)
		return VIX_DISK_NOTSUPPORTED;
	struct vmdk_extent *extent = &vmdk->extents[vmdk->count];
	VixError err = open_locked(path, opening->read_only, &extent->fd, &sectors);
	if (err != VIX_OK)
		return err;
	extent->start = vmdk->capacity;
	extent->count = count ? count : sectors;
	extent->offset = offset;
	vmdk->count++;
	vmdk->capacity += extent->count;
	if (sectors >= offset + extent->count)
		return VIX_OK;
	lab_warn("%s is shorter than its descriptor says\n", path);
	return VIX_DISK_INVAL;
}

static VixError open_descriptor(const char *folder, char *text, struct opening *opening) {
	char value[64] = "";
	struct vmdk *vmdk = opening->vmdk;
	if (value_of(text, "parentCID", value, sizeof value) && strcasecmp(value, "ffffffff") != 0) {
		lab_warn("the disk is a link to a parent: the laboratory opens base disks only\n");
		return VIX_DISK_NOTSUPPORTED;
	}
	if (value_of(text, "ddb.adapterType", value, sizeof value))
		vmdk->adapter = strcmp(value, "ide") == 0 ? 1 : strcmp(value, "buslogic") == 0 ? 2 : 3;
	value_of(text, "ddb.uuid", vmdk->uuid, sizeof vmdk->uuid);
	VixError err = vmdk_extents(folder, text, open_extent, opening);
	return err == VIX_OK && vmdk->count == 0 ? VIX_DISK_INVAL : err;
}

VixError vmdk_open(const char *path, bool read_only, struct vmdk *vmdk) {
	char *text, folder[4096];
	*vmdk = (struct vmdk){.adapter = 3};
	struct opening opening = {.vmdk = vmdk, .read_only = read_only};
	VixError err = vmdk_text(path, &text, folder, sizeof folder);
	if (err == VIX_OK)
		err = text ? open_descriptor(folder, text, &opening) : open_extent(&opening, path, 0, 0);
	free(text);
	if (err != VIX_OK)
		vmdk_close(vmdk);
	return err;
}

void vmdk_close(struct vmdk *vmdk) {
	for (int i = 0; i < vmdk->count; i++)
		close(vmdk->extents[i].fd);
	vmdk->count = 0;
}

const struct vmdk_extent *vmdk_at(const struct vmdk *vmdk, uint64_t sector) {
	int i = 0;
	while (sector >= vmdk->extents[i].start + vmdk->extents[i].count)
		i++;
	return &vmdk->extents[i];
}
