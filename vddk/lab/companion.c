/* The companion library is loaded by its bare name in InitEx, as the real library
 * loads its own: it is found only by LD_LIBRARY_PATH. */
#include <dlfcn.h>

#include "lab.h"
#include "tls.h"

const struct labtls_api *lab_tls;

VixError lab_load_companion(void) {
	if (lab_tls)
		return VIX_OK;
	void *library = dlopen(LABTLS_FILE, RTLD_NOW | RTLD_LOCAL);
	const struct labtls_api *api = library ? dlsym(library, LABTLS_API) : NULL;
	if (!api) {
		lab_warn("cannot load %s: %s\n", LABTLS_FILE, dlerror());
		return VIX_FAIL;
	}
	lab_tls = api;
	return VIX_OK;
}
