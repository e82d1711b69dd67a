/* QueryAllocatedBlocks, with the documented rules: start and number are multiples
 * of the chunk, the chunk is at least 64 KiB, at most 512 Ki chunks in a call. */
#include <stdlib.h>

#include "faults.h"

void lab_blocks_add(struct lab_blocks *blocks, uint64_t offset, uint64_t length) {
	if (blocks->failed || length == 0)
		return;
	VixBlockList *list = blocks->list;
	if (list && list->numBlocks > 0) {
		VixBlock *last = &list->blocks[list->numBlocks - 1];
		uint64_t end = last->offset + last->length;
		if (offset <= end) { /* two extents of a file may meet in one chunk */
			if (offset + length > end)
				last->length = offset + length - last->offset;
			return;
		}
	}
	if (!list || list->numBlocks == blocks->room) {
		size_t room = blocks->room ? blocks->room * 2 : 64;
		list = realloc(list, offsetof(VixBlockList, blocks) + room * sizeof(VixBlock));
		if (!list) {
			blocks->failed = true;
			return;
		}
		if (!blocks->list)
			list->numBlocks = 0;
		blocks->list = list;
		blocks->room = room;
	}
	list->blocks[list->numBlocks++] = (VixBlock){offset, length};
}

/* A list without blocks is a list too. */
VixBlockList *lab_blocks_done(struct lab_blocks *blocks) {
	if (blocks->failed) {
		free(blocks->list);
		return NULL;
	}
	if (!blocks->list)
		blocks->list = calloc(1, sizeof *blocks->list);
	return blocks->list;
}

static VixError check(const VixHandle *handle, uint64_t start, uint64_t count, uint64_t chunk) {
	if (chunk < VIX_MIN_CHUNK_SIZE || count == 0 || start % chunk || count % chunk ||
	    count / chunk > VIX_MAX_CHUNK_NUMBER)
		return VIX_INVALID_ARG;
	if (start > handle->capacity || count > handle->capacity - start)
		return VIX_INVALID_ARG;
	return lab_fault_on(handle, "QueryAllocatedBlocks");
}

API VixError VixDiskLib_QueryAllocatedBlocks(VixHandle *handle, uint64_t start, uint64_t count, uint64_t chunk,
					     VixBlockList **list) {
	lab_needs_handle(handle, "VixDiskLib_QueryAllocatedBlocks");
	lab_needs(list, "VixDiskLib_QueryAllocatedBlocks", "the list");
	lab_enter(handle, "VixDiskLib_QueryAllocatedBlocks");
	*list = NULL;
	VixError err = check(handle, start, count, chunk);
	if (err == VIX_OK) {
		struct lab_request request = {
			.handle = handle, .op = LAB_ALLOCATED, .sector = start, .count = count, .chunk = chunk};
		err = lab_submit_and_wait(&request);
		*list = request.blocks;
	}
	lab_leave(handle);
	return err;
}

API VixError VixDiskLib_FreeBlockList(VixBlockList *list) {
	free(list);
	return VIX_OK;
}
