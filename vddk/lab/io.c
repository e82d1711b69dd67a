/* Reading, writing, waiting. Every request, synchronous or not, goes to the driver's
 * thread; a handle does one kind, never both. */
#include <stdlib.h>

#include "faults.h"

static void one_more(VixHandle *handle) {
	pthread_mutex_lock(&handle->lock);
	handle->outstanding++;
	pthread_mutex_unlock(&handle->lock);
}

void lab_submit(struct lab_request *request) {
	VixHandle *handle = request->handle;
	one_more(handle);
	handle->driver->submit(handle, request);
}

/* The caller may use the buffer again when the callback has begun; the request is
 * outstanding until the callback has returned. */
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
	bool direct = (handle->flags & VIX_FLAG_OPEN_UNBUFFERED) || handle->driver == &lab_lun_driver;
	if (direct && (uintptr_t)buffer % VIX_SECTOR_SIZE != 0)
		return VIX_INVALID_ARG;
	return VIX_OK;
}

static struct lab_plan plan_for(VixHandle *handle, const char *call) {
	return lab_plan(&(struct lab_call){.name = call, .dir = handle->dir, .disk = handle->id,
		.mode = lab_transport_name(handle->transport)});
}

static VixError synchronous(VixHandle *handle, enum lab_op op, uint64_t sector, uint64_t count, uint8_t *buffer) {
	const char *call = op == LAB_READ ? "VixDiskLib_Read" : "VixDiskLib_Write";
	lab_needs_handle(handle, call);
	lab_needs(buffer, call, "the buffer");
	lab_enter(handle, call);
	VixError err = check(handle, op, sector, count, buffer, LAB_IO_SYNC);
	if (err == VIX_OK)
		err = lab_fault_on(handle, op == LAB_READ ? "Read" : "Write");
	if (err == VIX_OK) {
		struct lab_request request = {
			.handle = handle, .op = op, .sector = sector, .count = count, .buffer = buffer};
		err = lab_submit_and_wait(&request);
	}
	lab_leave(handle);
	return err;
}

struct later {
	struct lab_plan plan;
	struct lab_request *request;
};

static void *later_thread(void *arg) {
	struct later later = *(struct later *)arg;
	free(arg);
	VixError err = lab_suffer(later.plan, "a request");
	if (err != VIX_OK)
		lab_complete(later.request, err);
	else
		later.request->handle->driver->submit(later.request->handle, later.request);
	return NULL;
}

/* A request with a scripted fault: it completes with the code, later, or never. */
static VixError suffer_later(struct lab_plan plan, struct lab_request *request) {
	if (plan.fate == LAB_FATE_HANG)
		return VIX_OK;
	struct later *later = malloc(sizeof *later);
	pthread_t thread;
	if (!later)
		return VIX_OUT_OF_MEMORY;
	*later = (struct later){plan, request};
	if (lab_thread(&thread, later_thread, later) != 0) {
		free(later);
		return VIX_OUT_OF_MEMORY;
	}
	pthread_detach(thread);
	return VIX_OK;
}

/* A scripted code, delay or hang concerns the request: the call itself returns. */
static VixError start(VixHandle *handle, struct lab_request *request, const char *call) {
	struct lab_plan plan = plan_for(handle, call);
	if (plan.fate == LAB_FATE_NONE) {
		lab_submit(request);
		return VIX_ASYNC;
	}
	if (plan.fate == LAB_FATE_PANIC || plan.fate == LAB_FATE_ABORT)
		lab_suffer(plan, call);
	one_more(handle);
	VixError err = suffer_later(plan, request);
	return err == VIX_OK ? VIX_ASYNC : err;
}

static VixError asynchronous(VixHandle *handle, enum lab_op op, uint64_t sector, uint64_t count, uint8_t *buffer,
			     VixCompletionFunc callback, void *data) {
	const char *call = op == LAB_READ ? "VixDiskLib_ReadAsync" : "VixDiskLib_WriteAsync";
	lab_needs_handle(handle, call);
	lab_needs(buffer, call, "the buffer");
	lab_enter(handle, call);
	VixError err = check(handle, op, sector, count, buffer, LAB_IO_ASYNC);
	if (err == VIX_OK && !callback)
		err = VIX_INVALID_ARG;
	struct lab_request *request = err == VIX_OK ? calloc(1, sizeof *request) : NULL;
	if (err == VIX_OK && !request)
		err = VIX_OUT_OF_MEMORY;
	if (err == VIX_OK) {
		*request = (struct lab_request){.handle = handle, .op = op, .sector = sector, .count = count,
			.buffer = buffer, .callback = callback, .data = data};
		err = start(handle, request, op == LAB_READ ? "ReadAsync" : "WriteAsync");
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
	lab_needs_handle(handle, "VixDiskLib_Wait");
	lab_enter(handle, "VixDiskLib_Wait");
	VixError err = lab_fault_on(handle, "Wait");
	pthread_mutex_lock(&handle->lock);
	while (handle->outstanding)
		pthread_cond_wait(&handle->changed, &handle->lock);
	pthread_mutex_unlock(&handle->lock);
	lab_leave(handle);
	return err;
}

API VixError VixDiskLib_Flush(VixHandle *handle) {
	lab_needs_handle(handle, "VixDiskLib_Flush");
	lab_enter(handle, "VixDiskLib_Flush");
	VixError err = lab_fault_on(handle, "Flush");
	if (err == VIX_OK && !handle->read_only) {
		struct lab_request request = {.handle = handle, .op = LAB_FLUSH};
		err = lab_submit_and_wait(&request);
	}
	lab_leave(handle);
	return err;
}
