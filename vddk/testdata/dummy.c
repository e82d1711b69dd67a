/*
 * A library that watches how it is called, and misbehaves on demand. It ends the
 * process, saying why, when a rule of VMware's is broken: a call from a thread that is older than
 * InitEx; connections, Open and Close on more than one thread, or two at once; a
 * handle's calls on more than one thread; the synchronous calls; more than 32
 * requests in flight on a handle, or any that are not waited for at Flush and
 * Close; a NULL where one kills. It misbehaves for the sectors and names below.
 * Connections and handles are mostly NULL, and a completion comes on the caller's
 * thread before ReadAsync returns, and once more from another.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../abi.h"

enum { CAPACITY = 1024, SLOW = 1017, LOST = 1018, HANG = 1019, PANIC = 1020, PIPE = 1021, REFUSE = 1022, QUIET = 1023 };

static VixLogFunc panic_line, warn_line;

static void say(VixLogFunc to, const char *format, ...) {
	va_list args;
	va_start(args, format);
	to(format, args);
	va_end(args);
}

static void handler(int number) { (void)number; }

static void install(int number) {
	struct sigaction action = {.sa_handler = handler}; /* no SA_ONSTACK */
	sigaction(number, &action, NULL);
}

__attribute__((constructor)) static void loaded(void) { install(SIGWINCH); }

#define RULE(holds) \
	if (!(holds)) { \
		fprintf(stderr, "rule broken in %s: %s\n", __func__, #holds); \
		_exit(99); \
	}

/* Until a file appears, which may be never. */
static void hang(void) {
	const char *release = getenv("IVD_VDDK_TEST_RELEASE");
	while (!release || access(release, F_OK) != 0)
		usleep(1000);
}

static struct {
	pid_t old[256]; /* threads that are older than InitEx */
	int count;
	pid_t control;
	int inside; /* calls on the control thread */
} watch;

static void remember_threads(void) {
	DIR *tasks = opendir("/proc/self/task");
	for (struct dirent *e; tasks && (e = readdir(tasks)) && watch.count < 256;)
		if (e->d_name[0] != '.')
			watch.old[watch.count++] = atoi(e->d_name);
	closedir(tasks);
}

static int young(void) {
	for (int i = 0; i < watch.count; i++)
		if (watch.old[i] == gettid())
			return 0;
	return 1;
}

static void enter_control(void) {
	RULE(young());
	if (!watch.control)
		watch.control = gettid();
	RULE(watch.control == gettid());
	RULE(__atomic_add_fetch(&watch.inside, 1, __ATOMIC_SEQ_CST) == 1);
}

static VixError leave_control(VixError err) {
	__atomic_sub_fetch(&watch.inside, 1, __ATOMIC_SEQ_CST);
	return err;
}

/* What hangs has left the rule behind: the next comes on another thread. */
static VixError hang_in_control(VixError err) {
	watch.control = 0;
	leave_control(0);
	hang();
	return err;
}

static struct watched {
	pid_t thread;
	int inside, flying, waited;
} handles[16];

static struct watched *enter(VixHandle *handle) {
	struct watched *w = &handles[(uintptr_t)handle];
	RULE((uintptr_t)handle < 16);
	RULE(young());
	if (!w->thread)
		w->thread = gettid();
	RULE(w->thread == gettid());
	RULE(__atomic_add_fetch(&w->inside, 1, __ATOMIC_SEQ_CST) == 1);
	return w;
}

static VixError leave(struct watched *w, VixError err) {
	__atomic_sub_fetch(&w->inside, 1, __ATOMIC_SEQ_CST);
	return err;
}

VixError VixDiskLib_InitEx(uint32_t major, uint32_t minor, VixLogFunc log, VixLogFunc warn, VixLogFunc panic,
			   const char *libDir, const char *configFile) {
	(void)configFile;
	RULE(log && warn && panic && libDir);
	RULE(gettid() == getpid());
	remember_threads();
	panic_line = panic;
	warn_line = warn;
	say(log, "version %u.%u\n", major, minor);
	say(warn, "Get CEIP status failed: %s\n", "nobody asked");
	say(warn, "a warning of %d %s\n", 3, "words");
	install(SIGUSR2);
	return 0;
}

void VixDiskLib_Exit(void) {
	puts("dummy: Exit");
	fflush(stdout);
}

char *VixDiskLib_GetErrorText(VixError err, const char *locale) {
	(void)err;
	RULE(!locale);
	RULE(young());
	return strdup("dummy error");
}

void VixDiskLib_FreeErrorText(char *text) { free(text); }
void VixDiskLib_FreeConnectParams(VixConnectParams *params) { (void)params; abort(); }

static int called(const VixConnectParams *params, const char *name) {
	return params->serverName && strcmp(params->serverName, name) == 0;
}

VixError VixDiskLib_ConnectEx(const VixConnectParams *params, VixBool readOnly, const char *snapshot, const char *modes,
			      VixConnection **connection) {
	(void)readOnly, (void)modes;
	RULE(!snapshot && connection);
	enter_control();
	if (called(params, "hang"))
		return hang_in_control(0);
	if (called(params, "hang at the end"))
		*connection = (VixConnection *)1;
	return leave_control(0xabcd0000); /* the upper bits mean nothing */
}

VixError VixDiskLib_Disconnect(VixConnection *connection) {
	enter_control();
	return connection ? hang_in_control(0) : leave_control(0);
}

/* "/3" is handle 3; others are NULL. */
VixError VixDiskLib_Open(VixConnection *connection, const char *path, uint32_t flags, VixHandle **handle) {
	(void)connection, (void)flags;
	RULE(path);
	enter_control();
	install(SIGIO);
	if (strcmp(path, "/hang") == 0)
		return hang_in_control(0);
	uintptr_t number = (uintptr_t)atoi(path + 1);
	if (number)
		*handle = (VixHandle *)number;
	handles[number] = (struct watched){.waited = 1};
	return leave_control(0);
}

/* Handle 9's close hangs. */
VixError VixDiskLib_Close(VixHandle *handle) {
	struct watched *w = &handles[(uintptr_t)handle];
	enter_control();
	RULE(w->flying == 0 && w->waited && w->inside == 0);
	return handle == (VixHandle *)9 ? hang_in_control(0) : leave_control(0);
}

VixError VixDiskLib_Read(VixHandle *handle, uint64_t sector, uint64_t count, uint8_t *buffer) {
	(void)handle, (void)sector, (void)count, (void)buffer;
	RULE(!"synchronous");
	return 0;
}

#ifdef WITH_ACCESS
static VixError access_to(const VixConnectParams *params, const char *identity) {
	RULE(params && identity && *identity && strlen(identity) <= 50);
	RULE(young());
	if (strcmp(identity, "hang") == 0)
		hang();
	return 0;
}
VixError VixDiskLib_PrepareForAccess(const VixConnectParams *params, const char *identity) { return access_to(params, identity); }
VixError VixDiskLib_EndAccess(const VixConnectParams *params, const char *identity) { return access_to(params, identity); }
#endif

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

struct slow {
	struct watched *handle;
	struct late late;
};

/* Nothing is in flight any more before the callback: Wait may return while it runs. */
static void *land_slowly(void *arg) {
	struct slow *slow = arg;
	usleep(2000);
	__atomic_sub_fetch(&slow->handle->flying, 1, __ATOMIC_SEQ_CST);
	usleep(500);
	slow->late.callback(slow->late.data, 0);
	free(slow);
	return NULL;
}

static void begin_slowly(struct watched *w, VixCompletionFunc callback, void *data) {
	struct slow *slow = malloc(sizeof *slow);
	pthread_t thread;
	RULE(slow);
	*slow = (struct slow){w, {callback, data}};
	RULE(__atomic_add_fetch(&w->flying, 1, __ATOMIC_SEQ_CST) <= 32);
	RULE(pthread_create(&thread, NULL, land_slowly, slow) == 0);
	pthread_detach(thread);
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
	struct watched *w = enter(handle);
	w->waited = 0;
	if (sector == HANG) {
		w->flying++;
		hang();
		callback(data, 0); /* late */
		return leave(w, VIX_ASYNC);
	}
	if (sector == LOST) {
		w->flying++;
		return leave(w, VIX_ASYNC);
	}
	if (sector == SLOW) {
		begin_slowly(w, callback, data);
		return leave(w, VIX_ASYNC);
	}
	if (sector == PANIC)
		say(panic_line, "ASSERT %s:%d\n", "bora/lib/ssl/ssl.c", 12);
	if (sector == PIPE)
		in_thread(break_pipe, NULL);
	if (sector == REFUSE) {
		say(warn_line, "no more of this\n");
		return leave(w, 0x100000000 + 16007);
	}
	memset(buffer, (int)(sector & 0xff), count * VIX_SECTOR_SIZE);
	if (sector == QUIET)
		return leave(w, 0); /* done, and no callback */
	/* The one before once more, while this one is under way; and this one twice. */
	if (before && sector % 7 == 1)
		in_thread(call_again, &(struct late){callback, before});
	callback(data, 0);
	if (sector % 7 == 0)
		in_thread(call_again, &(struct late){callback, data});
	before = data;
	return leave(w, VIX_ASYNC);
}

VixError VixDiskLib_WriteAsync(VixHandle *handle, uint64_t sector, uint64_t count, const uint8_t *buffer,
			       VixCompletionFunc callback, void *data) {
	struct watched *w = enter(handle);
	(void)sector, (void)count, (void)buffer;
	w->waited = 0;
	callback(data, 8);
	return leave(w, VIX_ASYNC);
}

#ifndef WITHOUT_WAIT
VixError VixDiskLib_Wait(VixHandle *handle) {
	struct watched *w = enter(handle);
	while (__atomic_load_n(&w->flying, __ATOMIC_SEQ_CST))
		usleep(100);
	w->waited = 1;
	return leave(w, 0);
}
#endif

VixError VixDiskLib_Flush(VixHandle *handle) {
	struct watched *w = enter(handle);
	RULE(w->flying == 0 && w->waited);
	return leave(w, 0);
}
