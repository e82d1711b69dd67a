/*
 * A library that keeps to the letter of the ABI and to nothing of its spirit, in
 * the manner of nbdkit's dummy: no optional function; connections and handles
 * stay NULL; a completion comes on the caller's thread before ReadAsync returns,
 * and once more from another; FreeConnectParams must not be called. Some sectors
 * do what real libraries do on a bad day.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../abi.h"

enum { CAPACITY = 1024, PANIC = 1020, PIPE = 1021, REFUSE = 1022, QUIET = 1023 };

static VixLogFunc panic_line, warn_line;

static void say(VixLogFunc to, const char *format, ...) {
	va_list args;
	va_start(args, format);
	to(format, args);
	va_end(args);
}

static void handler(int number) { (void)number; }

VixError VixDiskLib_InitEx(uint32_t major, uint32_t minor, VixLogFunc log, VixLogFunc warn, VixLogFunc panic,
			   const char *libDir, const char *configFile) {
	(void)libDir, (void)configFile;
	panic_line = panic;
	warn_line = warn;
	say(log, "version %u.%u\n", major, minor);
	say(warn, "Get CEIP status failed: %s\n", "nobody asked");
	say(warn, "a warning of %d %s\n", 3, "words");
	struct sigaction action = {.sa_handler = handler}; /* no SA_ONSTACK */
	sigaction(SIGUSR2, &action, NULL);
	return 0;
}

void VixDiskLib_Exit(void) {}
char *VixDiskLib_GetErrorText(VixError err, const char *locale) { (void)err, (void)locale; return strdup("dummy error"); }
void VixDiskLib_FreeErrorText(char *text) { free(text); }
void VixDiskLib_FreeConnectParams(VixConnectParams *params) { (void)params; abort(); }

VixError VixDiskLib_ConnectEx(const VixConnectParams *params, VixBool readOnly, const char *snapshot, const char *modes,
			      VixConnection **connection) {
	(void)params, (void)readOnly, (void)snapshot, (void)modes, (void)connection;
	return 0xabcd0000; /* the upper bits mean nothing */
}

VixError VixDiskLib_Disconnect(VixConnection *connection) { (void)connection; return 0; }

VixError VixDiskLib_Open(VixConnection *connection, const char *path, uint32_t flags, VixHandle **handle) {
	(void)connection, (void)path, (void)flags, (void)handle;
	return 0;
}

VixError VixDiskLib_Close(VixHandle *handle) { (void)handle; return 0; }

VixError VixDiskLib_GetInfo(VixHandle *handle, VixInfo **info) {
	(void)handle;
	/* As before version 7: what is after the uuid is not the struct's. */
	*info = calloc(1, offsetof(VixInfo, logicalSectorSize));
	(*info)->capacity = CAPACITY;
	return 0;
}

void VixDiskLib_FreeInfo(VixInfo *info) { free(info); }
const char *VixDiskLib_GetTransportMode(VixHandle *handle) { (void)handle; return "file"; }

static void *break_pipe(void *arg) {
	int ends[2];
	(void)arg;
	if (pipe(ends) != 0)
		abort();
	close(ends[0]);
	sigset_t none;
	sigemptyset(&none);
	pthread_sigmask(SIG_SETMASK, &none, NULL);
	if (write(ends[1], "x", 1) >= 0)
		abort();
	close(ends[1]);
	return NULL;
}

struct late {
	VixCompletionFunc callback;
	void *data;
};

static void *call_again(void *arg) {
	struct late *late = arg;
	late->callback(late->data, 1);
	return NULL;
}

static void *before; /* the callback data of the read before */

static void in_thread(void *(*body)(void *), void *arg) {
	pthread_t thread;
	if (pthread_create(&thread, NULL, body, arg) != 0)
		abort();
	pthread_join(thread, NULL);
}

VixError VixDiskLib_ReadAsync(VixHandle *handle, uint64_t sector, uint64_t count, uint8_t *buffer,
			      VixCompletionFunc callback, void *data) {
	(void)handle;
	if (sector == PANIC)
		say(panic_line, "ASSERT %s:%d\n", "bora/lib/ssl/ssl.c", 12);
	if (sector == PIPE)
		in_thread(break_pipe, NULL);
	if (sector == REFUSE) {
		say(warn_line, "no more of this\n");
		return 0x100000000 + 16007;
	}
	memset(buffer, (int)(sector & 0xff), count * VIX_SECTOR_SIZE);
	if (sector == QUIET)
		return 0; /* done, and no callback */
	/* The one before once more, while this one is under way; and this one twice. */
	if (before && sector % 7 == 1)
		in_thread(call_again, &(struct late){callback, before});
	callback(data, 0);
	if (sector % 7 == 0)
		in_thread(call_again, &(struct late){callback, data});
	before = data;
	return VIX_ASYNC;
}

VixError VixDiskLib_WriteAsync(VixHandle *handle, uint64_t sector, uint64_t count, const uint8_t *buffer,
			       VixCompletionFunc callback, void *data) {
	(void)handle, (void)sector, (void)count, (void)buffer;
	callback(data, 8);
	return VIX_ASYNC;
}

#ifndef WITHOUT_WAIT
VixError VixDiskLib_Wait(VixHandle *handle) { (void)handle; return 0; }
#endif
VixError VixDiskLib_Flush(VixHandle *handle) { (void)handle; return 0; }
