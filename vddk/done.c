/*
 * What has ended, on its way to Go: a list, and an eventfd that the runtime's
 * poller watches. Chosen over an exported Go function as the callback after
 * measuring both with 4 KiB reads: a callback from a foreign thread costs 2 to 5
 * µs (once 14), since the thread must become one of the runtime's; the list costs
 * 2 µs, and a burst of completions wakes Go once.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "shim.h"

static struct {
	pthread_mutex_t lock;
	int fd;
	struct ivd_call *first, **last;
} ended = {.lock = PTHREAD_MUTEX_INITIALIZER, .fd = -1, .last = &ended.first};

int ivd_done_fd(void) {
	pthread_mutex_lock(&ended.lock);
	if (ended.fd < 0)
		ended.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int fd = ended.fd < 0 ? -errno : ended.fd;
	pthread_mutex_unlock(&ended.lock);
	return fd;
}

void ivd_done(struct ivd_call *call) {
	static const uint64_t one = 1;
	call->next = NULL;
	pthread_mutex_lock(&ended.lock);
	int first = !ended.first;
	*ended.last = call;
	ended.last = &call->next;
	pthread_mutex_unlock(&ended.lock);
	/* Nobody reads the counter: it is full after 2^64 writes. */
	if (first && write(ended.fd, &one, sizeof one) < 0)
		abort();
}

int ivd_take(struct ivd_done *out, int max) {
	int n = 0;
	struct ivd_call *io = NULL;
	pthread_mutex_lock(&ended.lock);
	while (n < max && ended.first) {
		struct ivd_call *call = ended.first;
		ended.first = call->next;
		int own = call->op == IVD_READ || call->op == IVD_WRITE;
		/* A failed I/O comes whole, for its warning. */
		own = own && VIX_CODE(call->result) == VIX_OK;
		out[n++] = (struct ivd_done){call->id, call->result, own ? NULL : call};
		if (own) {
			call->next = io;
			io = call;
		}
	}
	if (!ended.first)
		ended.last = &ended.first;
	pthread_mutex_unlock(&ended.lock);
	while (io) {
		struct ivd_call *next = io->next;
		ivd_call_free(io);
		io = next;
	}
	return n;
}
