/*
 * The laboratory's libvixMntapi: it finds an ext4 file system that fills a disk,
 * as the disk's only volume, and "mounts" it by making a folder. It opens disks
 * through libvixDiskLib, as the real one does, and crashes on a disk without a
 * name, as the real one may.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../abi.h"

#define API __attribute__((visibility("default")))

enum {
	FAIL = 1, OUT_OF_MEMORY = 2, INVALID_ARG = 3, NOT_SUPPORTED = 6, OPEN_HANDLES = 24015,
	INCOMPATIBLE_VERSION = 24300, OS_ERROR = 24301, NOT_MOUNTED = 24304, ALREADY_MOUNTED = 24305,
};

VixError VixDiskLib_Open(VixConnection *, const char *, uint32_t, VixHandle **);
VixError VixDiskLib_Read(VixHandle *, uint64_t, uint64_t, uint8_t *);
VixError VixDiskLib_Close(VixHandle *);

struct volume {
	bool mounted;
	char label[17];
	char path[512];
};

struct set {
	VixHandle *disk;
	int count; /* of volumes: 0 or 1 */
	struct volume volume;
	char path[64];
};

struct set_info { uint32_t flags; char *path; };
struct os_info { int family; uint32_t major, minor; char is64; char *vendor, *edition, *folder; };
struct volume_info { int type; char mounted; char *link; size_t points; char *point[1]; };

_Noreturn void VixLab_Misuse(const char *rule, const char *detail); /* of our libvixDiskLib */

static bool ready;
static int sets;

API VixError VixMntapi_Init(uint32_t major, uint32_t minor, VixLogFunc log, VixLogFunc warn, VixLogFunc panic,
			    const char *libDir, const char *config) {
	(void)libDir, (void)config;
	if (major != 1 || minor != 0)
		return INCOMPATIBLE_VERSION;
	if (ready || !log || !warn || !panic)
		return INVALID_ARG;
	ready = true;
	return VIX_OK;
}

API void VixMntapi_Exit(void) {
	if (sets)
		VixLab_Misuse("mntapi-open-at-exit", "VixMntapi_Exit with disk sets open");
	ready = false;
}

/* The superblock is 1024 bytes from the volume's start. */
static VixError look_for_ext4(struct set *set) {
	uint8_t block[2 * VIX_SECTOR_SIZE];
	VixError err = VixDiskLib_Read(set->disk, 2, 2, block);
	if (err != VIX_OK)
		return VIX_CODE(err) == 16007 ? VIX_OK : err; /* too small for any volume */
	if (block[56] != 0x53 || block[57] != 0xef)
		return VIX_OK;
	set->count = 1;
	memcpy(set->volume.label, block + 120, 16);
	return VIX_OK;
}

API VixError VixMntapi_OpenDisks(VixConnection *connection, const char *names[], size_t count, uint32_t flags, struct set **out) {
	if (count != 1)
		return NOT_SUPPORTED;
	if (!names || !names[0]) /* the real one crashes, some day or at once */
		VixLab_Misuse("mntapi-null", "VixMntapi_OpenDisks with NULL for a disk's name");
	size_t length = strlen(names[0]);
	struct set *set = calloc(1, sizeof *set);
	if (!ready || !length || !set) {
		free(set);
		return ready && length ? OUT_OF_MEMORY : INVALID_ARG;
	}
	VixError err = VixDiskLib_Open(connection, names[0], flags, &set->disk);
	if (VIX_CODE(err) == VIX_OK) {
		err = look_for_ext4(set);
		if (err != VIX_OK)
			VixDiskLib_Close(set->disk);
	}
	if (VIX_CODE(err) != VIX_OK) {
		free(set);
		return err;
	}
	snprintf(set->path, sizeof set->path, "/dev/vixlab/%d", ++sets);
	*out = set;
	return VIX_OK;
}

API VixError VixMntapi_GetDiskSetInfo(struct set *set, struct set_info **out) {
	*out = calloc(1, sizeof **out);
	(*out)->path = set->path;
	return VIX_OK;
}
API void VixMntapi_FreeDiskSetInfo(struct set_info *info) { free(info); }

API VixError VixMntapi_CloseDiskSet(struct set *set) {
	if (set->volume.mounted)
		return OPEN_HANDLES;
	VixError err = VixDiskLib_Close(set->disk);
	free(set);
	sets--;
	return err;
}

API VixError VixMntapi_GetVolumeHandles(struct set *set, size_t *count, struct volume ***out) {
	*count = (size_t)set->count;
	*out = calloc((size_t)set->count + 1, sizeof **out);
	if (set->count)
		(*out)[0] = &set->volume;
	return VIX_OK;
}
API void VixMntapi_FreeVolumeHandles(struct volume **volumes) { free(volumes); }

API VixError VixMntapi_GetOsInfo(struct set *set, struct os_info **out) {
	*out = calloc(1, sizeof **out);
	if (set->count)
		**out = (struct os_info){.family = 255, .major = 6, .minor = 1, .is64 = 1, .vendor = set->volume.label, .folder = "/"};
	return VIX_OK;
}
API void VixMntapi_FreeOsInfo(struct os_info *info) { free(info); }

API VixError VixMntapi_MountVolume(struct volume *volume, char readOnly) {
	if (volume->mounted)
		return ALREADY_MOUNTED;
	if (!readOnly)
		return NOT_SUPPORTED;
	const char *tmp = getenv("TMPDIR");
	snprintf(volume->path, sizeof volume->path, "%s/vixmntapi-XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(volume->path))
		return OS_ERROR;
	volume->mounted = true;
	return VIX_OK;
}

API VixError VixMntapi_DismountVolume(struct volume *volume, char force) {
	(void)force;
	if (!volume->mounted)
		return NOT_MOUNTED;
	if (rmdir(volume->path) != 0)
		return OS_ERROR;
	volume->mounted = false;
	return VIX_OK;
}

API VixError VixMntapi_GetVolumeInfo(struct volume *volume, struct volume_info **out) {
	*out = calloc(1, sizeof **out);
	**out = (struct volume_info){.type = 1, .mounted = volume->mounted, .points = 1, .point = {"/"}};
	if (volume->mounted)
		(*out)->link = volume->path;
	return VIX_OK;
}
API void VixMntapi_FreeVolumeInfo(struct volume_info *info) { free(info); }
