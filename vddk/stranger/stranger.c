/*
 * A stranger: a libvixDiskLib by another hand than the laboratory's, with the
 * habits of the library that nbdkit is tested with. It shares no line with the
 * laboratory's library and no header with the binding: what it knows of the ABI
 * is declared here, so that a mistake in the binding's declarations shows.
 *
 * Its habits: nineteen functions and no more; SONAME .so.6; ConnectEx and Open
 * succeed and leave their out pointers alone; a completion comes on the caller's
 * thread, before ReadAsync returns; no line is ever logged; FreeConnectParams,
 * which nobody may call that has not allocated with the library, aborts; sector
 * sizes are 0, there is no UUID and no parent; the upper half of a result is full
 * of dirt; one thread is made by InitEx, and Open aborts where it is gone. One
 * disk is open at a time: an existing file by its path, or else 1024 sectors of
 * memory.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef void log_function(const char *, va_list);
typedef void completion(void *, uint64_t);

struct info {
	uint32_t geometry[6];
	uint64_t capacity;
	int32_t adapter, links;
	char *parent, *uuid;
	uint32_t logical, physical;
};

enum { SECTOR = 512, CAPACITY = 1024, ASYNC = 25000, FILE_NOT_FOUND = 4, NOT_SUPPORTED = 6, FILE_ERROR = 7, READ_ONLY = 11, OUTOFRANGE = 16007 };
#define DIRT (0x5eed000000000000u | 0x70000u) /* nothing of it is the code */

static uint8_t memory[CAPACITY * SECTOR];
static struct {
	int fd; /* negative: the memory */
	uint64_t capacity;
	int read_only;
} disk = {.fd = -1, .capacity = CAPACITY};

static struct {
	pthread_t thread;
	pid_t process;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	int stop;
} background = {.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};

static void *idle(void *arg) {
	pthread_mutex_lock(&background.lock);
	while (!background.stop)
		pthread_cond_wait(&background.wake, &background.lock);
	pthread_mutex_unlock(&background.lock);
	return arg;
}

uint64_t VixDiskLib_InitEx(uint32_t major, uint32_t minor, log_function *log, log_function *warn, log_function *panic,
			   const char *libDir, const char *configFile) {
	(void)minor, (void)libDir, (void)configFile;
	if (major != 6 || !log || !warn || !panic || getpid() != gettid())
		abort();
	if (pthread_create(&background.thread, NULL, idle, NULL) != 0)
		abort();
	background.process = getpid();
	return DIRT;
}

void VixDiskLib_Exit(void) {
	pthread_mutex_lock(&background.lock);
	background.stop = 1;
	pthread_cond_signal(&background.wake);
	pthread_mutex_unlock(&background.lock);
	pthread_join(background.thread, NULL);
}

static char words[] = "stranger error";
char *VixDiskLib_GetErrorText(uint64_t err, const char *locale) {
	(void)err;
	return locale ? NULL : words;
}
void VixDiskLib_FreeErrorText(char *text) {
	if (text && text != words)
		abort();
}
void VixDiskLib_FreeConnectParams(void *params) {
	(void)params;
	abort();
}

uint64_t VixDiskLib_ConnectEx(const void *params, char readOnly, const char *snapshot, const char *modes, void **connection) {
	if (!params || !connection || snapshot)
		abort();
	(void)readOnly, (void)modes;
	return DIRT;
}
uint64_t VixDiskLib_Disconnect(void *connection) {
	if (connection)
		abort();
	return DIRT;
}

uint64_t VixDiskLib_Open(void *connection, const char *path, uint32_t flags, void **handle) {
	struct stat st;
	if (connection || !handle || !path)
		abort();
	if (getpid() != background.process || pthread_kill(background.thread, 0) != 0)
		abort();
	disk.read_only = flags & 4;
	disk.fd = open(path, (disk.read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
	disk.capacity = CAPACITY;
	if (disk.fd < 0)
		return strcmp(path, "/none") == 0 ? DIRT | FILE_NOT_FOUND : DIRT;
	if (fstat(disk.fd, &st) != 0)
		abort();
	disk.capacity = (uint64_t)st.st_size / SECTOR;
	return DIRT;
}
uint64_t VixDiskLib_Close(void *handle) {
	if (handle)
		abort();
	if (disk.fd >= 0)
		close(disk.fd);
	disk.fd = -1;
	return DIRT;
}
const char *VixDiskLib_GetTransportMode(void *handle) {
	(void)handle;
	return "file";
}

uint64_t VixDiskLib_GetInfo(void *handle, struct info **info) {
	(void)handle;
	*info = calloc(1, sizeof **info);
	(*info)->capacity = disk.capacity;
	return DIRT;
}
void VixDiskLib_FreeInfo(struct info *info) {
	free(info);
}

/* Read and Write are there, and nobody may call them beside the others. */
uint64_t VixDiskLib_Read(void *handle, uint64_t sector, uint64_t count, uint8_t *buffer) {
	(void)handle, (void)sector, (void)count, (void)buffer;
	abort();
}
uint64_t VixDiskLib_Write(void *handle, uint64_t sector, uint64_t count, const uint8_t *buffer) {
	(void)handle, (void)sector, (void)count, (void)buffer;
	abort();
}
uint64_t VixDiskLib_Create(void *connection, const char *path, const void *params, void *progress, void *data) {
	(void)connection, (void)path, (void)params, (void)progress, (void)data;
	return DIRT | NOT_SUPPORTED;
}

static int inside(uint64_t sector, uint64_t count) {
	return sector <= disk.capacity && count <= disk.capacity - sector;
}

uint64_t VixDiskLib_ReadAsync(void *handle, uint64_t sector, uint64_t count, uint8_t *buffer, completion *callback, void *data) {
	if (handle || !buffer || !callback)
		abort();
	if (!inside(sector, count))
		return DIRT | OUTOFRANGE;
	if (disk.fd < 0)
		memcpy(buffer, memory + sector * SECTOR, count * SECTOR);
	else if (pread(disk.fd, buffer, count * SECTOR, (off_t)(sector * SECTOR)) != (ssize_t)(count * SECTOR)) {
		callback(data, DIRT | FILE_ERROR);
		return DIRT | ASYNC;
	}
	callback(data, DIRT);
	return DIRT | ASYNC;
}

uint64_t VixDiskLib_WriteAsync(void *handle, uint64_t sector, uint64_t count, const uint8_t *buffer, completion *callback, void *data) {
	if (handle || !buffer || !callback)
		abort();
	if (disk.read_only)
		return DIRT | READ_ONLY;
	if (!inside(sector, count))
		return DIRT | OUTOFRANGE;
	if (disk.fd < 0)
		memcpy(memory + sector * SECTOR, buffer, count * SECTOR);
	else if (pwrite(disk.fd, buffer, count * SECTOR, (off_t)(sector * SECTOR)) != (ssize_t)(count * SECTOR)) {
		callback(data, DIRT | FILE_ERROR);
		return DIRT | ASYNC;
	}
	callback(data, DIRT);
	return DIRT | ASYNC;
}

uint64_t VixDiskLib_Wait(void *handle) {
	(void)handle;
	return DIRT;
}
uint64_t VixDiskLib_Flush(void *handle) {
	(void)handle;
	return disk.fd < 0 || fdatasync(disk.fd) == 0 ? DIRT : DIRT | FILE_ERROR;
}
