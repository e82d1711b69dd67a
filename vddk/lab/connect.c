/* Connections, PrepareForAccess, EndAccess and Cleanup. A connection is only a
 * checked copy of its parameters: the login is checked at Open. */
#include <stdlib.h>
#include <string.h>

#include "faults.h"
#include "ticket.h"
#include "world.h"

#define IDENTITY_MAX 50

API VixError VixDiskLib_ConnectEx(const VixConnectParams *params, VixBool readOnly,
				  const char *snapshotRef, const char *transportModes,
				  VixConnection **connection) {
	LAB_STAY;
	lab_needs(params, "VixDiskLib_ConnectEx", "the parameters");
	lab_needs(connection, "VixDiskLib_ConnectEx", "the connection");
	if (!lab_ready)
		return VIX_DISK_NOINIT;
	*connection = NULL;
	VixError err = lab_check_params(params);
	if (err == VIX_OK)
		err = lab_fault_for(params, "ConnectEx");
	if (err != VIX_OK)
		return err;
	if (snapshotRef && params->specType == VIX_SPEC_VSTORAGE_OBJECT) {
		lab_warn("snapshotRef %s is ignored: the snapshot of a disk of its own is in its spec\n", snapshotRef);
	}
	struct lab_modes modes;
	err = lab_choose_transports(transportModes, lab_is_remote(params), &modes);
	if (err == VIX_NOT_SUPPORTED) {
		lab_warn("no known transport in \"%s\"\n", transportModes);
		return err;
	}
	VixConnectParams *own = lab_copy_params(params);
	char *snapshot = snapshotRef ? strdup(snapshotRef) : NULL;
	VixConnection *made = own && (snapshot || !snapshotRef) ? lab_new_VixConnection() : NULL;
	if (!made) {
		VixDiskLib_FreeConnectParams(own);
		free(snapshot);
		return VIX_OUT_OF_MEMORY;
	}
	made->params = own;
	made->snapshot_ref = snapshot;
	made->read_only = readOnly;
	made->transport_error = err;
	made->modes = modes;
	*connection = made;
	return VIX_OK;
}

API VixError VixDiskLib_Connect(const VixConnectParams *params, VixConnection **connection) {
	return VixDiskLib_ConnectEx(params, 0, NULL, NULL, connection);
}

API VixError VixDiskLib_Disconnect(VixConnection *connection) {
	LAB_STAY;
	lab_needs_connection(connection, "VixDiskLib_Disconnect");
	VixError err = lab_fault_for(connection->params, "Disconnect");
	int handles = atomic_load(&connection->handles);
	if (handles != 0)
		lab_misuse(NULL, "open-at-disconnect", "VixDiskLib_Disconnect with %d handles open", handles);
	VixDiskLib_FreeConnectParams(connection->params);
	free(connection->snapshot_ref);
	lab_end_VixConnection(connection);
	return err;
}

API VixError VixDiskLib_GetConnectParams(VixConnection *connection, VixConnectParams **params) {
	lab_needs_connection(connection, "VixDiskLib_GetConnectParams");
	lab_needs(params, "VixDiskLib_GetConnectParams", "the parameters");
	*params = lab_copy_params(connection->params);
	return *params ? VIX_OK : VIX_OUT_OF_MEMORY;
}

/* Accesses that this process has prepared and not ended. Another process may end
 * them, so only the laboratory can tell whether that is misuse. */
static struct {
	pthread_mutex_t lock;
	int count;
} prepared = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void count_prepared(int change) {
	pthread_mutex_lock(&prepared.lock);
	if (prepared.count + change >= 0)
		prepared.count += change;
	pthread_mutex_unlock(&prepared.lock);
}

void lab_access_at_exit(void) {
	pthread_mutex_lock(&prepared.lock);
	int count = prepared.count;
	prepared.count = 0;
	pthread_mutex_unlock(&prepared.lock);
	if (count > 0)
		lab_warn("VixDiskLib_Exit after %d PrepareForAccess without EndAccess\n", count);
}

static VixError check_access(const VixConnectParams *params, const char *identity, const char *call) {
	lab_needs(params, call, "the parameters");
	lab_needs(identity, call, "the identity");
	if (!lab_ready)
		return VIX_DISK_NOINIT;
	if (!*identity || strlen(identity) > IDENTITY_MAX)
		return VIX_INVALID_ARG;
	if (!lab_is_remote(params))
		return VIX_NOT_SUPPORTED; /* a file's place is its own */
	return lab_check_params(params);
}

/* A scripted fault comes after access was prepared: a call that fails may have
 * disabled relocation all the same. */
API VixError VixDiskLib_PrepareForAccess(const VixConnectParams *params, const char *identity) {
	VixError err = check_access(params, identity, "VixDiskLib_PrepareForAccess");
	if (err != VIX_OK)
		return err;
	count_prepared(1);
	err = lab_access(params, identity, "prepare");
	VixError fault = lab_fault_for(params, "PrepareForAccess");
	return fault != VIX_OK ? fault : err;
}

API VixError VixDiskLib_EndAccess(const VixConnectParams *params, const char *identity) {
	VixError err = check_access(params, identity, "VixDiskLib_EndAccess");
	if (err == VIX_OK)
		err = lab_fault_for(params, "EndAccess");
	if (err == VIX_OK)
		err = lab_access(params, identity, "end");
	if (err == VIX_OK)
		count_prepared(-1);
	return err;
}

/* Disks of dead processes that are still attached to this machine. */
API VixError VixDiskLib_Cleanup(const VixConnectParams *params, uint32_t *cleanedUp, uint32_t *remaining) {
	lab_needs(params, "VixDiskLib_Cleanup", "the parameters");
	lab_needs(cleanedUp, "VixDiskLib_Cleanup", "the number of those cleaned up");
	lab_needs(remaining, "VixDiskLib_Cleanup", "the number of those remaining");
	if (!lab_ready)
		return VIX_DISK_NOINIT;
	*cleanedUp = *remaining = 0;
	bool remote = lab_is_remote(params);
	VixError err = remote ? lab_check_login(params) : VIX_OK; /* of no VM, and of no disk in particular */
	if (err == VIX_OK)
		err = lab_fault_for(params, "Cleanup");
	if (err != VIX_OK || !remote)
		return err;
	struct lab_ask ask = {.params = params, .op = "cleanup", .mode = "hotadd"};
	struct lab_ticket ticket;
	err = lab_ask_ticket(&ask, &ticket);
	const char *dir = err == VIX_OK ? lab_world(ticket.dir) : NULL;
	if (dir)
		lab_release_dead(dir, cleanedUp, remaining);
	return err;
}
