/* InitEx and Exit, once for the process. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "faults.h"
#include "world.h"

static pthread_mutex_t once = PTHREAD_MUTEX_INITIALIZER;

static void look_for_plugins(const char *libDir) {
	char path[4096];
	if (!libDir)
		return;
	snprintf(path, sizeof path, "%s/lib64", libDir);
	if (access(path, R_OK) != 0)
		lab_log("No transport plugin below %s. Advanced transports not available\n", libDir);
}

/* What the laboratory alone knows of this process is in its environment: the
 * configuration file is VMware's. */
static void read_environment(struct lab_config *config) {
	const char *proxy = getenv("IVD_LAB_PROXY"), *dir = getenv("IVD_LAB_DIR"), *transports = getenv("IVD_LAB_TRANSPORTS");
	snprintf(config->transports, sizeof config->transports, "%s", transports ? transports : "");
	snprintf(config->proxy, sizeof config->proxy, "%s", proxy ? proxy : "");
	snprintf(config->dir, sizeof config->dir, "%s", dir ? dir : "");
}

static void forget(void) {
	pthread_mutex_lock(&once);
	lab_ready = false;
	lab_log_to(NULL, NULL, NULL);
	pthread_mutex_unlock(&once);
}

API VixError VixDiskLib_InitEx(uint32_t major, uint32_t minor, VixLogFunc log, VixLogFunc warn,
			       VixLogFunc panic, const char *libDir, const char *configFile) {
	if (major < 5 || major > 9)
		return VIX_INVALID_ARG;
	struct lab_config config = {
		.buffer_size = 64 * 1024, .buffer_count = 4, .connect_ms = 15000, .read_ms = 60000};
	read_environment(&config);
	pthread_mutex_lock(&once);
	if (lab_ready) {
		pthread_mutex_unlock(&once);
		lab_warn("VixDiskLib_InitEx was called before: once in a process\n");
		return VIX_FAIL;
	}
	lab_log_to(log, warn, panic);
	VixError err = configFile ? lab_read_config(configFile, &config) : VIX_OK;
	if (err == VIX_OK)
		err = lab_load_companion();
	if (err == VIX_OK) {
		lab_config = config;
		lab_ready = true;
	}
	pthread_mutex_unlock(&once);
	if (err == VIX_OK) {
		lab_world(config.dir);
		err = lab_fault(&(struct lab_call){.name = "InitEx"});
		if (err != VIX_OK)
			forget();
	}
	if (err == VIX_OK) {
		lab_log("ivdmover laboratory VixDiskLib (8.0.0), initialised for version %u.%u\n", major, minor);
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
