/* Create and Unlink, for local disks only: a descriptor with one flat extent beside
 * it, of which the file system allocates what is written. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmdk.h"

/* Of the kinds of disks, the flat ones. */
enum { MONOLITHIC_FLAT = 2, VMFS_FLAT = 5, VMFS_THIN = 7 };

static VixError make_file(const char *path, uint64_t size, const char *text) {
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return lab_from_errno(errno);
	VixError err = VIX_OK;
	if (text ? write(fd, text, strlen(text)) != (ssize_t)strlen(text) : ftruncate(fd, (off_t)size) != 0)
		err = lab_from_errno(errno);
	close(fd);
	if (err != VIX_OK)
		unlink(path);
	return err;
}

static char *describe(const char *flat, const VixCreateParams *params) {
	static const char *const adapters[] = {"lsilogic", "ide", "buslogic", "lsilogic"};
	const char *slash = strrchr(flat, '/'), *adapter = adapters[params->adapterType > 0 && params->adapterType < 4 ? params->adapterType : 0];
	bool vmfs = params->diskType != MONOLITHIC_FLAT;
	char *text = NULL;
	if (asprintf(&text,
		     "# Disk DescriptorFile\nversion=1\nencoding=\"UTF-8\"\nCID=fffffffe\nparentCID=ffffffff\ncreateType=\"%s\"\n\n"
		     "# Extent description\nRW %llu %s \"%s\"%s\n\n# The Disk Data Base\n#DDB\n\n"
		     "ddb.adapterType = \"%s\"\nddb.virtualHWVersion = \"%u\"\n",
		     vmfs ? "vmfs" : "monolithicFlat", (unsigned long long)params->capacity, vmfs ? "VMFS" : "FLAT", slash ? slash + 1 : flat,
		     vmfs ? "" : " 0", adapter, params->hwVersion) < 0)
		return NULL;
	return text;
}

/* "disk.vmdk" has its data in "disk-flat.vmdk". */
static char *flat_of(const char *path) {
	size_t n = strlen(path), end = n > 5 && strcmp(path + n - 5, ".vmdk") == 0 ? n - 5 : n;
	char *flat = NULL;
	return asprintf(&flat, "%.*s-flat.vmdk", (int)end, path) < 0 ? NULL : flat;
}

static VixError make(const char *path, const VixCreateParams *params) {
	char *flat = flat_of(path), *text = flat ? describe(flat, params) : NULL;
	VixError err = text ? make_file(path, 0, text) : VIX_OUT_OF_MEMORY;
	if (err == VIX_OK) {
		err = make_file(flat, params->capacity * VIX_SECTOR_SIZE, NULL);
		if (err != VIX_OK)
			unlink(path);
	}
	free(text);
	free(flat);
	return err;
}

API VixError VixDiskLib_Create(VixConnection *connection, const char *path, const VixCreateParams *params,
			       VixProgressFunc progress, void *data) {
	lab_needs_connection(connection, "VixDiskLib_Create");
	lab_needs(path, "VixDiskLib_Create", "the path");
	lab_needs(params, "VixDiskLib_Create", "the parameters");
	if (connection->transport_error != VIX_OK || connection->modes.list[0] != LAB_FILE)
		return VIX_NOT_SUPPORTED;
	if (connection->read_only)
		return VIX_FILE_READ_ONLY;
	if (params->capacity == 0 || params->capacity > INT64_MAX / VIX_SECTOR_SIZE)
		return VIX_INVALID_ARG;
	if (params->diskType != MONOLITHIC_FLAT && params->diskType != VMFS_FLAT && params->diskType != VMFS_THIN) {
		lab_warn("disks of type %d are not made here: monolithic flat (2), VMFS flat (5) and thin (7) are\n", params->diskType);
		return VIX_NOT_SUPPORTED;
	}
	VixError err = make(path, params);
	if (err == VIX_OK && progress)
		progress(data, 100);
	return err;
}

static VixError unlink_extent(void *data, const char *path, uint64_t count, uint64_t offset) {
	(void)data, (void)count, (void)offset;
	return unlink(path) == 0 || errno == ENOENT ? VIX_OK : lab_from_errno(errno);
}

API VixError VixDiskLib_Unlink(VixConnection *connection, const char *path) {
	lab_needs_connection(connection, "VixDiskLib_Unlink");
	lab_needs(path, "VixDiskLib_Unlink", "the path");
	if (connection->transport_error != VIX_OK || connection->modes.list[0] != LAB_FILE)
		return VIX_NOT_SUPPORTED;
	char *text, folder[4096];
	VixError err = vmdk_text(path, &text, folder, sizeof folder);
	if (err == VIX_OK && text)
		err = vmdk_extents(folder, text, unlink_extent, NULL);
	free(text);
	if (err == VIX_OK && unlink(path) != 0)
		err = lab_from_errno(errno);
	return err;
}
