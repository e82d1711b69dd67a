/* The real library loads its companions by their bare names while it initialises:
 * itself it is found by its path, they are found by LD_LIBRARY_PATH alone. */
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
