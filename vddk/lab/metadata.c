/* The few metadata keys that the laboratory's disks have. They cannot be written:
 * a raw image has no place for them. */
#include <stdlib.h>
#include <string.h>

#include "faults.h"

static const char keys[] = "adapterType\0uuid\0"; /* ends with two zeros */

API VixError VixDiskLib_GetMetadataKeys(VixHandle *handle, char *buffer, size_t size, size_t *required) {
	lab_needs_handle(handle, "VixDiskLib_GetMetadataKeys");
	lab_enter(handle, "VixDiskLib_GetMetadataKeys");
	VixError err = lab_fault_on(handle, "GetMetadataKeys");
	lab_leave(handle);
	if (err != VIX_OK)
		return err;
	if (required)
		*required = sizeof keys;
	if (size < sizeof keys)
		return VIX_BUFFER_TOOSMALL;
	memcpy(buffer, keys, sizeof keys);
	return VIX_OK;
}

API VixError VixDiskLib_ReadMetadata(VixHandle *handle, const char *key, char *buffer, size_t size, size_t *required) {
	lab_needs_handle(handle, "VixDiskLib_ReadMetadata");
	lab_needs(key, "VixDiskLib_ReadMetadata", "the key");
	const char *value = NULL;
	lab_enter(handle, "VixDiskLib_ReadMetadata");
	VixError err = lab_fault_on(handle, "ReadMetadata");
	lab_leave(handle);
	if (err != VIX_OK)
		return err;
	if (strcmp(key, "adapterType") == 0)
		value = handle->adapter == 1 ? "ide" : handle->adapter == 2 ? "buslogic" : "lsilogic";
	else if (strcmp(key, "uuid") == 0)
		value = handle->uuid;
	if (!value)
		return VIX_OBJECT_NOT_FOUND;
	size_t need = strlen(value) + 1;
	if (required)
		*required = need;
	if (size < need)
		return VIX_BUFFER_TOOSMALL;
	memcpy(buffer, value, need);
	return VIX_OK;
}

API VixError VixDiskLib_WriteMetadata(VixHandle *handle, const char *key, const char *value) {
	lab_needs_handle(handle, "VixDiskLib_WriteMetadata");
	lab_needs(key, "VixDiskLib_WriteMetadata", "the key");
	lab_needs(value, "VixDiskLib_WriteMetadata", "the value");
	return handle->read_only ? VIX_FILE_READ_ONLY : VIX_NOT_SUPPORTED;
}
