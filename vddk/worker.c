/*
 * Workers: threads that make the calls they are handed, in that order. A handle's
 * worker starts its reads and writes, always with ReadAsync and WriteAsync (a handle
 * must not do both kinds of I/O), and makes every other call on the handle, so that
 * the library never sees two calls on it at once. No lock is held while the library
 * runs: a completion may come on this very thread, before ReadAsync has returned.
 * When the library does not come back, it keeps the worker that is inside it, and
 * nothing else.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "shim.h"

enum { NOT_SUPPORTED = 6 };
#define SLOTS 2048 /* requests in flight in the process */

struct ivd_worker {
	int inbox[2]; /* a pipe: calls, and NULL at the end */
	pthread_t thread;
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t landed; /* nothing is in flight any more, or the worker is abandoned */
	unsigned flying;
	int abandoned;
};

static _Thread_local struct ivd_worker *self;

/* Requests in flight. The library gets a number as callback data, never a pointer: a
 * completion that comes twice or too late finds its number gone. */
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

static void vacate(struct slot *slot) {
	slot->generation++;
	slot->call = NULL;
	flight.free[flight.spare++] = (uint16_t)(slot - flight.slots);
	pthread_cond_signal(&flight.freed);
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
	if (call)
		vacate(slot);
	pthread_mutex_unlock(&flight.lock);
	if (!call)
		return;
	call->result = result;
	if (VIX_CODE(result) != VIX_OK)
		call->warning = ivd_take_warning();
	ivd_return(call);
	pthread_mutex_lock(&worker->lock);
	if (--worker->flying == 0)
		pthread_cond_signal(&worker->landed);
	pthread_mutex_unlock(&worker->lock);
}

/* The call is Go's again once it has landed: nothing of it is read after that. */
static void fly(struct ivd_worker *worker, struct ivd_call *call) {
	pthread_mutex_lock(&worker->lock);
	worker->flying++;
	pthread_mutex_unlock(&worker->lock);
	VixHandle *handle = call->handle;
	void *number = take_off(worker, call);
	VixError err = call->op == IVD_READ
		? ivd_vix.ReadAsync(handle, call->sector, call->count, call->buffer, land, number)
		: !ivd_vix.WriteAsync ? NOT_SUPPORTED
		: ivd_vix.WriteAsync(handle, call->sector, call->count, call->buffer, land, number);
	if (VIX_CODE(err) == VIX_ASYNC)
		return;
	/* Refused, or done without a callback; if there was one, land ignores this. */
	if (VIX_CODE(err) == VIX_OK)
		err = ivd_vix.Wait(handle);
	land(number, err);
}

/* The library's Wait, and then our own: its callbacks may still be returning. */
static VixError drain(struct ivd_worker *worker, VixHandle *handle) {
	VixError err = ivd_vix.Wait(handle);
	pthread_mutex_lock(&worker->lock);
	while (worker->flying > 0 && !worker->abandoned)
		pthread_cond_wait(&worker->landed, &worker->lock);
	pthread_mutex_unlock(&worker->lock);
	return err;
}

int ivd_abandoned(void) {
	pthread_mutex_lock(&self->lock);
	int abandoned = self->abandoned;
	pthread_mutex_unlock(&self->lock);
	return abandoned;
}

static void run(struct ivd_worker *worker, struct ivd_call *call) {
	free(ivd_take_warning());
	if (call->op == IVD_READ || call->op == IVD_WRITE) {
		fly(worker, call);
		return;
	}
	call->result = VIX_OK;
	if (call->op == IVD_FLUSH || call->op == IVD_DRAIN)
		call->result = drain(worker, call->handle);
	if (VIX_CODE(call->result) == VIX_OK && !ivd_abandoned())
		ivd_perform(call);
	if (VIX_CODE(call->result) != VIX_OK)
		call->warning = ivd_take_warning();
	ivd_return(call);
}

static void *work(void *arg) {
	self = arg;
	for (struct ivd_call *call; (call = ivd_take(self->inbox[0])) && !ivd_abandoned();)
		run(self, call);
	return NULL;
}

/* Signals are the Go runtime's: its threads take them. */
static int start_thread(struct ivd_worker *worker) {
	sigset_t all, old;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int failed = pthread_create(&worker->thread, NULL, work, worker);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return failed;
}

static void free_worker(struct ivd_worker *worker) {
	close(worker->inbox[0]);
	close(worker->inbox[1]);
	pthread_mutex_destroy(&worker->lock);
	pthread_cond_destroy(&worker->landed);
	free(worker);
}

struct ivd_worker *ivd_worker_start(void) {
	struct ivd_worker *worker = calloc(1, sizeof *worker);
	if (!worker || pipe2(worker->inbox, O_CLOEXEC) != 0) {
		free(worker);
		return NULL;
	}
	pthread_mutex_init(&worker->lock, NULL);
	pthread_cond_init(&worker->landed, NULL);
	if (start_thread(worker) != 0) {
		free_worker(worker);
		return NULL;
	}
	return worker;
}

int ivd_worker_inbox(struct ivd_worker *worker) {
	return worker->inbox[1];
}

void ivd_worker_stop(struct ivd_worker *worker) {
	ivd_hand(worker->inbox[1], NULL);
	pthread_join(worker->thread, NULL);
	free_worker(worker);
}

/* A completion that still comes finds its number gone. The worker's memory and its
 * pipe stay: its thread, one of the library's that is just calling back, or a
 * goroutine that is just handing over a call may use them at any time. */
void ivd_worker_abandon(struct ivd_worker *worker) {
	pthread_mutex_lock(&worker->lock);
	worker->abandoned = 1;
	pthread_cond_signal(&worker->landed);
	pthread_mutex_unlock(&worker->lock);
	ivd_hand(worker->inbox[1], NULL);
	pthread_detach(worker->thread);
	pthread_mutex_lock(&flight.lock);
	for (unsigned i = 0; i < flight.used; i++)
		if (flight.slots[i].call && flight.slots[i].worker == worker)
			vacate(&flight.slots[i]);
	pthread_mutex_unlock(&flight.lock);
}
