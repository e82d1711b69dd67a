/* See shim.h. FreeConnectParams is called only for a struct that AllocateConnectParams
 * or GetConnectParams made. It frees no string of the former: those are ours, and are
 * wiped, since some are passwords. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "shim.h"

struct ivd_params *ivd_params_new(void) {
	return calloc(1, sizeof(struct ivd_params));
}

char *ivd_params_text(struct ivd_params *params, char *text) {
	params->strings[params->count++] = text;
	return text;
}

char *ivd_params_own(struct ivd_params *params, char *text) {
	if (*text)
		return ivd_params_text(params, text);
	free(text);
	return NULL;
}

void ivd_params_uid(struct ivd_params *params, char *user, char *password) {
	params->says.credType = VIX_CRED_UID;
	params->says.creds.uid.userName = user;
	params->says.creds.uid.password = password;
}

void ivd_params_session(struct ivd_params *params, char *cookie, char *user, char *password) {
	params->says.credType = VIX_CRED_SESSIONID;
	params->says.creds.sessionId.cookie = cookie;
	params->says.creds.sessionId.userName = user;
	params->says.creds.sessionId.key = password;
}

void ivd_params_disk(struct ivd_params *params, char *id, char *datastore, char *snapshot) {
	params->says.specType = VIX_SPEC_VSTORAGE_OBJECT;
	params->says.spec.vStorageObjSpec.id = id;
	params->says.spec.vStorageObjSpec.datastoreMoRef = datastore;
	params->says.spec.vStorageObjSpec.ssId = snapshot;
}

/* Field by field: the library has put private state into its struct. */
int ivd_params_make(struct ivd_params *params) {
	const VixConnectParams *from = &params->says;
	params->from_library = ivd_vix.AllocateConnectParams && ivd_vix.FreeConnectParams;
	VixConnectParams *to = params->from_library ? ivd_vix.AllocateConnectParams() : calloc(1, sizeof *to);
	if (!to)
		return -1;
	to->vmxSpec = from->vmxSpec;
	to->serverName = from->serverName;
	to->thumbPrint = from->thumbPrint;
	to->credType = from->credType;
	to->creds = from->creds;
	to->port = from->port;
	to->nfcHostPort = from->nfcHostPort;
	to->specType = from->specType;
	if (from->specType == VIX_SPEC_VSTORAGE_OBJECT)
		to->spec = from->spec;
	params->vix = to;
	return 0;
}

void ivd_params_unmake(struct ivd_params *params) {
	if (params->from_library)
		ivd_vix.FreeConnectParams(params->vix);
	else
		free(params->vix);
	params->vix = NULL;
}

void ivd_params_free(struct ivd_params *params) {
	for (int i = 0; i < params->count; i++) {
		explicit_bzero(params->strings[i], strlen(params->strings[i]));
		free(params->strings[i]);
	}
	free(params);
}
