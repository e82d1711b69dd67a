/*
 * Workers: a thread and its queue of calls. A handle's worker issues only
 * ReadAsync and WriteAsync (a handle must not do both kinds of I/O), DEPTH of
 * them at once, and makes every other call on the handle too, so that calls on
 * it are serialised. No lock is held while the library runs: a completion may
 * come on this very thread, before ReadAsync has returned.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "shim.h"

#define DEPTH 32   /* requests in flight on a handle */
#define SLOTS 2048 /* requests in flight in the process */

struct ivd_worker {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct ivd_call *first, **last;
	unsigned flying;
	int stop;
};

/* What the library is given as callback data is a number, never a pointer: a
 * completion that comes twice, or too late, finds its number gone. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t freed;
	struct slot {
		uint32_t generation;
		struct ivd_worker *worker;
		struct ivd_call *call; /* NULL: free */
	} slots[SLOTS];
	uint16_t free[SLOTS];
	unsigned used, spare; /* never used: slots[used…]; given back: free[0…spare-1] */
} flight = {.lock = PTHREAD_MUTEX_INITIALIZER, .freed = PTHREAD_COND_INITIALIZER};

static void *take_off(struct ivd_worker *worker, struct ivd_call *call) {
	pthread_mutex_lock(&flight.lock);
	while (flight.spare == 0 && flight.used == SLOTS)
		pthread_cond_wait(&flight.freed, &flight.lock);
	unsigned i = flight.spare ? flight.free[--flight.spare] : flight.used++;
	struct slot *slot = &flight.slots[i];
	slot->worker = worker;
	slot->call = call;
	uint64_t number = (uint64_t)slot->generation << 32 | (i + 1);
	pthread_mutex_unlock(&flight.lock);
	return (void *)(uintptr_t)number;
}

/* The completion callback. */
static void land(void *data, VixError result) {
	uint64_t number = (uint64_t)(uintptr_t)data;
	uint32_t i = (uint32_t)number - 1;
	if (i >= SLOTS)
		return;
	pthread_mutex_lock(&flight.lock);
	struct slot *slot = &flight.slots[i];
	struct ivd_call *call = slot->generation == number >> 32 ? slot->call : NULL;
	struct ivd_worker *worker = slot->worker;
	if (call) {
		slot->generation++;
		slot->call = NULL;
		flight.free[flight.spare++] = (uint16_t)i;
		pthread_cond_signal(&flight.freed);
	}
	pthread_mutex_unlock(&flight.lock);
	if (!call)
		return;
	call->result = result;
	if (VIX_CODE(result) != VIX_OK)
		call->warning = ivd_take_warning();
	ivd_done(call);
	pthread_mutex_lock(&worker->lock);
	worker->flying--;
	pthread_cond_broadcast(&worker->changed);
	pthread_mutex_unlock(&worker->lock);
}

static void fly(struct ivd_worker *worker, struct ivd_call *call) {
	pthread_mutex_lock(&worker->lock);
	while (worker->flying >= DEPTH)
		pthread_cond_wait(&worker->changed, &worker->lock);
	worker->flying++;
	pthread_mutex_unlock(&worker->lock);
	/* The call is gone once it has landed: nothing of it is read after that. */
	VixHandle *handle = call->handle;
	free(ivd_take_warning());
	void *number = take_off(worker, call);
	VixError err = call->op == IVD_READ
		? ivd_vix.ReadAsync(handle, call->sector, call->count, call->buffer, land, number)
		: ivd_vix.WriteAsync(handle, call->sector, call->count, call->buffer, land, number);
	if (VIX_CODE(err) == VIX_ASYNC)
		return;
	/* Refused, or done without saying so: no effect where it has landed already. */
	if (VIX_CODE(err) == VIX_OK)
		err = ivd_vix.Wait(handle);
	land(number, err);
}

/* The library's Wait, and then our own: its callbacks may still be returning. */
static VixError drain(struct ivd_worker *worker, VixHandle *handle) {
	VixError err = ivd_vix.Wait(handle);
	pthread_mutex_lock(&worker->lock);
	while (worker->flying)
		pthread_cond_wait(&worker->changed, &worker->lock);
	pthread_mutex_unlock(&worker->lock);
	return err;
}

static void run(struct ivd_worker *worker, struct ivd_call *call) {
	if (call->op == IVD_READ || call->op == IVD_WRITE) {
		fly(worker, call);
		return;
	}
	free(ivd_take_warning());
	call->result = VIX_OK;
	if (call->op == IVD_FLUSH || call->op == IVD_DRAIN)
		call->result = drain(worker, call->handle);
	if (VIX_CODE(call->result) == VIX_OK)
		ivd_perform(call);
	if (VIX_CODE(call->result) != VIX_OK)
		call->warning = ivd_take_warning();
	ivd_done(call);
}

static void *work(void *arg) {
	struct ivd_worker *worker = arg;
	pthread_mutex_lock(&worker->lock);
	for (;;) {
		while (!worker->first && !worker->stop)
			pthread_cond_wait(&worker->changed, &worker->lock);
		struct ivd_call *call = worker->first;
		if (!call)
			break;
		worker->first = call->next;
		if (!worker->first)
			worker->last = &worker->first;
		pthread_mutex_unlock(&worker->lock);
		run(worker, call);
		pthread_mutex_lock(&worker->lock);
	}
	pthread_mutex_unlock(&worker->lock);
	return NULL;
}

/* Signals are the Go runtime's: its threads take them. */
struct ivd_worker *ivd_worker_start(void) {
	struct ivd_worker *worker = calloc(1, sizeof *worker);
	if (!worker)
		return NULL;
	worker->last = &worker->first;
	pthread_mutex_init(&worker->lock, NULL);
	pthread_cond_init(&worker->changed, NULL);
	sigset_t all, old;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int failed = pthread_create(&worker->thread, NULL, work, worker);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (failed) {
		free(worker);
		return NULL;
	}
	return worker;
}

void ivd_worker_stop(struct ivd_worker *worker) {
	pthread_mutex_lock(&worker->lock);
	worker->stop = 1;
	pthread_cond_broadcast(&worker->changed);
	pthread_mutex_unlock(&worker->lock);
	pthread_join(worker->thread, NULL);
	pthread_mutex_destroy(&worker->lock);
	pthread_cond_destroy(&worker->changed);
	free(worker);
}

void ivd_submit(struct ivd_worker *worker, struct ivd_call *call) {
	call->next = NULL;
	pthread_mutex_lock(&worker->lock);
	*worker->last = call;
	worker->last = &call->next;
	pthread_cond_broadcast(&worker->changed);
	pthread_mutex_unlock(&worker->lock);
}

int ivd_submit_io(struct ivd_worker *worker, int op, uint64_t id, VixHandle *handle, uint64_t sector, uint64_t count,
		  void *buffer) {
	struct ivd_call *call = ivd_call_new(op, id);
	if (!call)
		return -1;
	call->handle = handle;
	call->sector = sector;
	call->count = count;
	call->buffer = buffer;
	ivd_submit(worker, call);
	return 0;
}
