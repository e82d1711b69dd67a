/*
 * Local disks as files: a VMDK's descriptor with flat extents beside it, or a raw
 * image, which is one extent. Sparse extents and links to a parent are refused.
 */
#ifndef IVD_LAB_VMDK_H
#define IVD_LAB_VMDK_H

#include "lab.h"

#define VMDK_EXTENTS 64

struct vmdk_extent {
	int fd;
	uint64_t start, count, offset; /* sectors: in the disk, and in the file */
};

struct vmdk {
	struct vmdk_extent extents[VMDK_EXTENTS];
	int count;
	uint64_t capacity; /* sectors */
	int adapter;
	char uuid[64];
};

/* Opens every file of the disk and locks it: several may read, or one may write. */
VixError vmdk_open(const char *path, bool read_only, struct vmdk *vmdk);
void vmdk_close(struct vmdk *vmdk);
/* The extent that has a sector, which must be below the capacity. */
const struct vmdk_extent *vmdk_at(const struct vmdk *vmdk, uint64_t sector);

/* The names that a descriptor's text gives to its extents; visit returns a code that
 * ends the visit. folder ends in a slash. */
typedef VixError (*vmdk_visit)(void *data, const char *path, uint64_t count, uint64_t offset);
VixError vmdk_extents(const char *folder, char *text, vmdk_visit visit, void *data);
/* The text of a descriptor, to be freed; NULL in *text where the file is none. */
VixError vmdk_text(const char *path, char **text, char *folder, size_t size);

#endif
