/* Reading, writing, waiting. Every request, waited for or not, goes to the
 * driver's thread; a handle does either kind, never both. */
#include <stdlib.h>

#include "lab.h"

void lab_submit(struct lab_request *request) {
	VixHandle *handle = request->handle;
	pthread_mutex_lock(&handle->lock);
	handle->outstanding++;
	pthread_mutex_unlock(&handle->lock);
	handle->driver->submit(handle, request);
}

/* The buffer is the caller's again when the callback has begun, and the request
 * counts as outstanding until it has returned. */
void lab_complete(struct lab_request *request, VixError result) {
	VixHandle *handle = request->handle;
	bool asynchronous = request->callback != NULL;
	if (asynchronous)
		request->callback(request->data, result);
	pthread_mutex_lock(&handle->lock);
	request->result = result;
	request->done = true;
	handle->outstanding--;
	pthread_cond_broadcast(&handle->changed);
	pthread_mutex_unlock(&handle->lock);
	if (asynchronous)
		free(request);
}

VixError lab_submit_and_wait(struct lab_request *request) {
	VixHandle *handle = request->handle;
	lab_submit(request);
	pthread_mutex_lock(&handle->lock);
	while (!request->done)
		pthread_cond_wait(&handle->changed, &handle->lock);
	pthread_mutex_unlock(&handle->lock);
	return request->result;
}

static VixError check(VixHandle *handle, enum lab_op op, uint64_t sector, uint64_t count, const uint8_t *buffer,
		      enum lab_io_mode mode) {
	if (handle->io_mode == LAB_IO_NONE)
		handle->io_mode = mode;
	if (handle->io_mode != mode)
		return VIX_MIXEDMODE;
	if (op == LAB_WRITE && handle->read_only)
		return VIX_FILE_READ_ONLY;
	if (count == 0)
		return VIX_INVALID_ARG;
	if (sector > handle->capacity || count > handle->capacity - sector)
		return VIX_OUTOFRANGE;
	if ((handle->flags & VIX_FLAG_OPEN_UNBUFFERED) && (uintptr_t)buffer % VIX_SECTOR_SIZE != 0)
		return VIX_INVALID_ARG;
	return VIX_OK;
}

static VixError synchronous(VixHandle *handle, enum lab_op op, uint64_t sector, uint64_t count, uint8_t *buffer) {
	lab_enter(handle, "VixDiskLib_Read or Write");
	VixError err = check(handle, op, sector, count, buffer, LAB_IO_SYNC);
	if (err == VIX_OK) {
		struct lab_request request = {
			.handle = handle, .op = op, .sector = sector, .count = count, .buffer = buffer};
		err = lab_submit_and_wait(&request);
	}
	lab_leave(handle);
	return err;
}

static VixError asynchronous(VixHandle *handle, enum lab_op op, uint64_t sector, uint64_t count, uint8_t *buffer,
			     VixCompletionFunc callback, void *data) {
	lab_enter(handle, "VixDiskLib_ReadAsync or WriteAsync");
	VixError err = check(handle, op, sector, count, buffer, LAB_IO_ASYNC);
	if (err == VIX_OK && !callback)
		err = VIX_INVALID_ARG;
	struct lab_request *request = err == VIX_OK ? calloc(1, sizeof *request) : NULL;
	if (err == VIX_OK && !request)
		err = VIX_OUT_OF_MEMORY;
	if (err == VIX_OK) {
		*request = (struct lab_request){.handle = handle, .op = op, .sector = sector, .count = count,
			.buffer = buffer, .callback = callback, .data = data};
		lab_submit(request);
		err = VIX_ASYNC;
	}
	lab_leave(handle);
	return err;
}

API VixError VixDiskLib_Read(VixHandle *handle, uint64_t sector, uint64_t count, uint8_t *buffer) {
	return synchronous(handle, LAB_READ, sector, count, buffer);
}

API VixError VixDiskLib_Write(VixHandle *handle, uint64_t sector, uint64_t count, const uint8_t *buffer) {
	return synchronous(handle, LAB_WRITE, sector, count, (uint8_t *)buffer);
}

API VixError VixDiskLib_ReadAsync(VixHandle *handle, uint64_t sector, uint64_t count, uint8_t *buffer,
				  VixCompletionFunc callback, void *data) {
	return asynchronous(handle, LAB_READ, sector, count, buffer, callback, data);
}

API VixError VixDiskLib_WriteAsync(VixHandle *handle, uint64_t sector, uint64_t count, const uint8_t *buffer,
				   VixCompletionFunc callback, void *data) {
	return asynchronous(handle, LAB_WRITE, sector, count, (uint8_t *)buffer, callback, data);
}

API VixError VixDiskLib_Wait(VixHandle *handle) {
	lab_enter(handle, "VixDiskLib_Wait");
	pthread_mutex_lock(&handle->lock);
	while (handle->outstanding)
		pthread_cond_wait(&handle->changed, &handle->lock);
	pthread_mutex_unlock(&handle->lock);
	lab_leave(handle);
	return VIX_OK;
}

API VixError VixDiskLib_Flush(VixHandle *handle) {
	lab_enter(handle, "VixDiskLib_Flush");
	VixError err = VIX_OK;
	if (!handle->read_only) {
		struct lab_request request = {.handle = handle, .op = LAB_FLUSH};
		err = lab_submit_and_wait(&request);
	}
	lab_leave(handle);
	return err;
}
