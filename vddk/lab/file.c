/* The "file" transport: a disk on this machine. One thread for a handle works off its
 * requests in order. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmdk.h"

struct file {
	struct vmdk vmdk;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct lab_request *first, **last;
	bool stop;
};

static VixError move(const struct lab_request *request, int fd, uint8_t *buffer, size_t left, off_t at) {
	while (left > 0) {
		ssize_t n = request->op == LAB_READ ? pread(fd, buffer, left, at) : pwrite(fd, buffer, left, at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? lab_from_errno(errno) : VIX_OUTOFRANGE;
		buffer += n;
		at += n;
		left -= (size_t)n;
	}
	return VIX_OK;
}

/* What of a range lies in the extent that has its first sector. */
static uint64_t within(const struct vmdk_extent *extent, uint64_t sector, uint64_t end) {
	uint64_t stop = extent->start + extent->count;
	return (end < stop ? end : stop) - sector;
}

static VixError transfer(struct file *file, struct lab_request *request) {
	uint64_t end = request->sector + request->count;
	uint8_t *buffer = request->buffer;
	VixError err = VIX_OK;
	for (uint64_t at = request->sector, n; at < end && err == VIX_OK; at += n) {
		const struct vmdk_extent *extent = vmdk_at(&file->vmdk, at);
		n = within(extent, at, end);
		err = move(request, extent->fd, buffer, n * VIX_SECTOR_SIZE, (off_t)((at - extent->start + extent->offset) * VIX_SECTOR_SIZE));
		buffer += n * VIX_SECTOR_SIZE;
	}
	return err;
}

/* The first sector from at on that is no hole of its extent, in *from, and the end of
 * that data; the whole range where the file system does not know its holes. */
static uint64_t data_in(const struct vmdk_extent *extent, uint64_t at, uint64_t end, uint64_t *from) {
	off_t shift = (off_t)((int64_t)extent->offset - (int64_t)extent->start) * VIX_SECTOR_SIZE;
	off_t data = lseek(extent->fd, (off_t)(at * VIX_SECTOR_SIZE) + shift, SEEK_DATA);
	if (data < 0 && errno == ENXIO)
		return *from = end;
	off_t hole = data < 0 ? -1 : lseek(extent->fd, data, SEEK_HOLE);
	*from = data < 0 ? at : (uint64_t)(data - shift) / VIX_SECTOR_SIZE;
	uint64_t to = hole < 0 ? end : ((uint64_t)(hole - shift) + VIX_SECTOR_SIZE - 1) / VIX_SECTOR_SIZE;
	if (*from > end)
		*from = end;
	return to > end ? end : to;
}

/* The parts that are not holes, rounded outwards to chunks. */
static VixError allocated(struct file *file, struct lab_request *request) {
	struct lab_blocks blocks = {0};
	uint64_t chunk = request->chunk, at = request->sector, end = at + request->count;
	while (at < end) {
		const struct vmdk_extent *extent = vmdk_at(&file->vmdk, at);
		uint64_t stop = at + within(extent, at, end), from, to = data_in(extent, at, stop, &from);
		if (from < to) {
			from = from / chunk * chunk;
			to = (to + chunk - 1) / chunk * chunk;
			if (from < at / chunk * chunk)
				from = at / chunk * chunk;
			lab_blocks_add(&blocks, from, (to > end ? end : to) - from);
			at = to;
		} else {
			at = stop;
		}
	}
	request->blocks = lab_blocks_done(&blocks);
	return request->blocks ? VIX_OK : VIX_OUT_OF_MEMORY;
}

static VixError flush(struct file *file) {
	for (int i = 0; i < file->vmdk.count; i++)
		if (fdatasync(file->vmdk.extents[i].fd) != 0)
			return lab_from_errno(errno);
	return VIX_OK;
}

static VixError work(struct file *file, struct lab_request *request) {
	switch (request->op) {
	case LAB_READ:
	case LAB_WRITE:
		return transfer(file, request);
	case LAB_ALLOCATED:
		return allocated(file, request);
	case LAB_FLUSH:
		return flush(file);
	}
	return VIX_NOT_SUPPORTED;
}

static void *file_thread(void *arg) {
	struct file *file = arg;
	pthread_mutex_lock(&file->lock);
	for (;;) {
		while (!file->first && !file->stop)
			pthread_cond_wait(&file->wake, &file->lock);
		struct lab_request *request = file->first;
		if (!request)
			break;
		file->first = request->next;
		if (!file->first)
			file->last = &file->first;
		pthread_mutex_unlock(&file->lock);
		lab_complete(request, work(file, request));
		pthread_mutex_lock(&file->lock);
	}
	pthread_mutex_unlock(&file->lock);
	return NULL;
}

static void file_submit(VixHandle *handle, struct lab_request *request) {
	struct file *file = handle->disk;
	pthread_mutex_lock(&file->lock);
	request->next = NULL;
	*file->last = request;
	file->last = &request->next;
	pthread_cond_signal(&file->wake);
	pthread_mutex_unlock(&file->lock);
}

static VixError file_open(VixHandle *handle, const char *path) {
	struct file *file = calloc(1, sizeof *file);
	if (!file)
		return VIX_OUT_OF_MEMORY;
	VixError err = vmdk_open(path, handle->read_only, &file->vmdk);
	if (err != VIX_OK) {
		free(file);
		return err;
	}
	handle->capacity = file->vmdk.capacity;
	handle->adapter = file->vmdk.adapter;
	memcpy(handle->uuid, file->vmdk.uuid, sizeof handle->uuid);
	file->last = &file->first;
	pthread_mutex_init(&file->lock, NULL);
	pthread_cond_init(&file->wake, NULL);
	handle->disk = file;
	if (lab_thread(&file->thread, file_thread, file) == 0)
		return VIX_OK;
	vmdk_close(&file->vmdk);
	free(file);
	return VIX_OUT_OF_MEMORY;
}

static void file_close(VixHandle *handle) {
	struct file *file = handle->disk;
	pthread_mutex_lock(&file->lock);
	file->stop = true;
	pthread_cond_signal(&file->wake);
	pthread_mutex_unlock(&file->lock);
	pthread_join(file->thread, NULL);
	vmdk_close(&file->vmdk);
	pthread_mutex_destroy(&file->lock);
	pthread_cond_destroy(&file->wake);
	free(file);
}

const struct lab_driver lab_file_driver = {
	.open = file_open, .submit = file_submit, .close = file_close};
