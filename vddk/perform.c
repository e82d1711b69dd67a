/* The calls that are no I/O, as the library wants them. Some libraries leave the
 * out pointer of a successful ConnectEx or Open at NULL: that is a value. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shim.h"

#define NOT_SUPPORTED 6

struct ivd_call *ivd_call_new(int op, uint64_t id) {
	struct ivd_call *call = calloc(1, sizeof *call);
	if (call) {
		call->op = op;
		call->id = id;
	}
	return call;
}

void ivd_call_free(struct ivd_call *call) {
	if (call->blocks)
		ivd_vix.FreeBlockList(call->blocks);
	free(call->text);
	free(call->warning);
	free(call);
}

/* Open, and at once what everybody asks next. */
static VixError open_disk(struct ivd_call *call) {
	VixError err = ivd_vix.Open(call->connection, call->text, call->flags, &call->handle);
	if (VIX_CODE(err) != VIX_OK)
		return err;
	VixInfo *info = NULL;
	err = ivd_vix.GetInfo(call->handle, &info);
	if (VIX_CODE(err) != VIX_OK) {
		ivd_vix.Close(call->handle);
		return err;
	}
	/* Before version 7 the struct ends before the sector sizes. */
	memcpy(&call->info, info, ivd_major >= 7 ? sizeof *info : offsetof(VixInfo, logicalSectorSize));
	if (info->uuid)
		snprintf(call->uuid, sizeof call->uuid, "%s", info->uuid);
	call->info.uuid = call->info.parentFileNameHint = NULL;
	ivd_vix.FreeInfo(info);
	const char *transport = ivd_vix.GetTransportMode(call->handle);
	if (transport)
		snprintf(call->transport, sizeof call->transport, "%s", transport);
	return err;
}

void ivd_perform(struct ivd_call *call) {
	switch (call->op) {
	case IVD_CONNECT:
		call->result = ivd_vix.ConnectEx(call->params, (VixBool)call->read_only, NULL, call->text, &call->connection);
		break;
	case IVD_DISCONNECT:
		call->result = ivd_vix.Disconnect(call->connection);
		break;
	case IVD_OPEN:
		call->result = open_disk(call);
		break;
	case IVD_CLOSE:
		call->result = ivd_vix.Close(call->handle);
		break;
	case IVD_PREPARE:
		call->result = ivd_vix.PrepareForAccess ? ivd_vix.PrepareForAccess(call->params, call->text) : NOT_SUPPORTED;
		break;
	case IVD_END:
		call->result = ivd_vix.EndAccess ? ivd_vix.EndAccess(call->params, call->text) : NOT_SUPPORTED;
		break;
	case IVD_CLEANUP:
		call->result = ivd_vix.Cleanup ? ivd_vix.Cleanup(call->params, &call->cleaned, &call->remaining) : NOT_SUPPORTED;
		break;
	case IVD_QUERY:
		call->result = ivd_vix.QueryAllocatedBlocks && ivd_vix.FreeBlockList
			? ivd_vix.QueryAllocatedBlocks(call->handle, call->sector, call->count, call->chunk, &call->blocks)
			: NOT_SUPPORTED;
		break;
	case IVD_FLUSH:
		call->result = ivd_vix.Flush(call->handle);
		break;
	}
}
