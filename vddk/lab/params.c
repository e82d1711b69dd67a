/* ConnectParams: made, copied, freed, checked; and the choice of a transport. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lab.h"

/* What `state` points at. Only structs of this library have one; strings belong
 * to the caller except in those that GetConnectParams made. */
struct state {
	bool own_strings;
};

static VixConnectParams *allocate(bool own_strings) {
	VixConnectParams *params = calloc(1, sizeof *params);
	struct state *state = calloc(1, sizeof *state);
	if (!params || !state) {
		free(params);
		free(state);
		return NULL;
	}
	state->own_strings = own_strings;
	params->state = state;
	return params;
}

API VixConnectParams *VixDiskLib_AllocateConnectParams(void) {
	return allocate(false);
}

static char *copy(const char *text) {
	return text ? strdup(text) : NULL;
}

static void wipe(char *secret) {
	if (secret)
		explicit_bzero(secret, strlen(secret));
	free(secret);
}

API void VixDiskLib_FreeConnectParams(VixConnectParams *params) {
	if (!params)
		return;
	struct state *state = params->state;
	if (!state)
		return; /* the caller has allocated it */
	if (state->own_strings) {
		free(params->vmxSpec);
		free(params->serverName);
		free(params->thumbPrint);
		free(params->vimApiVer);
		if (params->credType == VIX_CRED_SESSIONID) {
			wipe(params->creds.sessionId.cookie);
			free(params->creds.sessionId.userName);
			wipe(params->creds.sessionId.key);
		} else if (params->credType == VIX_CRED_UID) {
			free(params->creds.uid.userName);
			wipe(params->creds.uid.password);
		}
		free(params->spec.vStorageObjSpec.id);
		free(params->spec.vStorageObjSpec.datastoreMoRef);
		free(params->spec.vStorageObjSpec.ssId);
	}
	free(state);
	free(params);
}

VixConnectParams *lab_copy_params(const VixConnectParams *from) {
	VixConnectParams *to = allocate(true);
	if (!to)
		return NULL;
	to->vmxSpec = copy(from->vmxSpec);
	to->serverName = copy(from->serverName);
	to->thumbPrint = copy(from->thumbPrint);
	to->vimApiVer = copy(from->vimApiVer);
	to->credType = from->credType;
	to->port = from->port;
	to->nfcHostPort = from->nfcHostPort;
	to->specType = from->specType;
	if (from->credType == VIX_CRED_SESSIONID) {
		to->creds.sessionId.cookie = copy(from->creds.sessionId.cookie);
		to->creds.sessionId.userName = copy(from->creds.sessionId.userName);
		to->creds.sessionId.key = copy(from->creds.sessionId.key);
	} else if (from->credType == VIX_CRED_UID) {
		to->creds.uid.userName = copy(from->creds.uid.userName);
		to->creds.uid.password = copy(from->creds.uid.password);
	}
	if (from->specType == VIX_SPEC_VSTORAGE_OBJECT) {
		to->spec.vStorageObjSpec.id = copy(from->spec.vStorageObjSpec.id);
		to->spec.vStorageObjSpec.datastoreMoRef = copy(from->spec.vStorageObjSpec.datastoreMoRef);
		to->spec.vStorageObjSpec.ssId = copy(from->spec.vStorageObjSpec.ssId);
	}
	return to;
}

bool lab_is_remote(const VixConnectParams *params) {
	return params->serverName || params->vmxSpec || params->specType != VIX_SPEC_VMX;
}

static bool empty(const char *text) {
	return !text || !*text;
}

static bool has_credentials(const VixConnectParams *params) {
	if (params->credType == VIX_CRED_UID)
		return !empty(params->creds.uid.userName) && params->creds.uid.password;
	if (params->credType != VIX_CRED_SESSIONID || empty(params->creds.sessionId.cookie))
		return false;
	if (!params->creds.sessionId.key)
		lab_warn("the key of a sessionId is NULL: one space, the password or an empty text is expected\n");
	return params->creds.sessionId.key;
}

VixError lab_check_login(const VixConnectParams *params) {
	return empty(params->serverName) || !has_credentials(params) ? VIX_INVALID_ARG : VIX_OK;
}

VixError lab_check_params(const VixConnectParams *params) {
	if (!lab_is_remote(params))
		return VIX_OK;
	VixError err = lab_check_login(params);
	if (err != VIX_OK)
		return err;
	if (params->specType == VIX_SPEC_VMX)
		return empty(params->vmxSpec) ? VIX_INVALID_ARG : VIX_OK;
	if (params->specType != VIX_SPEC_VSTORAGE_OBJECT)
		return VIX_INVALID_ARG;
	if (!params->state) {
		lab_warn("a disk of its own needs ConnectParams from VixDiskLib_AllocateConnectParams\n");
		return VIX_INVALID_ARG;
	}
	const VixVStorageObjectSpec *spec = &params->spec.vStorageObjSpec;
	return empty(spec->id) || empty(spec->datastoreMoRef) ? VIX_INVALID_ARG : VIX_OK;
}

const char *lab_disk_of(const VixConnectParams *params) {
	return params->specType == VIX_SPEC_VSTORAGE_OBJECT ? params->spec.vStorageObjSpec.id : NULL;
}

static const char *const names[] = {
	[LAB_FILE] = "file", [LAB_SAN] = "san", [LAB_HOTADD] = "hotadd", [LAB_NBDSSL] = "nbdssl", [LAB_NBD] = "nbd"};

const char *lab_transport_name(enum lab_transport transport) {
	return names[transport];
}

API const char *VixDiskLib_ListTransportModes(void) {
	return lab_config.transports[0] ? lab_config.transports : "file:san:hotadd:nbdssl:nbd";
}

static bool has_transport(const char *name, size_t length) {
	for (const char *at = VixDiskLib_ListTransportModes(); *at; at += strcspn(at, ":"), at += *at == ':')
		if (strcspn(at, ":") == length && strncasecmp(at, name, length) == 0)
			return true;
	return false;
}

/* The transports of the list that can serve such a disk, in the list's order. A list
 * without a known name is refused at once, one of which none can serve at Open. */
VixError lab_choose_transports(const char *modes, bool remote, struct lab_modes *chosen) {
	if (empty(modes))
		modes = VixDiskLib_ListTransportModes();
	bool known = false;
	chosen->count = 0;
	while (*modes) {
		size_t n = strcspn(modes, ":");
		for (int t = LAB_FILE; t < LAB_TRANSPORTS; t++) {
			if (strlen(names[t]) != n || strncasecmp(modes, names[t], n) != 0 || !has_transport(modes, n))
				continue;
			known = true;
			if (remote != (t == LAB_FILE) && chosen->count < LAB_TRANSPORTS)
				chosen->list[chosen->count++] = (enum lab_transport)t;
		}
		modes += n;
		modes += *modes == ':';
	}
	if (chosen->count > 0)
		return VIX_OK;
	return known ? VIX_SUBSYSTEM_INIT_FAIL : VIX_NOT_SUPPORTED;
}
