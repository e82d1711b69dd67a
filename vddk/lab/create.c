/* Create and Unlink, for local disks only: a raw sparse file of the capacity. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "lab.h"

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
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return lab_from_errno(errno);
	VixError err = VIX_OK;
	if (ftruncate(fd, (off_t)(params->capacity * VIX_SECTOR_SIZE)) != 0)
		err = lab_from_errno(errno);
	close(fd);
	if (err != VIX_OK)
		unlink(path);
	else if (progress)
		progress(data, 100);
	return err;
}

API VixError VixDiskLib_Unlink(VixConnection *connection, const char *path) {
	lab_needs_connection(connection, "VixDiskLib_Unlink");
	lab_needs(path, "VixDiskLib_Unlink", "the path");
	if (connection->transport_error != VIX_OK || connection->modes.list[0] != LAB_FILE)
		return VIX_NOT_SUPPORTED;
	return unlink(path) == 0 ? VIX_OK : lab_from_errno(errno);
}
