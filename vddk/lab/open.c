/* Open, Close, GetInfo and GetTransportMode. */
#include <stdlib.h>
#include <string.h>

#include "faults.h"
#include "net.h"
#include "world.h"

static VixError try_transport(VixHandle *handle, enum lab_transport transport, const char *path) {
	VixError err = lab_fault(&(struct lab_call){
		.name = "Open", .dir = handle->dir, .disk = handle->id, .mode = lab_transport_name(transport), .own = true});
	handle->transport = transport;
	handle->driver = transport == LAB_FILE ? &lab_file_driver
		: transport == LAB_SAN || transport == LAB_HOTADD ? &lab_lun_driver : &lab_net_driver;
	return err == VIX_OK ? handle->driver->open(handle, path) : err;
}

static bool over_network(enum lab_transport transport) {
	return transport == LAB_NBDSSL || transport == LAB_NBD;
}

/* The whole list shares one ticket, which the host takes once: transports after the
 * first network transport are not tried. */
static VixError open_list(VixHandle *handle, const char *path, const struct lab_modes *modes) {
	int last = 0;
	while (last < modes->count - 1 && !over_network(modes->list[last]))
		last++;
	VixError err = over_network(modes->list[0]) ? net_check_buffers() : VIX_OK;
	if (err != VIX_OK)
		return err;
	struct lab_ask ask = {.params = handle->connection->params, .op = "open", .path = path,
		.snapshot_ref = handle->connection->snapshot_ref,
		.mode = lab_transport_name(modes->list[last]), .write = !handle->read_only};
	struct lab_ticket *ticket = calloc(1, sizeof *ticket);
	if (!ticket)
		return VIX_OUT_OF_MEMORY;
	err = lab_ask_ticket(&ask, ticket);
	if (err == VIX_OK) {
		handle->dir = lab_world(ticket->dir);
		handle->ticket = ticket;
		const char *spec = lab_disk_of(handle->connection->params);
		snprintf(handle->id, sizeof handle->id, "%s", *ticket->disk || !spec ? ticket->disk : spec);
		for (int i = 0; i <= last; i++) {
			err = try_transport(handle, modes->list[i], path);
			if (err == VIX_OK)
				break;
			lab_log("transport %s: code %u\n", lab_transport_name(modes->list[i]), VIX_CODE(err));
		}
	}
	handle->ticket = NULL;
	free(ticket);
	return err;
}

/* Where hosts.json says so, an advanced transport that is asked for alone and is not
 * available is replaced by NBDSSL without a word, as VMware's guide for 8.0 has it. */
static VixError open_remote(VixHandle *handle, const char *path) {
	const struct lab_modes *modes = &handle->connection->modes, nbdssl = {.list = {LAB_NBDSSL}, .count = 1};
	VixError err = open_list(handle, path, modes);
	bool advanced = modes->list[0] == LAB_SAN || modes->list[0] == LAB_HOTADD;
	if (err == VIX_OK || err == VIX_FILE_ALREADY_LOCKED || modes->count != 1 || !advanced || !lab_world_is(handle->dir, "quiet_fallback"))
		return err;
	return open_list(handle, path, &nbdssl);
}

static VixError open_handle(VixConnection *connection, const char *path, uint32_t flags, VixHandle **handle) {
	if (connection->transport_error != VIX_OK) {
		lab_warn("none of the transports asked for works here\n");
		return connection->transport_error;
	}
	bool local = connection->modes.list[0] == LAB_FILE;
	if (connection->params->specType != VIX_SPEC_VSTORAGE_OBJECT) /* a file's, or a VM's disk's */
		lab_needs(path, "VixDiskLib_Open", "the path");
	VixHandle *made = lab_new_VixHandle();
	if (!made)
		return VIX_OUT_OF_MEMORY;
	made->connection = connection;
	made->flags = flags;
	made->read_only = (flags & VIX_FLAG_OPEN_READ_ONLY) || connection->read_only;
	made->links = 1;
	made->adapter = 3; /* LsiLogic */
	pthread_mutex_init(&made->lock, NULL);
	pthread_cond_init(&made->changed, NULL);
	VixError err = local ? try_transport(made, LAB_FILE, path) : open_remote(made, path);
	if (err != VIX_OK) {
		lab_end_VixHandle(made);
		return err;
	}
	atomic_fetch_add(&connection->handles, 1);
	*handle = made;
	return VIX_OK;
}

API VixError VixDiskLib_Open(VixConnection *connection, const char *path, uint32_t flags, VixHandle **handle) {
	LAB_STAY;
	lab_needs_connection(connection, "VixDiskLib_Open");
	lab_needs(handle, "VixDiskLib_Open", "the handle");
	*handle = NULL;
	lab_opening_begins("VixDiskLib_Open");
	VixError err = lab_fault_for(connection->params, "Open");
	if (err == VIX_OK)
		err = open_handle(connection, path, flags, handle);
	lab_opening_ends();
	return err;
}

/* Whatever it returns, the handle is closed. */
API VixError VixDiskLib_Close(VixHandle *handle) {
	LAB_STAY;
	lab_needs_handle(handle, "VixDiskLib_Close");
	lab_opening_begins("VixDiskLib_Close");
	lab_enter(handle, "VixDiskLib_Close");
	VixError err = lab_fault_on(handle, "Close");
	pthread_mutex_lock(&handle->lock);
	unsigned outstanding = handle->outstanding;
	pthread_mutex_unlock(&handle->lock);
	if (outstanding)
		lab_misuse(handle->dir, "outstanding-at-close", "VixDiskLib_Close with %u requests outstanding", outstanding);
	handle->driver->close(handle);
	atomic_fetch_sub(&handle->connection->handles, 1);
	pthread_mutex_destroy(&handle->lock);
	pthread_cond_destroy(&handle->changed);
	lab_end_VixHandle(handle);
	lab_opening_ends();
	return err;
}

static VixGeometry geometry(uint64_t capacity) {
	VixGeometry geo = {.heads = 255, .sectors = 63};
	uint64_t cylinders = capacity / (255 * 63);
	geo.cylinders = cylinders > UINT32_MAX ? UINT32_MAX : (uint32_t)cylinders;
	return geo;
}

API VixError VixDiskLib_GetInfo(VixHandle *handle, VixInfo **info) {
	LAB_STAY;
	lab_needs_handle(handle, "VixDiskLib_GetInfo");
	lab_needs(info, "VixDiskLib_GetInfo", "the info");
	lab_enter(handle, "VixDiskLib_GetInfo");
	VixError err = lab_fault_on(handle, "GetInfo");
	lab_leave(handle);
	if (err != VIX_OK)
		return err;
	VixInfo *made = calloc(1, sizeof *made);
	if (!made)
		return VIX_OUT_OF_MEMORY;
	made->biosGeo = made->physGeo = geometry(handle->capacity);
	made->capacity = handle->capacity;
	made->adapterType = handle->adapter;
	made->numLinks = handle->links;
	made->uuid = handle->uuid[0] ? strdup(handle->uuid) : NULL;
	made->logicalSectorSize = made->physicalSectorSize = VIX_SECTOR_SIZE;
	*info = made;
	return VIX_OK;
}

API void VixDiskLib_FreeInfo(VixInfo *info) {
	if (!info)
		return;
	free(info->parentFileNameHint);
	free(info->uuid);
	free(info);
}

API const char *VixDiskLib_GetTransportMode(VixHandle *handle) {
	lab_needs_handle(handle, "VixDiskLib_GetTransportMode");
	return lab_transport_name(handle->transport);
}
