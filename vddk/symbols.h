/*
 * Every function of libvixDiskLib that the binding calls, in one table. A library
 * without one of the required functions is refused; an optional one is NULL where
 * the library (an old one, or another maker's) does not have it.
 *
 * Left out on purpose: Init and Connect, which InitEx and ConnectEx replace; Read
 * and Write, since a handle must not do both kinds of I/O, and only asynchronous
 * requests can be several in flight; what makes or changes hosted disks (Create,
 * Clone, Grow, Shrink, Defragment, Attach, Rename, Unlink), which IVDs never are.
 */
#ifndef IVD_VDDK_SYMBOLS_H
#define IVD_VDDK_SYMBOLS_H

#include "abi.h"

#define VIX_SYMBOLS(REQUIRED, OPTIONAL) \
	REQUIRED(VixError, InitEx, (uint32_t, uint32_t, VixLogFunc, VixLogFunc, VixLogFunc, const char *, const char *)) \
	REQUIRED(void, Exit, (void)) \
	REQUIRED(char *, GetErrorText, (VixError, const char *)) \
	REQUIRED(void, FreeErrorText, (char *)) \
	REQUIRED(VixError, ConnectEx, (const VixConnectParams *, VixBool, const char *, const char *, VixConnection **)) \
	REQUIRED(VixError, Disconnect, (VixConnection *)) \
	REQUIRED(VixError, Open, (VixConnection *, const char *, uint32_t, VixHandle **)) \
	REQUIRED(VixError, Close, (VixHandle *)) \
	REQUIRED(VixError, GetInfo, (VixHandle *, VixInfo **)) \
	REQUIRED(void, FreeInfo, (VixInfo *)) \
	REQUIRED(const char *, GetTransportMode, (VixHandle *)) \
	REQUIRED(VixError, ReadAsync, (VixHandle *, uint64_t, uint64_t, uint8_t *, VixCompletionFunc, void *)) \
	REQUIRED(VixError, Wait, (VixHandle *)) \
	OPTIONAL(VixError, WriteAsync, (VixHandle *, uint64_t, uint64_t, const uint8_t *, VixCompletionFunc, void *)) \
	OPTIONAL(VixError, Flush, (VixHandle *)) \
	OPTIONAL(VixConnectParams *, AllocateConnectParams, (void)) /* 6.7; disks of their own need it */ \
	OPTIONAL(void, FreeConnectParams, (VixConnectParams *)) \
	OPTIONAL(VixError, QueryAllocatedBlocks, (VixHandle *, uint64_t, uint64_t, uint64_t, VixBlockList **)) \
	OPTIONAL(VixError, FreeBlockList, (VixBlockList *)) \
	OPTIONAL(VixError, PrepareForAccess, (const VixConnectParams *, const char *)) \
	OPTIONAL(VixError, EndAccess, (const VixConnectParams *, const char *)) \
	OPTIONAL(VixError, Cleanup, (const VixConnectParams *, uint32_t *, uint32_t *)) \
	OPTIONAL(const char *, ListTransportModes, (void)) \
	OPTIONAL(VixError, GetConnectParams, (VixConnection *, VixConnectParams **)) \
	OPTIONAL(VixError, GetMetadataKeys, (VixHandle *, char *, size_t, size_t *)) \
	OPTIONAL(VixError, ReadMetadata, (VixHandle *, const char *, char *, size_t, size_t *)) \
	OPTIONAL(VixError, WriteMetadata, (VixHandle *, const char *, const char *)) \
	OPTIONAL(VixError, CheckRepair, (VixConnection *, const char *, VixBool))

struct ivd_vix {
#define MEMBER(result, name, args) result(*name) args;
	VIX_SYMBOLS(MEMBER, MEMBER)
#undef MEMBER
};

extern struct ivd_vix ivd_vix; /* filled by ivd_load, never emptied */

#endif
