/* The "file" transport: a raw image on this machine. One thread for a handle
 * works off its requests in order. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lab.h"

struct file {
	int fd;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct lab_request *first, **last;
	bool stop;
};

static VixError transfer(struct file *file, struct lab_request *request) {
	size_t left = request->count * VIX_SECTOR_SIZE;
	off_t at = (off_t)(request->sector * VIX_SECTOR_SIZE);
	uint8_t *buffer = request->buffer;
	while (left > 0) {
		ssize_t n = request->op == LAB_READ ? pread(file->fd, buffer, left, at) : pwrite(file->fd, buffer, left, at);
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

/* The parts that are not holes, rounded outwards to chunks; the whole range where the
 * file system does not know its holes. */
static VixError allocated(struct file *file, struct lab_request *request) {
	struct lab_blocks blocks = {0};
	uint64_t chunk = request->chunk * VIX_SECTOR_SIZE;
	uint64_t at = request->sector * VIX_SECTOR_SIZE, end = at + request->count * VIX_SECTOR_SIZE;
	while (at < end) {
		off_t data = lseek(file->fd, (off_t)at, SEEK_DATA);
		if (data < 0 && errno == ENXIO)
			break;
		off_t hole = data < 0 ? (off_t)end : lseek(file->fd, data, SEEK_HOLE);
		if (data < 0)
			data = (off_t)at;
		if (hole < 0)
			hole = (off_t)end;
		if ((uint64_t)data >= end)
			break;
		uint64_t from = (uint64_t)data / chunk * chunk, to = ((uint64_t)hole + chunk - 1) / chunk * chunk;
		if (to > end)
			to = end;
		lab_blocks_add(&blocks, from / VIX_SECTOR_SIZE, (to - from) / VIX_SECTOR_SIZE);
		at = to;
	}
	request->blocks = lab_blocks_done(&blocks);
	return request->blocks ? VIX_OK : VIX_OUT_OF_MEMORY;
}

static VixError work(struct file *file, struct lab_request *request) {
	switch (request->op) {
	case LAB_READ:
	case LAB_WRITE:
		return transfer(file, request);
	case LAB_ALLOCATED:
		return allocated(file, request);
	case LAB_FLUSH:
		return fdatasync(file->fd) == 0 ? VIX_OK : lab_from_errno(errno);
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

/* Several handles may read, or one may write. */
static VixError open_locked(VixHandle *handle, const char *path, int *fd) {
	*fd = open(path, (handle->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
	if (*fd < 0) {
		int number = errno;
		lab_log("cannot open %s: %s\n", path, strerror(number));
		return lab_from_errno(number);
	}
	struct stat st;
	VixError err = VIX_OK;
	if (fstat(*fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size % VIX_SECTOR_SIZE)
		err = VIX_INCORRECT_FILE_TYPE;
	else if (flock(*fd, (handle->read_only ? LOCK_SH : LOCK_EX) | LOCK_NB) != 0)
		err = VIX_FILE_ALREADY_LOCKED;
	if (err != VIX_OK)
		close(*fd);
	else
		handle->capacity = (uint64_t)st.st_size / VIX_SECTOR_SIZE;
	return err;
}

static VixError file_open(VixHandle *handle, const char *path) {
	int fd;
	VixError err = open_locked(handle, path, &fd);
	if (err != VIX_OK)
		return err;
	struct file *file = calloc(1, sizeof *file);
	if (!file) {
		close(fd);
		return VIX_OUT_OF_MEMORY;
	}
	file->fd = fd;
	file->last = &file->first;
	pthread_mutex_init(&file->lock, NULL);
	pthread_cond_init(&file->wake, NULL);
	handle->disk = file;
	if (lab_thread(&file->thread, file_thread, file) != 0) {
		close(fd);
		free(file);
		return VIX_OUT_OF_MEMORY;
	}
	return VIX_OK;
}

static void file_close(VixHandle *handle) {
	struct file *file = handle->disk;
	pthread_mutex_lock(&file->lock);
	file->stop = true;
	pthread_cond_signal(&file->wake);
	pthread_mutex_unlock(&file->lock);
	pthread_join(file->thread, NULL);
	close(file->fd);
	pthread_mutex_destroy(&file->lock);
	pthread_cond_destroy(&file->wake);
	free(file);
}

const struct lab_driver lab_file_driver = {
	.open = file_open, .submit = file_submit, .close = file_close};
