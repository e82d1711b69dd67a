/* The calls that are neither reads nor writes. Some libraries leave the out pointer
 * of a successful ConnectEx or Open at NULL, which is a value then. What the library
 * allocates is copied and freed here, on a thread that may call the library. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shim.h"

enum { FAIL = 1, OUT_OF_MEMORY = 2, NOT_SUPPORTED = 6, BUFFER_TOOSMALL = 24 };
enum { METADATA_MAX = 16 << 20 };

static VixError connect_to(struct ivd_call *call) {
	if (ivd_params_make(call->params) != 0)
		return OUT_OF_MEMORY;
	VixError err = ivd_vix.ConnectEx(call->params->vix, (VixBool)call->read_only, call->value, call->text, &call->connection);
	if (VIX_CODE(err) != VIX_OK)
		ivd_params_unmake(call->params);
	return err;
}

static VixError disconnect(struct ivd_call *call) {
	VixError err = ivd_vix.Disconnect(call->connection);
	ivd_params_unmake(call->params);
	return err;
}

static void copy_text(char *to, size_t size, const char *from) {
	if (from)
		snprintf(to, size, "%s", from);
}

/* Open, GetInfo and GetTransportMode. */
static VixError open_disk(struct ivd_call *call) {
	VixError err = ivd_vix.Open(call->connection, call->text, call->flags, &call->handle);
	if (VIX_CODE(err) != VIX_OK || ivd_abandoned())
		return err;
	VixInfo *info = NULL;
	struct ivd_opened *opened = call->opened = calloc(1, sizeof *opened);
	err = opened ? ivd_vix.GetInfo(call->handle, &info) : OUT_OF_MEMORY;
	if (VIX_CODE(err) == VIX_OK && !info)
		err = FAIL;
	if (VIX_CODE(err) != VIX_OK) {
		ivd_vix.Close(call->handle);
		return err;
	}
	/* Before version 7 the struct ends before the sector sizes. */
	memcpy(&opened->info, info, ivd_major >= 7 ? sizeof *info : offsetof(VixInfo, logicalSectorSize));
	copy_text(opened->uuid, sizeof opened->uuid, info->uuid);
	copy_text(opened->parent, sizeof opened->parent, info->parentFileNameHint);
	opened->info.uuid = opened->info.parentFileNameHint = NULL;
	ivd_vix.FreeInfo(info);
	copy_text(opened->transport, sizeof opened->transport, ivd_vix.GetTransportMode(call->handle));
	return err;
}

static VixError query(struct ivd_call *call) {
	VixBlockList *list = NULL;
	if (!ivd_vix.QueryAllocatedBlocks || !ivd_vix.FreeBlockList)
		return NOT_SUPPORTED;
	VixError err = ivd_vix.QueryAllocatedBlocks(call->handle, call->sector, call->count, call->chunk, &list);
	if (VIX_CODE(err) != VIX_OK || !list)
		return err;
	size_t size = list->numBlocks * sizeof *list->blocks;
	call->blocks = malloc(size + 1);
	if (call->blocks) {
		memcpy(call->blocks, list->blocks, size);
		call->block_count = list->numBlocks;
	} else {
		err = OUT_OF_MEMORY;
	}
	ivd_vix.FreeBlockList(list);
	return err;
}

/* Both metadata calls return BUFFER_TOOSMALL and the size that they need. */
static VixError ask_metadata(struct ivd_call *call, char *buffer, size_t size, size_t *need) {
	return call->op == IVD_KEYS
		? ivd_vix.GetMetadataKeys(call->handle, buffer, size, need)
		: ivd_vix.ReadMetadata(call->handle, call->text, buffer, size, need);
}

static VixError metadata(struct ivd_call *call) {
	char none;
	size_t need = 0;
	if (call->op == IVD_KEYS ? !ivd_vix.GetMetadataKeys : !ivd_vix.ReadMetadata)
		return NOT_SUPPORTED;
	VixError err = ask_metadata(call, &none, 0, &need);
	for (int again = 0; VIX_CODE(err) == BUFFER_TOOSMALL && again < 3; again++) { /* it may grow meanwhile */
		size_t size = need;
		if (size == 0 || size > METADATA_MAX)
			return FAIL;
		free(call->out);
		call->out = calloc(1, size + 1);
		if (!call->out)
			return OUT_OF_MEMORY;
		call->out_size = size;
		err = ask_metadata(call, call->out, size, &need);
	}
	return err;
}

static VixError get_params(struct ivd_call *call) {
	VixConnectParams *theirs = NULL;
	if (!ivd_vix.GetConnectParams || !ivd_vix.FreeConnectParams)
		return NOT_SUPPORTED;
	VixError err = ivd_vix.GetConnectParams(call->connection, &theirs);
	if (VIX_CODE(err) != VIX_OK || !theirs)
		return err;
	struct ivd_params *got = call->got = ivd_params_new();
	if (got) {
#define COPY(field) \
	if (theirs->field) \
		got->says.field = ivd_params_own(got, strdup(theirs->field))
		COPY(vmxSpec);
		COPY(serverName);
		COPY(thumbPrint);
		if (theirs->credType == VIX_CRED_UID)
			COPY(creds.uid.userName);
		if (theirs->credType == VIX_CRED_SESSIONID)
			COPY(creds.sessionId.userName);
		if (theirs->specType == VIX_SPEC_VSTORAGE_OBJECT) {
			COPY(spec.vStorageObjSpec.id);
			COPY(spec.vStorageObjSpec.datastoreMoRef);
			COPY(spec.vStorageObjSpec.ssId);
		}
#undef COPY
		got->says.credType = theirs->credType;
		got->says.specType = theirs->specType;
		got->says.port = theirs->port;
		got->says.nfcHostPort = theirs->nfcHostPort;
	}
	ivd_vix.FreeConnectParams(theirs);
	return got ? err : OUT_OF_MEMORY;
}

/* The three calls that need parameters but no connection. */
static VixError access_call(struct ivd_call *call) {
	if (ivd_params_make(call->params) != 0)
		return OUT_OF_MEMORY;
	const VixConnectParams *params = call->params->vix;
	VixError err = NOT_SUPPORTED;
	if (call->op == IVD_PREPARE && ivd_vix.PrepareForAccess)
		err = ivd_vix.PrepareForAccess(params, call->text);
	if (call->op == IVD_END && ivd_vix.EndAccess)
		err = ivd_vix.EndAccess(params, call->text);
	if (call->op == IVD_CLEANUP && ivd_vix.Cleanup)
		err = ivd_vix.Cleanup(params, &call->cleaned, &call->remaining);
	ivd_params_unmake(call->params);
	return err;
}

static VixError error_text(struct ivd_call *call) {
	char *theirs = ivd_vix.GetErrorText(call->sector, NULL);
	call->out = strdup(theirs ? theirs : "");
	ivd_vix.FreeErrorText(theirs);
	return VIX_OK;
}

static VixError modes(struct ivd_call *call) {
	const char *theirs = ivd_vix.ListTransportModes ? ivd_vix.ListTransportModes() : NULL;
	call->out = theirs ? strdup(theirs) : NULL;
	return VIX_OK;
}

static VixError perform(struct ivd_call *call) {
	switch (call->op) {
	case IVD_CONNECT:
		return connect_to(call);
	case IVD_DISCONNECT:
		return disconnect(call);
	case IVD_OPEN:
		return open_disk(call);
	case IVD_CLOSE:
		return ivd_vix.Close(call->handle);
	case IVD_GET_PARAMS:
		return get_params(call);
	case IVD_CHECK_REPAIR:
		return ivd_vix.CheckRepair ? ivd_vix.CheckRepair(call->connection, call->text, (VixBool)!call->read_only) : NOT_SUPPORTED;
	case IVD_PREPARE:
	case IVD_END:
	case IVD_CLEANUP:
		return access_call(call);
	case IVD_TEXT:
		return error_text(call);
	case IVD_MODES:
		return modes(call);
	case IVD_COMPANION:
		call->companion(call->argument);
		return VIX_OK;
	case IVD_QUERY:
		return query(call);
	case IVD_FLUSH:
		return ivd_vix.Flush ? ivd_vix.Flush(call->handle) : NOT_SUPPORTED;
	case IVD_KEYS:
	case IVD_READ_KEY:
		return metadata(call);
	case IVD_WRITE_KEY:
		return ivd_vix.WriteMetadata ? ivd_vix.WriteMetadata(call->handle, call->text, call->value) : NOT_SUPPORTED;
	}
	return VIX_OK; /* IVD_DRAIN: the worker has waited already */
}

void ivd_perform(struct ivd_call *call) {
	call->result = perform(call);
}
