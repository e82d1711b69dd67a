/* What is wrong: the real library would crash, or go wrong some day. */
#include <dlfcn.h>
#include <semaphore.h>
#include <signal.h>
#include <unistd.h>

#include "check.h"

static void read_after_close(void) {
	init_here();
	VixConnection *connection = local();
	VixHandle *handle = open_local(connection, VIX_FLAG_OPEN_READ_ONLY);
	VixHandle *others[70];
	WANT(VixDiskLib_Close(handle), VIX_OK);
	for (int i = 0; i < 60; i++) /* its memory is not somebody else's yet */
		others[i] = open_local(connection, VIX_FLAG_OPEN_READ_ONLY);
	WANT(VixDiskLib_Close(others[0]), VIX_OK);
	VixDiskLib_Read(handle, 0, 8, buffer);
}

static void close_twice(void) {
	init_here();
	VixHandle *handle = open_local(local(), VIX_FLAG_OPEN_READ_ONLY);
	WANT(VixDiskLib_Close(handle), VIX_OK);
	VixDiskLib_Close(handle);
}

static void disconnect_twice(void) {
	init_here();
	VixConnection *connection = local();
	WANT(VixDiskLib_Disconnect(connection), VIX_OK);
	VixDiskLib_Disconnect(connection);
}

static void no_handle(void) {
	init_here();
	VixDiskLib_Flush(NULL);
}

static void no_buffer(void) {
	init_here();
	VixDiskLib_Read(open_local(local(), VIX_FLAG_OPEN_READ_ONLY), 0, 8, NULL);
}

static void no_info(void) {
	init_here();
	VixDiskLib_GetInfo(open_local(local(), VIX_FLAG_OPEN_READ_ONLY), NULL);
}

static void no_path(void) {
	VixHandle *handle;
	init_here();
	VixDiskLib_Open(local(), NULL, 0, &handle);
}

static void no_identity(void) {
	init_here();
	VixDiskLib_PrepareForAccess(disk_of_its_own(), NULL);
}

static void no_name(void) {
	typedef VixError (*init_func)(uint32_t, uint32_t, VixLogFunc, VixLogFunc, VixLogFunc, const char *, const char *);
	typedef VixError (*open_func)(VixConnection *, const char **, size_t, uint32_t, void **);
	void *library = dlopen("libvixMntapi.so.8", RTLD_NOW), *set;
	init_func mnt_init = library ? (init_func)dlsym(library, "VixMntapi_Init") : NULL;
	open_func open_disks = library ? (open_func)dlsym(library, "VixMntapi_OpenDisks") : NULL;
	const char *names[1] = {NULL};
	init_here();
	if (!mnt_init || !open_disks)
		exit(1);
	WANT(mnt_init(1, 0, silent, silent, silent, NULL, NULL), VIX_OK);
	open_disks(local(), names, 1, VIX_FLAG_OPEN_READ_ONLY, &set);
}

static void *open_and_close(void *connection) {
	for (;;)
		VixDiskLib_Close(open_local(connection, VIX_FLAG_OPEN_READ_ONLY));
	return NULL;
}

static void open_at_once(void) {
	init_here();
	VixConnection *connection = local();
	pthread_t thread;
	pthread_create(&thread, NULL, open_and_close, connection);
	open_and_close(connection);
}

static sem_t reached, never;

static void stay(void *data, VixError result) {
	(void)data, (void)result;
	sem_post(&reached);
	sem_wait(&never);
}

static VixHandle *busy_handle(VixConnection *connection) {
	sem_init(&reached, 0, 0);
	sem_init(&never, 0, 0);
	VixHandle *handle = open_local(connection, VIX_FLAG_OPEN_READ_ONLY);
	WANT(VixDiskLib_ReadAsync(handle, 0, 8, buffer, stay, NULL), VIX_ASYNC);
	sem_wait(&reached);
	return handle;
}

static void close_while_busy(void) {
	init_here();
	VixDiskLib_Close(busy_handle(local()));
}

static void disconnect_while_open(void) {
	init_here();
	VixConnection *connection = local();
	open_local(connection, VIX_FLAG_OPEN_READ_ONLY);
	VixDiskLib_Disconnect(connection);
}

static void *wait_for_it(void *handle) {
	VixDiskLib_Wait(handle);
	return NULL;
}

static void two_calls_at_once(void) {
	init_here();
	VixHandle *handle = busy_handle(local());
	pthread_t thread;
	pthread_create(&thread, NULL, wait_for_it, handle);
	VixError err;
	do
		err = VixDiskLib_ReadAsync(handle, 0, 8, buffer, stay, NULL);
	while (err == VIX_ASYNC); /* until the other thread is in Wait: then it aborts */
}

/* ---- threads that Open and Close come on ---- */

static void *open_and_close_once(void *connection) {
	WANT(VixDiskLib_Close(open_local(connection, VIX_FLAG_OPEN_READ_ONLY)), VIX_OK);
	return NULL;
}

static void *open_and_stay(void *connection) {
	open_and_close_once(connection);
	sem_post(&reached);
	sem_wait(&never);
	return NULL;
}

static void on_a_thread(void *(*body)(void *), void *arg) {
	pthread_t thread;
	if (pthread_create(&thread, NULL, body, arg) != 0)
		abort();
	if (body == open_and_close_once)
		pthread_join(thread, NULL);
	else
		sem_wait(&reached);
}

static void two_threads(void) {
	init_here();
	VixConnection *connection = local();
	sem_init(&reached, 0, 0);
	sem_init(&never, 0, 0);
	on_a_thread(open_and_stay, connection);
	on_a_thread(open_and_close_once, connection);
}

/* nbdkit's threads serve a connection each, and end with it. */
static void thread_after_thread(void) {
	init_here();
	VixConnection *connection = local();
	for (int i = 0; i < 3; i++)
		on_a_thread(open_and_close_once, connection);
}

static void post_when_it_hangs(const char *line) {
	if (strstr(line, "hangs"))
		sem_post(&reached);
}

static void *connect_for_ever(void *connection) {
	VixConnectParams zero = {0};
	open_and_close_once(connection);
	write_text("faults.json", "[{\"call\": \"ConnectEx\", \"do\": \"hang\"}]");
	heard = post_when_it_hangs;
	VixDiskLib_Connect(&zero, &(VixConnection *){0});
	return NULL;
}

/* What a call does not let go is given up, and its thread with it. */
static void thread_after_a_hang(void) {
	init_here();
	VixConnection *connection = local();
	sem_init(&reached, 0, 0);
	on_a_thread(connect_for_ever, connection);
	on_a_thread(open_and_close_once, connection);
	unlink("faults.json");
}

const struct check_case wrong_cases[] = {
	{"Close while busy", close_while_busy, SIGABRT, "outstanding-at-close"},
	{"Disconnect while open", disconnect_while_open, SIGABRT, "open-at-disconnect"},
	{"two calls at once", two_calls_at_once, SIGABRT, "handle-at-once"},
	{"Read after Close", read_after_close, SIGABRT, "closed-handle"}, {"Close twice", close_twice, SIGABRT, "closed-handle"},
	{"Disconnect twice", disconnect_twice, SIGABRT, "closed-connection"}, {"no handle", no_handle, SIGABRT, "null"},
	{"no buffer", no_buffer, SIGABRT, "null"}, {"no info", no_info, SIGABRT, "null"}, {"no path", no_path, SIGABRT, "null"},
	{"no identity", no_identity, SIGABRT, "null"}, {"no name", no_name, SIGABRT, "mntapi-null"},
	{"Open at once", open_at_once, SIGABRT, "open-close-at-once"}, {"two threads", two_threads, 0, "open-close-thread"},
	{"thread after thread", thread_after_thread, 0, NULL}, {"thread after a hang", thread_after_a_hang, 0, NULL}, {0},
};
