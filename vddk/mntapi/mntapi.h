/*
 * The ABI of libvixMntapi, from VMware's programming guide: functions, structs,
 * and one call of each, as a struct that a thread of package vddk works off.
 */
#ifndef IVD_MNTAPI_H
#define IVD_MNTAPI_H

#include <assert.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

typedef struct VixDiskSet VixDiskSet; /* opaque */
typedef struct VixVolume VixVolume;   /* opaque */
typedef void (*VixLog)(const char *format, va_list args);

typedef struct {
	uint32_t openFlags;
	char *mountPath;
} VixDiskSetInfo;

typedef struct {
	int family; /* 0 none, 1 Windows, 255 another */
	uint32_t majorVersion, minorVersion;
	char osIs64Bit;
	char *vendor, *edition, *osFolder;
} VixOsInfo;

typedef struct {
	int type; /* 0 unknown, 1 basic, 2 GPT, 3 dynamic, 4 LVM */
	char isMounted;
	char *symbolicLink;
	size_t numGuestMountPoints;
	char *inGuestMountPoints[1];
} VixVolumeInfo;

static_assert(offsetof(VixDiskSetInfo, mountPath) == 8, "VixDiskSetInfo");
static_assert(offsetof(VixOsInfo, osIs64Bit) == 12 && offsetof(VixOsInfo, osFolder) == 32, "VixOsInfo");
static_assert(offsetof(VixVolumeInfo, isMounted) == 4 && offsetof(VixVolumeInfo, symbolicLink) == 8, "VixVolumeInfo");
static_assert(offsetof(VixVolumeInfo, inGuestMountPoints) == 24, "VixVolumeInfo");

/* OpenDiskSet is for Windows alone. */
#define VIX_MNT_SYMBOLS(F) \
	F(uint64_t, Init, (uint32_t, uint32_t, VixLog, VixLog, VixLog, const char *, const char *)) \
	F(void, Exit, (void)) \
	F(uint64_t, OpenDisks, (void *, const char **, size_t, uint32_t, VixDiskSet **)) \
	F(uint64_t, GetDiskSetInfo, (VixDiskSet *, VixDiskSetInfo **)) \
	F(void, FreeDiskSetInfo, (VixDiskSetInfo *)) \
	F(uint64_t, CloseDiskSet, (VixDiskSet *)) \
	F(uint64_t, GetVolumeHandles, (VixDiskSet *, size_t *, VixVolume ***)) \
	F(void, FreeVolumeHandles, (VixVolume **)) \
	F(uint64_t, GetOsInfo, (VixDiskSet *, VixOsInfo **)) \
	F(void, FreeOsInfo, (VixOsInfo *)) \
	F(uint64_t, MountVolume, (VixVolume *, char)) \
	F(uint64_t, DismountVolume, (VixVolume *, char)) \
	F(uint64_t, GetVolumeInfo, (VixVolume *, VixVolumeInfo **)) \
	F(void, FreeVolumeInfo, (VixVolumeInfo *))

char *mnt_load(const char *path); /* NULL, or what is wrong (to be freed) */

enum mnt_op { MNT_INIT, MNT_EXIT, MNT_OPEN, MNT_VOLUMES, MNT_OS, MNT_MOUNT, MNT_DISMOUNT, MNT_INFO, MNT_CLOSE };

/* What a call needs and gives. Texts that it gives are copies, freed with it. */
struct mnt_call {
	int op;
	uint64_t result;
	char *libdir, *config; /* MNT_INIT, which keeps them until MNT_EXIT */
	void *connection;
	char *disk; /* its UUID; freed with the call */
	uint32_t flags;
	VixDiskSet *set;
	VixVolume *volume;
	int force;
	VixVolume **volumes; /* the library's: kept until MNT_CLOSE */
	size_t count;
	VixOsInfo os;
	VixVolumeInfo info;
	char *texts[3];		/* of os or info, or the set's mount path */
	char **points;
};
struct mnt_call *mnt_call_new(int op);
void mnt_call_free(struct mnt_call *call);
void mnt_perform(void *call); /* of package vddk's thread */

/* vddk's log functions, for both libraries */
void ivd_log(const char *format, va_list args);
void ivd_warn(const char *format, va_list args);
void ivd_panic(const char *format, va_list args);

#endif
