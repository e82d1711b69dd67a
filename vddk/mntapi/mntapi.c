/* See mntapi.h. What the library allocates is copied and freed within the call, on
 * the thread that made it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mntapi.h"

static struct {
#define MEMBER(result, name, args) result(*name) args;
	VIX_MNT_SYMBOLS(MEMBER)
#undef MEMBER
} mnt;

char *mnt_load(const char *path) {
	void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!library)
		return strdup(dlerror());
	const char *missing = NULL;
#define NEED(result, name, args) \
	mnt.name = (result(*) args)dlsym(library, "VixMntapi_" #name); \
	if (!mnt.name && !missing) \
		missing = "VixMntapi_" #name;
	VIX_MNT_SYMBOLS(NEED)
#undef NEED
	char *text = NULL;
	if (missing && asprintf(&text, "%s: undefined symbol: %s", path, missing) < 0)
		return strdup(missing);
	return text;
}

struct mnt_call *mnt_call_new(int op) {
	struct mnt_call *call = calloc(1, sizeof *call);
	if (call)
		call->op = op;
	return call;
}

void mnt_call_free(struct mnt_call *call) {
	for (size_t i = 0; i < sizeof call->texts / sizeof *call->texts; i++)
		free(call->texts[i]);
	for (size_t i = 0; call->points && i < call->info.numGuestMountPoints; i++)
		free(call->points[i]);
	free(call->points);
	free(call->disk);
	free(call);
}

static char *copy(const char *text) {
	return text ? strdup(text) : NULL;
}

/* One disk, by its name, which is never NULL: the library crashes on such, and on
 * Linux it takes one disk only. */
static uint64_t open_disks(struct mnt_call *call) {
	const char *names[1] = {call->disk};
	uint64_t err = mnt.OpenDisks(call->connection, names, 1, call->flags, &call->set);
	if (err & 0xffff)
		return err;
	VixDiskSetInfo *info = NULL;
	if (!(mnt.GetDiskSetInfo(call->set, &info) & 0xffff) && info) {
		call->texts[0] = copy(info->mountPath);
		mnt.FreeDiskSetInfo(info);
	}
	return err;
}

static uint64_t os_info(struct mnt_call *call) {
	VixOsInfo *info = NULL;
	uint64_t err = mnt.GetOsInfo(call->set, &info);
	if ((err & 0xffff) || !info)
		return err;
	call->os = *info;
	call->texts[0] = copy(info->vendor);
	call->texts[1] = copy(info->edition);
	call->texts[2] = copy(info->osFolder);
	mnt.FreeOsInfo(info);
	return err;
}

static uint64_t volume_info(struct mnt_call *call) {
	VixVolumeInfo *info = NULL;
	uint64_t err = mnt.GetVolumeInfo(call->volume, &info);
	if ((err & 0xffff) || !info)
		return err;
	call->info = *info;
	call->texts[0] = copy(info->symbolicLink);
	call->points = calloc(info->numGuestMountPoints + 1, sizeof *call->points);
	for (size_t i = 0; call->points && i < info->numGuestMountPoints; i++)
		call->points[i] = copy(info->inGuestMountPoints[i]);
	mnt.FreeVolumeInfo(info);
	return err;
}

static uint64_t close_set(struct mnt_call *call) {
	if (call->volumes)
		mnt.FreeVolumeHandles(call->volumes);
	return mnt.CloseDiskSet(call->set);
}

/* What Init was given the library may keep until Exit. */
static char *kept[2];

static uint64_t init(struct mnt_call *call) {
	kept[0] = call->libdir;
	kept[1] = call->config;
	return mnt.Init(1, 0, ivd_log, ivd_warn, ivd_panic, call->libdir, call->config);
}

void mnt_perform(void *argument) {
	struct mnt_call *call = argument;
	switch (call->op) {
	case MNT_INIT:
		call->result = init(call);
		break;
	case MNT_EXIT:
		mnt.Exit();
		free(kept[0]);
		free(kept[1]);
		break;
	case MNT_OPEN:
		call->result = open_disks(call);
		break;
	case MNT_VOLUMES: /* the manual prints an int for the count: zero is right for both */
		call->result = mnt.GetVolumeHandles(call->set, &call->count, &call->volumes);
		break;
	case MNT_OS:
		call->result = os_info(call);
		break;
	case MNT_MOUNT:
		call->result = mnt.MountVolume(call->volume, 1);
		break;
	case MNT_DISMOUNT:
		call->result = mnt.DismountVolume(call->volume, (char)call->force);
		break;
	case MNT_INFO:
		call->result = volume_info(call);
		break;
	case MNT_CLOSE:
		call->result = close_set(call);
		break;
	}
}
