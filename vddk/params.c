/* See shim.h. FreeConnectParams is called only for what AllocateConnectParams
 * made, and frees no string: those are ours, and are wiped, since some are
 * passwords. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "shim.h"

struct ivd_params *ivd_params_new(void) {
	struct ivd_params *params = calloc(1, sizeof *params);
	if (!params)
		return NULL;
	params->from_library = ivd_vix.AllocateConnectParams && ivd_vix.FreeConnectParams;
	params->vix = params->from_library ? ivd_vix.AllocateConnectParams() : calloc(1, sizeof *params->vix);
	if (!params->vix) {
		free(params);
		return NULL;
	}
	return params;
}

char *ivd_params_own(struct ivd_params *params, char *text) {
	if (!*text) {
		free(text);
		return NULL;
	}
	params->strings[params->count++] = text;
	return text;
}

void ivd_params_uid(struct ivd_params *params, char *user, char *password) {
	params->vix->credType = VIX_CRED_UID;
	params->vix->creds.uid.userName = user;
	params->vix->creds.uid.password = password;
}

void ivd_params_session(struct ivd_params *params, char *cookie, char *user, char *password) {
	params->vix->credType = VIX_CRED_SESSIONID;
	params->vix->creds.sessionId.cookie = cookie;
	params->vix->creds.sessionId.userName = user;
	params->vix->creds.sessionId.key = password;
}

void ivd_params_disk(struct ivd_params *params, char *id, char *datastore, char *snapshot) {
	params->vix->specType = VIX_SPEC_VSTORAGE_OBJECT;
	params->vix->spec.vStorageObjSpec.id = id;
	params->vix->spec.vStorageObjSpec.datastoreMoRef = datastore;
	params->vix->spec.vStorageObjSpec.ssId = snapshot;
}

void ivd_params_free(struct ivd_params *params) {
	if (params->from_library)
		ivd_vix.FreeConnectParams(params->vix);
	else
		free(params->vix);
	for (int i = 0; i < params->count; i++) {
		explicit_bzero(params->strings[i], strlen(params->strings[i]));
		free(params->strings[i]);
	}
	free(params);
}
