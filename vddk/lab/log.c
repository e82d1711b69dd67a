/* The program's log functions, and threads that do not take its signals. */
#include <signal.h>
#include <stdlib.h>

#include "lab.h"

static struct {
	VixLogFunc log, warn, panic;
} to;

void lab_log_to(VixLogFunc log, VixLogFunc warn, VixLogFunc panic) {
	to.log = log;
	to.warn = warn;
	to.panic = panic;
}

void lab_log(const char *format, ...) {
	va_list args;
	va_start(args, format);
	if (to.log)
		to.log(format, args);
	va_end(args);
}

void lab_warn(const char *format, ...) {
	va_list args;
	va_start(args, format);
	if (to.warn)
		to.warn(format, args);
	else
		vfprintf(stderr, format, args);
	va_end(args);
}

_Noreturn void lab_panic(const char *format, ...) {
	va_list args;
	va_start(args, format);
	if (to.panic)
		to.panic(format, args);
	else
		vfprintf(stderr, format, args);
	va_end(args);
	abort();
}

/* A thread of the library takes no signal of its program. */
int lab_thread(pthread_t *thread, void *(*body)(void *), void *arg) {
	sigset_t all, old;
	sigfillset(&all);
	sigdelset(&all, SIGPIPE); /* as the real library: writing to a broken socket is the program's matter */
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int failed = pthread_create(thread, NULL, body, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return failed;
}
