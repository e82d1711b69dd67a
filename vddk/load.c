/* See shim.h. The library is never unloaded: its threads may outlive Exit. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shim.h"

struct ivd_vix ivd_vix;
uint32_t ivd_major;

char *ivd_load(const char *path) {
	void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!library)
		return strdup(dlerror());
	const char *missing = NULL;
#define TAKE(result, name, args) ivd_vix.name = (result(*) args)dlsym(library, "VixDiskLib_" #name);
#define NEED(result, name, args) \
	TAKE(result, name, args) \
	if (!ivd_vix.name && !missing) \
		missing = "VixDiskLib_" #name;
	VIX_SYMBOLS(NEED, TAKE)
#undef NEED
#undef TAKE
	char *text = NULL;
	if (missing && asprintf(&text, "%s: undefined symbol: %s", path, missing) < 0)
		return strdup(missing);
	return text;
}

int ivd_optional(int place, const char **name) {
	int at = 0;
#define SKIP(result, name_, args)
#define LOOK(result, name_, args) \
	if (at++ == place) { \
		*name = #name_; \
		return ivd_vix.name_ != NULL; \
	}
	VIX_SYMBOLS(SKIP, LOOK)
#undef SKIP
#undef LOOK
	return -1;
}

VixError ivd_init(uint32_t major, uint32_t minor, const char *libdir, const char *config) {
	ivd_major = major;
	return ivd_vix.InitEx(major, minor, ivd_log, ivd_warn, ivd_panic, libdir, config);
}

void ivd_exit(void) {
	ivd_vix.Exit();
}

int ivd_on_main_thread(void) {
	return getpid() == (pid_t)syscall(SYS_gettid);
}
