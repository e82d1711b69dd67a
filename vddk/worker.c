/*
 * Workers: a thread and its queue of calls. A handle's worker issues only
 * ReadAsync and WriteAsync (a handle must not do both kinds of I/O), DEPTH of
 * them at once, and makes every other call on the handle too, so that calls on
 * it are serialised. No lock is held while the library runs: a completion may
 * come on this very thread, before ReadAsync has returned. A library that does not
 * come back keeps the worker it has, and nothing else.
 */
#define _GNU_SOURCE
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shim.h"

#define DEPTH 32   /* requests in flight on a handle */
#define SLOTS 2048 /* requests in flight in the process */

struct ivd_worker {
	struct ivd_inbox inbox;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t landed; /* the thread waits for requests in flight */
	struct ivd_call *first, **last; /* of the inbox, in order */
	struct ivd_call *current;	/* no I/O */
	unsigned flying;
	int waiting;	     /* for landed */
	int stop, abandoned; /* set with the lock held; atomic, since a thread that falls asleep has not got it */
};

struct ivd_inbox *ivd_worker_inbox(struct ivd_worker *worker) {
	return &worker->inbox;
}

/* Has the thread look: at the inbox, at stop and abandoned. */
static void wake(struct ivd_worker *worker) {
	if (__atomic_exchange_n(&worker->inbox.asleep, 0, __ATOMIC_SEQ_CST))
		syscall(SYS_futex, &worker->inbox.asleep, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/* Until somebody wakes it; at once when there is something to look at already. */
static void fall_asleep(struct ivd_worker *worker) {
	uint32_t *asleep = &worker->inbox.asleep;
	__atomic_store_n(asleep, 1, __ATOMIC_SEQ_CST);
	if (!__atomic_load_n(&worker->inbox.newest, __ATOMIC_SEQ_CST) && !__atomic_load_n(&worker->stop, __ATOMIC_SEQ_CST) &&
	    !__atomic_load_n(&worker->abandoned, __ATOMIC_SEQ_CST))
		while (__atomic_load_n(asleep, __ATOMIC_SEQ_CST))
			syscall(SYS_futex, asleep, FUTEX_WAIT_PRIVATE, 1, NULL, NULL, 0);
	__atomic_store_n(asleep, 0, __ATOMIC_SEQ_CST);
}

/* Takes over what the inbox has. With the lock held. */
static void empty_inbox(struct ivd_worker *worker) {
	struct ivd_call *call = __atomic_exchange_n(&worker->inbox.newest, NULL, __ATOMIC_SEQ_CST);
	struct ivd_call *first = NULL, **last = call ? &call->next : NULL;
	while (call) {
		struct ivd_call *older = call->next;
		call->next = first;
		first = call;
		call = older;
	}
	if (last) {
		*worker->last = first;
		worker->last = last;
	}
}

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
	if (worker->waiting)
		pthread_cond_signal(&worker->landed);
	pthread_mutex_unlock(&worker->lock);
}

/* Until no more than so many are in flight, or the worker is given up: 0 then. */
static int wait_for_flying(struct ivd_worker *worker, unsigned most) {
	worker->waiting = 1;
	while (worker->flying > most && !worker->abandoned)
		pthread_cond_wait(&worker->landed, &worker->lock);
	worker->waiting = 0;
	return !worker->abandoned;
}

static void fly(struct ivd_worker *worker, struct ivd_call *call) {
	pthread_mutex_lock(&worker->lock);
	int may = wait_for_flying(worker, DEPTH - 1);
	worker->flying++;
	pthread_mutex_unlock(&worker->lock);
	if (!may)
		return;
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
	wait_for_flying(worker, 0);
	pthread_mutex_unlock(&worker->lock);
	return err;
}

static int given_up(struct ivd_worker *worker, struct ivd_call *call) {
	pthread_mutex_lock(&worker->lock);
	int yes = worker->abandoned || call->given_up;
	pthread_mutex_unlock(&worker->lock);
	return yes;
}

/* Once a call is given up, nothing more is asked about its handle, and nobody is
 * told of its end. */
static void run(struct ivd_worker *worker, struct ivd_call *call) {
	if (call->op == IVD_READ || call->op == IVD_WRITE) {
		fly(worker, call);
		return;
	}
	free(ivd_take_warning());
	call->result = VIX_OK;
	if (call->op == IVD_FLUSH || call->op == IVD_DRAIN)
		call->result = drain(worker, call->handle);
	if (VIX_CODE(call->result) == VIX_OK && !given_up(worker, call))
		ivd_perform(call);
	if (VIX_CODE(call->result) != VIX_OK)
		call->warning = ivd_take_warning();
	pthread_mutex_lock(&worker->lock);
	worker->current = NULL; /* from here on it has ended */
	int lost = worker->abandoned || call->given_up;
	pthread_mutex_unlock(&worker->lock);
	if (!lost)
		ivd_done(call);
}

/* The next call, or NULL; what is no I/O becomes the current one. */
static struct ivd_call *next_call(struct ivd_worker *worker, int *end) {
	pthread_mutex_lock(&worker->lock);
	empty_inbox(worker);
	struct ivd_call *call = worker->first;
	*end = worker->abandoned || (!call && worker->stop);
	if (call && !*end) {
		worker->first = call->next;
		if (!worker->first)
			worker->last = &worker->first;
		if (call->op != IVD_READ && call->op != IVD_WRITE)
			worker->current = call;
	}
	pthread_mutex_unlock(&worker->lock);
	return call;
}

static void *work(void *arg) {
	struct ivd_worker *worker = arg;
	for (;;) {
		int end;
		struct ivd_call *call = next_call(worker, &end);
		if (end)
			return NULL;
		if (call)
			run(worker, call);
		else
			fall_asleep(worker);
	}
}

/* Signals are the Go runtime's: its threads take them. */
struct ivd_worker *ivd_worker_start(void) {
	struct ivd_worker *worker = calloc(1, sizeof *worker);
	if (!worker)
		return NULL;
	worker->last = &worker->first;
	pthread_mutex_init(&worker->lock, NULL);
	pthread_cond_init(&worker->landed, NULL);
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
	__atomic_store_n(&worker->stop, 1, __ATOMIC_SEQ_CST);
	pthread_mutex_unlock(&worker->lock);
	wake(worker);
	pthread_join(worker->thread, NULL);
	pthread_mutex_destroy(&worker->lock);
	pthread_cond_destroy(&worker->landed);
	free(worker);
}

void ivd_submit(struct ivd_worker *worker, struct ivd_call *call) {
	struct ivd_call **newest = &worker->inbox.newest;
	call->next = __atomic_load_n(newest, __ATOMIC_RELAXED);
	while (!__atomic_compare_exchange_n(newest, &call->next, call, 1, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
		;
	wake(worker);
}

/* What is in flight lands nowhere: a completion that still comes finds its number
 * gone. The worker stays, since its thread, or one of the library's that is just
 * calling back, may look at it at any time. */
void ivd_worker_abandon(struct ivd_worker *worker) {
	pthread_mutex_lock(&worker->lock);
	__atomic_store_n(&worker->abandoned, 1, __ATOMIC_SEQ_CST);
	wake(worker);
	pthread_cond_broadcast(&worker->landed);
	pthread_mutex_unlock(&worker->lock);
	pthread_detach(worker->thread);
	pthread_mutex_lock(&flight.lock);
	for (unsigned i = 0; i < flight.used; i++) {
		struct slot *slot = &flight.slots[i];
		if (!slot->call || slot->worker != worker)
			continue;
		slot->generation++;
		slot->call = NULL;
		flight.free[flight.spare++] = (uint16_t)i;
	}
	pthread_cond_broadcast(&flight.freed);
	pthread_mutex_unlock(&flight.lock);
}

static int unqueue(struct ivd_worker *worker, struct ivd_call *call) {
	for (struct ivd_call **at = &worker->first; *at; at = &(*at)->next) {
		if (*at != call)
			continue;
		*at = call->next;
		if (worker->last == &call->next)
			worker->last = at;
		return 1;
	}
	return 0;
}

/* Where no other thread is to be had, the old one goes on once it can. */
enum ivd_withdrawn ivd_withdraw(struct ivd_worker **worker, struct ivd_call *call) {
	struct ivd_worker *old = *worker, *new = ivd_worker_start();
	pthread_mutex_lock(&old->lock);
	empty_inbox(old);
	enum ivd_withdrawn state = unqueue(old, call) ? IVD_NOT_BEGUN : old->current == call ? IVD_UNDER_WAY : IVD_ENDED;
	if (state == IVD_UNDER_WAY) {
		__atomic_store_n(&call->given_up, 1, __ATOMIC_RELEASE);
		__atomic_store_n(&old->abandoned, new != NULL, __ATOMIC_SEQ_CST);
	}
	struct ivd_call *queue = NULL;
	if (old->abandoned) {
		queue = old->first;
		old->first = NULL;
		old->last = &old->first;
		wake(old);
		pthread_detach(old->thread);
	}
	pthread_mutex_unlock(&old->lock);
	if (new && state != IVD_UNDER_WAY) {
		ivd_worker_stop(new);
		return state;
	}
	while (queue) {
		struct ivd_call *next = queue->next;
		ivd_submit(new, queue);
		queue = next;
	}
	if (new)
		*worker = new;
	return state;
}
