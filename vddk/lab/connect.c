/* Connections, and access to a disk around its snapshot. A connection is only a
 * checked copy of its parameters: who it may be, the vCenter says at Open. */
#include <stdlib.h>
#include <string.h>

#include "lab.h"
#include "ticket.h"

#define IDENTITY_MAX 50

API VixError VixDiskLib_ConnectEx(const VixConnectParams *params, VixBool readOnly,
				  const char *snapshotRef, const char *transportModes,
				  VixConnection **connection) {
	if (!lab_ready())
		return VIX_DISK_NOINIT;
	*connection = NULL;
	VixError err = lab_check_params(params);
	if (err != VIX_OK)
		return err;
	if (snapshotRef && params->specType == VIX_SPEC_VSTORAGE_OBJECT) {
		lab_warn("snapshotRef %s is ignored: the snapshot of a disk of its own is in its spec\n", snapshotRef);
	}
	enum lab_transport transport = LAB_FILE;
	err = lab_choose_transport(transportModes, lab_is_remote(params), &transport);
	if (err == VIX_NOT_SUPPORTED) {
		lab_warn("no known transport in \"%s\"\n", transportModes);
		return err;
	}
	VixConnection *made = calloc(1, sizeof *made);
	VixConnectParams *own = lab_copy_params(params);
	if (!made || !own) {
		free(made);
		VixDiskLib_FreeConnectParams(own);
		return VIX_OUT_OF_MEMORY;
	}
	made->params = own;
	made->read_only = readOnly;
	made->transport_error = err;
	made->transport = transport;
	*connection = made;
	return VIX_OK;
}

API VixError VixDiskLib_Connect(const VixConnectParams *params, VixConnection **connection) {
	return VixDiskLib_ConnectEx(params, 0, NULL, NULL, connection);
}

API VixError VixDiskLib_Disconnect(VixConnection *connection) {
	if (!connection)
		return VIX_INVALID_ARG;
	int handles = atomic_load(&connection->handles);
	if (handles != 0)
		lab_panic("VixDiskLib_Disconnect with %d handles open\n", handles);
	VixDiskLib_FreeConnectParams(connection->params);
	free(connection);
	return VIX_OK;
}

API VixError VixDiskLib_GetConnectParams(VixConnection *connection, VixConnectParams **params) {
	*params = lab_copy_params(connection->params);
	return *params ? VIX_OK : VIX_OUT_OF_MEMORY;
}

static VixError access_call(const VixConnectParams *params, const char *identity, const char *op) {
	if (!lab_ready())
		return VIX_DISK_NOINIT;
	if (!params || !identity || !*identity || strlen(identity) > IDENTITY_MAX)
		return VIX_INVALID_ARG;
	VixError err = lab_check_params(params);
	if (err != VIX_OK)
		return err;
	if (params->specType != VIX_SPEC_VSTORAGE_OBJECT)
		return VIX_NOT_SUPPORTED; /* the laboratory has disks of their own, and no VM's */
	return lab_access(params, identity, op);
}

API VixError VixDiskLib_PrepareForAccess(const VixConnectParams *params, const char *identity) {
	return access_call(params, identity, "prepare");
}

API VixError VixDiskLib_EndAccess(const VixConnectParams *params, const char *identity) {
	return access_call(params, identity, "end");
}

/* There is nothing to clean up: HotAdd, which leaves disks behind, is not here. */
API VixError VixDiskLib_Cleanup(const VixConnectParams *params, uint32_t *cleanedUp, uint32_t *remaining) {
	if (!lab_ready())
		return VIX_DISK_NOINIT;
	if (!params)
		return VIX_INVALID_ARG;
	*cleanedUp = 0;
	*remaining = 0;
	return VIX_OK;
}
