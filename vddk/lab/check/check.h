/*
 * What the programs' cases share: the library's functions, and a local disk of 1 MiB
 * in the present folder, which is also the laboratory's folder of some. Each case is
 * a process of its own, since InitEx comes once and misuse ends in an abort.
 */
#ifndef IVD_LAB_CHECK_H
#define IVD_LAB_CHECK_H

#include <string.h>

#include "../lab.h"

/* What is not in lab.h, since the library itself has no need of it. */
VixError VixDiskLib_InitEx(uint32_t, uint32_t, VixLogFunc, VixLogFunc, VixLogFunc, const char *, const char *);
void VixDiskLib_Exit(void);
VixConnectParams *VixDiskLib_AllocateConnectParams(void);
VixError VixDiskLib_Connect(const VixConnectParams *, VixConnection **);
VixError VixDiskLib_ConnectEx(const VixConnectParams *, VixBool, const char *, const char *, VixConnection **);
VixError VixDiskLib_GetConnectParams(VixConnection *, VixConnectParams **);
VixError VixDiskLib_Disconnect(VixConnection *);
VixError VixDiskLib_Open(VixConnection *, const char *, uint32_t, VixHandle **);
VixError VixDiskLib_Close(VixHandle *);
VixError VixDiskLib_Read(VixHandle *, uint64_t, uint64_t, uint8_t *);
VixError VixDiskLib_Write(VixHandle *, uint64_t, uint64_t, const uint8_t *);
VixError VixDiskLib_ReadAsync(VixHandle *, uint64_t, uint64_t, uint8_t *, VixCompletionFunc, void *);
VixError VixDiskLib_WriteAsync(VixHandle *, uint64_t, uint64_t, const uint8_t *, VixCompletionFunc, void *);
VixError VixDiskLib_Wait(VixHandle *);
VixError VixDiskLib_Flush(VixHandle *);
VixError VixDiskLib_QueryAllocatedBlocks(VixHandle *, uint64_t, uint64_t, uint64_t, VixBlockList **);
VixError VixDiskLib_FreeBlockList(VixBlockList *);
VixError VixDiskLib_Create(VixConnection *, const char *, const VixCreateParams *, VixProgressFunc, void *);
VixError VixDiskLib_Unlink(VixConnection *, const char *);
VixError VixDiskLib_CheckRepair(VixConnection *, const char *, VixBool);
VixError VixDiskLib_GetMetadataKeys(VixHandle *, char *, size_t, size_t *);
VixError VixDiskLib_ReadMetadata(VixHandle *, const char *, char *, size_t, size_t *);
VixError VixDiskLib_WriteMetadata(VixHandle *, const char *, const char *);
VixError VixDiskLib_CreateChild(VixHandle *, const char *, int, VixProgressFunc, void *);
VixError VixDiskLib_Clone(VixConnection *, const char *, VixConnection *, const char *, const VixCreateParams *, VixProgressFunc, void *, VixBool);
VixError VixDiskLib_Grow(VixConnection *, const char *, uint64_t, VixBool, VixProgressFunc, void *);
VixError VixDiskLib_Shrink(VixHandle *, VixProgressFunc, void *);
VixError VixDiskLib_Defragment(VixHandle *, VixProgressFunc, void *);
VixError VixDiskLib_Rename(const char *, const char *);
VixError VixDiskLib_IsAttachPossible(VixHandle *, VixHandle *);
VixError VixDiskLib_Attach(VixHandle *, VixHandle *);
VixError VixDiskLib_SpaceNeededForClone(VixHandle *, int, uint64_t *);
void VixDiskLib_FreeInfo(VixInfo *);
VixError VixDiskLib_GetInfo(VixHandle *, VixInfo **);
VixError VixDiskLib_PrepareForAccess(const VixConnectParams *, const char *);
char *VixDiskLib_GetErrorText(VixError, const char *);
void VixDiskLib_FreeErrorText(char *);

#include "want.h"

struct check_case {
	const char *name; /* NULL: the last */
	void (*run)(void);
	int signal;       /* that ends it; 0: none */
	const char *rule; /* that the report has; NULL: it has none */
};
extern const struct check_case right_cases[], wrong_cases[];

extern char disk[];
extern uint8_t buffer[1 << 20];

/* What the library logs; heard, where it is set, is told. */
extern void (*heard)(const char *line);
void silent(const char *format, va_list args);
void write_text(const char *name, const char *text);
void init(const char *config);
void work_here(void); /* the present folder is the laboratory's */
void init_here(void); /* there */
VixConnection *local(void);
VixHandle *open_local(VixConnection *connection, uint32_t flags);
void close_local(VixConnection *connection, VixHandle *handle); /* and Exit */
VixConnectParams *disk_of_its_own(void);

#endif
