/*
 * The transports san and hotadd: the laboratory's files are the LUN and the SCSI
 * device. A request is done when it has been submitted, on the caller's thread,
 * as the real library's are: its callback comes before ReadAsync returns.
 */
#include <stdlib.h>
#include <string.h>

#include "chain.h"
#include "session.h"
#include "ticket.h"
#include "world.h"

struct lun {
	struct chain *chain;
	struct lab_session *session;
	char *mark;
	pthread_mutex_t lock;
};

/* SAN writes base disks only: with a snapshot, untracked, and thick. */
static VixError may_write(VixHandle *handle, const struct chain *chain) {
	const char *why = NULL;
	if (handle->transport == LAB_SAN)
		why = chain_snapshots(chain) == 0 ? "there is no snapshot"
			: chain_tracks(chain) ? "changed block tracking is on"
			: !handle->ticket->thick ? "the disk is thin" : NULL;
	if (!why)
		return VIX_OK;
	lab_warn("san: the disk cannot be written: %s\n", why);
	return VIX_NOT_SUPPORTED;
}

static VixError open_chain(VixHandle *handle, const char *snapshot, struct chain **chain) {
	char path[8192];
	snprintf(path, sizeof path, "%s/%s", handle->dir, handle->ticket->path);
	VixError err = chain_open(path, snapshot, !handle->read_only, chain);
	if (err == VIX_OK && !handle->read_only)
		err = may_write(handle, *chain);
	else if (err != VIX_OK)
		*chain = NULL;
	return err;
}

static VixError lun_open(VixHandle *handle, const char *path) {
	(void)path; /* the ticket knows which disk it names */
	struct lab_want want = {.transport = handle->transport, .disk = handle->id, .snapshot = handle->ticket->snapshot,
		.write = !handle->read_only, .ticket = handle->ticket};
	struct lun *lun = calloc(1, sizeof *lun);
	if (!lun)
		return VIX_OUT_OF_MEMORY;
	VixError err = lab_attach(handle->dir, &want, &lun->mark);
	if (err == VIX_OK)
		err = open_chain(handle, want.snapshot, &lun->chain);
	if (err == VIX_OK && !(lun->session = lab_session_open(handle->dir, want.disk, handle->transport)))
		err = VIX_OUT_OF_MEMORY;
	if (err != VIX_OK) {
		if (lun->chain)
			chain_close(lun->chain);
		if (lun->mark)
			lab_detach(lun->mark);
		free(lun);
		return err;
	}
	if (handle->transport == LAB_HOTADD && !handle->read_only && !(handle->flags & VIX_FLAG_OPEN_UNBUFFERED))
		lab_report(handle->dir, "hotadd-unbuffered", "disk %s is opened for writing over hotadd without UNBUFFERED", want.disk);
	pthread_mutex_init(&lun->lock, NULL);
	handle->disk = lun;
	handle->capacity = chain_size(lun->chain) / VIX_SECTOR_SIZE;
	handle->links = chain_links(lun->chain);
	snprintf(handle->uuid, sizeof handle->uuid, "%s", want.disk);
	return VIX_OK;
}

struct gathering {
	struct lab_blocks blocks;
	uint64_t chunk, end; /* bytes */
};

static void gather(void *data, uint64_t from, uint64_t to) {
	struct gathering *g = data;
	from = from / g->chunk * g->chunk;
	to = (to + g->chunk - 1) / g->chunk * g->chunk;
	if (to > g->end)
		to = g->end;
	lab_blocks_add(&g->blocks, from / VIX_SECTOR_SIZE, (to - from) / VIX_SECTOR_SIZE);
}

static VixError allocated(struct lun *lun, struct lab_request *request) {
	uint64_t from = request->sector * VIX_SECTOR_SIZE;
	struct gathering g = {.chunk = request->chunk * VIX_SECTOR_SIZE, .end = from + request->count * VIX_SECTOR_SIZE};
	VixError err = chain_allocated(lun->chain, from, g.end, gather, &g);
	request->blocks = lab_blocks_done(&g.blocks);
	if (err == VIX_OK && !request->blocks)
		err = VIX_OUT_OF_MEMORY;
	return err;
}

static VixError work(struct lun *lun, struct lab_request *request) {
	uint64_t offset = request->sector * VIX_SECTOR_SIZE;
	size_t size = request->count * VIX_SECTOR_SIZE;
	switch (request->op) {
	case LAB_READ:
		return chain_read(lun->chain, request->buffer, size, offset);
	case LAB_WRITE:
		return chain_write(lun->chain, request->buffer, size, offset);
	case LAB_ALLOCATED:
		return allocated(lun, request);
	case LAB_FLUSH:
		return chain_flush(lun->chain);
	}
	return VIX_NOT_SUPPORTED;
}

static void lun_submit(VixHandle *handle, struct lab_request *request) {
	struct lun *lun = handle->disk;
	int64_t begun = lab_session_begins();
	pthread_mutex_lock(&lun->lock);
	VixError err = work(lun, request);
	bool moved = err == VIX_OK && (request->op == LAB_READ || request->op == LAB_WRITE);
	lab_session_ends(lun->session, begun, request->op, moved ? request->count * VIX_SECTOR_SIZE : 0);
	pthread_mutex_unlock(&lun->lock);
	lab_complete(request, err);
}

static void lun_close(VixHandle *handle) {
	struct lun *lun = handle->disk;
	chain_close(lun->chain);
	lab_session_close(lun->session);
	lab_detach(lun->mark);
	pthread_mutex_destroy(&lun->lock);
	free(lun);
}

const struct lab_driver lab_lun_driver = {
	.open = lun_open, .submit = lun_submit, .close = lun_close};
