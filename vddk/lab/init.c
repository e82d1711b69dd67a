/* InitEx and Exit, once for the process, and the functions that log. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "faults.h"
#include "world.h"

struct lab_config lab_config;

static struct {
	pthread_mutex_t lock;
	bool ready;
	VixLogFunc log, warn, panic;
} lib = {.lock = PTHREAD_MUTEX_INITIALIZER};

bool lab_ready(void) {
	pthread_mutex_lock(&lib.lock);
	bool ready = lib.ready;
	pthread_mutex_unlock(&lib.lock);
	return ready;
}

void lab_log(const char *format, ...) {
	va_list args;
	va_start(args, format);
	if (lib.log)
		lib.log(format, args);
	va_end(args);
}

void lab_warn(const char *format, ...) {
	va_list args;
	va_start(args, format);
	if (lib.warn)
		lib.warn(format, args);
	else
		vfprintf(stderr, format, args);
	va_end(args);
}

_Noreturn void lab_panic(const char *format, ...) {
	va_list args;
	va_start(args, format);
	if (lib.panic)
		lib.panic(format, args);
	else
		vfprintf(stderr, format, args);
	va_end(args);
	abort();
}

/* A thread of the library leaves the signals of its program to the program. */
int lab_thread(pthread_t *thread, void *(*body)(void *), void *arg) {
	sigset_t all, old;
	sigfillset(&all);
	sigdelset(&all, SIGPIPE); /* as the real library: writing to a broken socket is the program's matter */
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int failed = pthread_create(thread, NULL, body, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return failed;
}

static void look_for_plugins(const char *libDir) {
	char path[4096];
	if (!libDir)
		return;
	snprintf(path, sizeof path, "%s/lib64", libDir);
	if (access(path, R_OK) != 0)
		lab_log("No transport plugin below %s. Advanced transports not available\n", libDir);
}

static void forget(void) {
	pthread_mutex_lock(&lib.lock);
	lib.ready = false;
	lib.log = lib.warn = lib.panic = NULL;
	pthread_mutex_unlock(&lib.lock);
}

API VixError VixDiskLib_InitEx(uint32_t major, uint32_t minor, VixLogFunc log, VixLogFunc warn,
			       VixLogFunc panic, const char *libDir, const char *configFile) {
	if (major < 5 || major > 9)
		return VIX_INVALID_ARG;
	struct lab_config config = {
		.buffer_size = 64 * 1024, .buffer_count = 4, .connect_ms = 15000, .read_ms = 60000};
	pthread_mutex_lock(&lib.lock);
	if (lib.ready) {
		pthread_mutex_unlock(&lib.lock);
		lab_warn("VixDiskLib_InitEx was called before: once in a process\n");
		return VIX_FAIL;
	}
	lib.log = log;
	lib.warn = warn;
	lib.panic = panic;
	VixError err = configFile ? lab_read_config(configFile, &config) : VIX_OK;
	if (err == VIX_OK)
		err = lab_load_companion();
	if (err == VIX_OK) {
		lab_config = config;
		lib.ready = true;
	}
	pthread_mutex_unlock(&lib.lock);
	if (err == VIX_OK) {
		lab_world(config.dir);
		err = lab_fault(&(struct lab_call){.name = "InitEx"});
		if (err != VIX_OK)
			forget();
	}
	if (err == VIX_OK) {
		lab_log("VixDiskLib: laboratory library, initialised for version %u.%u\n", major, minor);
		look_for_plugins(libDir);
	}
	return err;
}

API VixError VixDiskLib_Init(uint32_t major, uint32_t minor, VixLogFunc log, VixLogFunc warn,
			     VixLogFunc panic, const char *libDir) {
	return VixDiskLib_InitEx(major, minor, log, warn, panic, libDir, NULL);
}

API void VixDiskLib_Exit(void) {
	lab_fault(&(struct lab_call){.name = "Exit"});
	unsigned handles = lab_count_VixHandle(), connections = lab_count_VixConnection();
	if (handles + connections > 0)
		lab_report(NULL, "open-at-exit", "VixDiskLib_Exit with %u handles and %u connections open", handles, connections);
	lab_access_at_exit();
	forget();
}
