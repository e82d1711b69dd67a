/*
 * Which thread may call what: a handle's calls one at a time; Open and Close one at a
 * time, and on one designated thread. VMware asks for that thread but does not say
 * what happens without it, so a breach is reported and does not abort. When that
 * thread has ended, or hangs in a call of the library, another may take its place.
 */
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "lab.h"

#define INSIDE 256

static atomic_bool opening;
static _Thread_local bool mine;

/* The threads that are in a call which may take long. */
static _Atomic pid_t inside[INSIDE];

static struct {
	pthread_mutex_t lock;
	pid_t thread; /* 0: none yet */
	bool told;
} designated = {.lock = PTHREAD_MUTEX_INITIALIZER};

static pid_t self(void) {
	static _Thread_local pid_t id;
	if (!id)
		id = (pid_t)syscall(SYS_gettid);
	return id;
}

struct lab_stay lab_stay_begins(void) {
	for (int i = 0; i < INSIDE; i++) {
		pid_t none = 0;
		if (atomic_compare_exchange_strong(&inside[i], &none, self()))
			return (struct lab_stay){i};
	}
	return (struct lab_stay){-1};
}

void lab_stay_ends(struct lab_stay *stay) {
	if (stay->place >= 0)
		atomic_store(&inside[stay->place], 0);
}

/* A thread that comes back from a call that was given up ends soon: wait for that. */
static bool may_be_followed(pid_t thread) {
	const struct timespec millisecond = {.tv_nsec = 1000000};
	for (int tries = 0; tries < 50; tries++) {
		for (int i = 0; i < INSIDE; i++)
			if (atomic_load(&inside[i]) == thread)
				return true;
		if (syscall(SYS_tgkill, getpid(), thread, 0) != 0)
			return true;
		nanosleep(&millisecond, NULL);
	}
	return false;
}

static void on_one_thread(const char *call) {
	pthread_mutex_lock(&designated.lock);
	pid_t before = designated.thread;
	bool wrong = before && before != self() && !designated.told && !may_be_followed(before);
	designated.told = designated.told || wrong;
	designated.thread = self();
	pthread_mutex_unlock(&designated.lock);
	if (wrong)
		lab_report(NULL, "open-close-thread", "%s on thread %d, while thread %d, which made such calls before, is there", call, self(), before);
}

void lab_opening_begins(const char *call) {
	if (atomic_exchange(&opening, true))
		lab_misuse(NULL, "open-close-at-once", "%s while another VixDiskLib_Open or Close runs", call);
	mine = true;
	on_one_thread(call);
}

void lab_opening_ends(void) {
	if (mine)
		atomic_store(&opening, false);
	mine = false;
}

void lab_enter(VixHandle *handle, const char *call) {
	if (atomic_exchange(&handle->busy, true))
		lab_misuse(handle->dir, "handle-at-once", "%s while another call runs on the same handle", call);
}

void lab_leave(VixHandle *handle) {
	atomic_store(&handle->busy, false);
}
