/* Open, Close, and what a handle says of itself. */
#include <stdlib.h>
#include <string.h>

#include "lab.h"

/* Open and Close are called one at a time. */
static atomic_bool opening;

static void one_at_a_time(const char *call) {
	if (atomic_exchange(&opening, true))
		lab_panic("%s while another VixDiskLib_Open or Close runs\n", call);
}

void lab_enter(VixHandle *handle, const char *call) {
	if (atomic_exchange(&handle->busy, true))
		lab_panic("%s while another call runs on the same handle\n", call);
}

void lab_leave(VixHandle *handle) {
	atomic_store(&handle->busy, false);
}

static VixError open_handle(VixConnection *connection, const char *path, uint32_t flags, VixHandle **handle) {
	if (connection->transport_error != VIX_OK) {
		lab_warn("none of the transports asked for works here\n");
		return connection->transport_error;
	}
	bool own = connection->params->specType == VIX_SPEC_VSTORAGE_OBJECT;
	if (connection->transport != LAB_FILE && !own)
		return VIX_NOT_SUPPORTED; /* disks of VMs: not in the laboratory */
	if (!own && !path)
		return VIX_INVALID_ARG;
	VixHandle *made = calloc(1, sizeof *made);
	if (!made)
		return VIX_OUT_OF_MEMORY;
	made->connection = connection;
	made->flags = flags;
	made->read_only = (flags & VIX_FLAG_OPEN_READ_ONLY) || connection->read_only;
	made->driver = connection->transport == LAB_FILE ? &lab_file_driver : &lab_net_driver;
	made->links = 1;
	made->adapter = 3; /* LsiLogic */
	pthread_mutex_init(&made->lock, NULL);
	pthread_cond_init(&made->changed, NULL);
	VixError err = made->driver->open(made, path);
	if (err != VIX_OK) {
		free(made);
		return err;
	}
	atomic_fetch_add(&connection->handles, 1);
	*handle = made;
	return VIX_OK;
}

API VixError VixDiskLib_Open(VixConnection *connection, const char *path, uint32_t flags, VixHandle **handle) {
	if (!connection)
		return VIX_INVALID_ARG;
	*handle = NULL;
	one_at_a_time("VixDiskLib_Open");
	VixError err = open_handle(connection, path, flags, handle);
	atomic_store(&opening, false);
	return err;
}

API VixError VixDiskLib_Close(VixHandle *handle) {
	if (!handle)
		return VIX_INVALID_ARG;
	one_at_a_time("VixDiskLib_Close");
	lab_enter(handle, "VixDiskLib_Close");
	pthread_mutex_lock(&handle->lock);
	unsigned outstanding = handle->outstanding;
	pthread_mutex_unlock(&handle->lock);
	if (outstanding)
		lab_panic("VixDiskLib_Close with %u requests outstanding\n", outstanding);
	handle->driver->close(handle);
	atomic_fetch_sub(&handle->connection->handles, 1);
	pthread_mutex_destroy(&handle->lock);
	pthread_cond_destroy(&handle->changed);
	free(handle);
	atomic_store(&opening, false);
	return VIX_OK;
}

static VixGeometry geometry(uint64_t capacity) {
	VixGeometry geo = {.heads = 255, .sectors = 63};
	uint64_t cylinders = capacity / (255 * 63);
	geo.cylinders = cylinders > UINT32_MAX ? UINT32_MAX : (uint32_t)cylinders;
	return geo;
}

API VixError VixDiskLib_GetInfo(VixHandle *handle, VixInfo **info) {
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
	return lab_transport_name(handle->connection->transport);
}
