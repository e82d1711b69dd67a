/* What the header has for hosted disks beside Create, Unlink and CheckRepair. The
 * laboratory makes and changes none by these, but programs that are linked against
 * the library name them, and would not start without. */
#include "lab.h"

API VixError VixDiskLib_CreateChild(VixHandle *parent, const char *path, int diskType, VixProgressFunc progress, void *data) {
	lab_needs_handle(parent, "VixDiskLib_CreateChild");
	lab_needs(path, "VixDiskLib_CreateChild", "the path");
	(void)diskType, (void)progress, (void)data;
	return VIX_NOT_SUPPORTED;
}

API VixError VixDiskLib_Clone(VixConnection *to, const char *toPath, VixConnection *from, const char *fromPath,
			      const VixCreateParams *params, VixProgressFunc progress, void *data, VixBool overWrite) {
	lab_needs_connection(to, "VixDiskLib_Clone");
	lab_needs_connection(from, "VixDiskLib_Clone");
	(void)toPath, (void)fromPath, (void)params, (void)progress, (void)data, (void)overWrite;
	return VIX_NOT_SUPPORTED;
}

API VixError VixDiskLib_Grow(VixConnection *connection, const char *path, uint64_t capacity, VixBool updateGeometry,
			     VixProgressFunc progress, void *data) {
	lab_needs_connection(connection, "VixDiskLib_Grow");
	lab_needs(path, "VixDiskLib_Grow", "the path");
	(void)capacity, (void)updateGeometry, (void)progress, (void)data;
	return VIX_NOT_SUPPORTED;
}

API VixError VixDiskLib_Shrink(VixHandle *handle, VixProgressFunc progress, void *data) {
	lab_needs_handle(handle, "VixDiskLib_Shrink");
	(void)progress, (void)data;
	return VIX_NOT_SUPPORTED;
}

API VixError VixDiskLib_Defragment(VixHandle *handle, VixProgressFunc progress, void *data) {
	lab_needs_handle(handle, "VixDiskLib_Defragment");
	(void)progress, (void)data;
	return VIX_NOT_SUPPORTED;
}

API VixError VixDiskLib_Rename(const char *from, const char *to) {
	lab_needs(from, "VixDiskLib_Rename", "the old name");
	lab_needs(to, "VixDiskLib_Rename", "the new name");
	return VIX_NOT_SUPPORTED;
}

API VixError VixDiskLib_IsAttachPossible(VixHandle *parent, VixHandle *child) {
	lab_needs_handle(parent, "VixDiskLib_IsAttachPossible");
	lab_needs_handle(child, "VixDiskLib_IsAttachPossible");
	return VIX_NOT_SUPPORTED;
}

API VixError VixDiskLib_Attach(VixHandle *parent, VixHandle *child) {
	lab_needs_handle(parent, "VixDiskLib_Attach");
	lab_needs_handle(child, "VixDiskLib_Attach");
	return VIX_NOT_SUPPORTED;
}

API VixError VixDiskLib_SpaceNeededForClone(VixHandle *handle, int diskType, uint64_t *space) {
	lab_needs_handle(handle, "VixDiskLib_SpaceNeededForClone");
	lab_needs(space, "VixDiskLib_SpaceNeededForClone", "the space");
	(void)diskType;
	return VIX_NOT_SUPPORTED;
}
