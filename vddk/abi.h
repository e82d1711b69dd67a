/*
 * The ABI of libvixDiskLib on x86-64, declared anew from public sources: the layout
 * in nbdkit's vddk-structs.h, VMware's programming guide, and the release notes. The
 * binding in this folder and the laboratory's library in lab/ both include this
 * file. The assertions at the end check every offset; when one fails, the
 * declaration is wrong, not the assertion.
 */
#ifndef IVD_VDDK_ABI_H
#define IVD_VDDK_ABI_H

#include <assert.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

typedef uint64_t VixError; /* the code is in the low 16 bits only */
typedef char VixBool;

#define VIX_CODE(err) ((uint32_t)((err) & 0xffff))
#define VIX_OK 0
#define VIX_ASYNC 25000

#define VIX_SECTOR_SIZE 512
#define VIX_MIN_CHUNK_SIZE 128           /* sectors */
#define VIX_MAX_CHUNK_NUMBER (512 * 1024) /* chunks in one QueryAllocatedBlocks */

enum { VIX_CRED_UID = 1, VIX_CRED_SESSIONID = 2 };
enum { VIX_SPEC_VMX = 0, VIX_SPEC_VSTORAGE_OBJECT = 1 };
enum {
	VIX_FLAG_OPEN_UNBUFFERED = 1,
	VIX_FLAG_OPEN_SINGLE_LINK = 2,
	VIX_FLAG_OPEN_READ_ONLY = 4,
	VIX_FLAG_OPEN_COMPRESSION_MASK = 0x3f0,
};

typedef void (*VixLogFunc)(const char *format, va_list args);
typedef VixBool (*VixProgressFunc)(void *data, int percent);
typedef void (*VixCompletionFunc)(void *data, VixError result);

typedef struct VixConnection VixConnection; /* opaque */
typedef struct VixHandle VixHandle;         /* opaque */

typedef struct {
	char *id;
	char *datastoreMoRef;
	char *ssId;
} VixVStorageObjectSpec;

typedef struct {
	char *vmxSpec;
	char *serverName;
	char *thumbPrint;
	long privateUse;
	int credType;
	union {
		struct { char *userName, *password; } uid;
		struct { char *cookie, *userName, *key; } sessionId;
		void *ticketId;
	} creds;
	uint32_t port;
	uint32_t nfcHostPort;
	char *vimApiVer;
	char reserved[8];
	void *state; /* private to the library; set by AllocateConnectParams */
	union {
		VixVStorageObjectSpec vStorageObjSpec;
	} spec;
	int specType;
} VixConnectParams;

typedef struct { uint32_t cylinders, heads, sectors; } VixGeometry;

typedef struct {
	VixGeometry biosGeo, physGeo;
	uint64_t capacity; /* sectors */
	int adapterType;
	int numLinks;
	char *parentFileNameHint;
	char *uuid;
	uint32_t logicalSectorSize;  /* from major version 7 on; before, the */
	uint32_t physicalSectorSize; /* struct ends at 56 bytes              */
} VixInfo;

typedef struct { uint64_t offset, length; } VixBlock; /* sectors */

typedef struct {
	uint32_t numBlocks;
	VixBlock blocks[1]; /* numBlocks of them */
} VixBlockList;

typedef struct {
	int diskType;
	int adapterType;
	uint16_t hwVersion;
	uint64_t capacity; /* sectors */
	uint32_t logicalSectorSize, physicalSectorSize; /* from major version 7 on */
} VixCreateParams;

#define VIX_AT(type, field, offset) \
	static_assert(offsetof(type, field) == (offset), #type "." #field)

VIX_AT(VixConnectParams, vmxSpec, 0);
VIX_AT(VixConnectParams, serverName, 8);
VIX_AT(VixConnectParams, thumbPrint, 16);
VIX_AT(VixConnectParams, privateUse, 24);
VIX_AT(VixConnectParams, credType, 32);
VIX_AT(VixConnectParams, creds.uid.userName, 40);
VIX_AT(VixConnectParams, creds.uid.password, 48);
VIX_AT(VixConnectParams, creds.sessionId.cookie, 40);
VIX_AT(VixConnectParams, creds.sessionId.userName, 48);
VIX_AT(VixConnectParams, creds.sessionId.key, 56);
VIX_AT(VixConnectParams, creds.ticketId, 40);
VIX_AT(VixConnectParams, port, 64);
VIX_AT(VixConnectParams, nfcHostPort, 68);
VIX_AT(VixConnectParams, vimApiVer, 72);
VIX_AT(VixConnectParams, reserved, 80);
VIX_AT(VixConnectParams, state, 88);
VIX_AT(VixConnectParams, spec.vStorageObjSpec.id, 96);
VIX_AT(VixConnectParams, spec.vStorageObjSpec.datastoreMoRef, 104);
VIX_AT(VixConnectParams, spec.vStorageObjSpec.ssId, 112);
VIX_AT(VixConnectParams, specType, 120);
static_assert(sizeof(VixConnectParams) == 128, "VixConnectParams");

static_assert(sizeof(VixGeometry) == 12, "VixGeometry");
VIX_AT(VixInfo, physGeo, 12);
VIX_AT(VixInfo, capacity, 24);
VIX_AT(VixInfo, adapterType, 32);
VIX_AT(VixInfo, numLinks, 36);
VIX_AT(VixInfo, parentFileNameHint, 40);
VIX_AT(VixInfo, uuid, 48);
VIX_AT(VixInfo, logicalSectorSize, 56);
VIX_AT(VixInfo, physicalSectorSize, 60);
static_assert(sizeof(VixInfo) == 64, "VixInfo");

static_assert(sizeof(VixBlock) == 16, "VixBlock");
VIX_AT(VixBlockList, blocks, 8);
static_assert(sizeof(VixBlockList) == 24, "VixBlockList");

VIX_AT(VixCreateParams, adapterType, 4);
VIX_AT(VixCreateParams, hwVersion, 8);
VIX_AT(VixCreateParams, capacity, 16);
VIX_AT(VixCreateParams, logicalSectorSize, 24);
VIX_AT(VixCreateParams, physicalSectorSize, 28);
static_assert(sizeof(VixCreateParams) == 32, "VixCreateParams");

#undef VIX_AT

#endif
