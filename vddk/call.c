/*
 * Calls, and how they pass between Go and C: the address of a call is written to a
 * pipe. Each worker has a pipe of the calls that it is to make. One other pipe,
 * which the Go runtime's poller watches, is for all calls that have ended. The
 * kernel writes and reads the eight bytes of an address as a whole (PIPE_BUF).
 *
 * Go uses bare system calls for both. A call into C, or a system call that the Go
 * scheduler is told of, would wake the runtime's monitor thread for each read. With
 * an exported Go function as the completion callback, each thread of the library
 * would have to become one of the runtime's.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "shim.h"

static int ended[2];

int ivd_open_ended(void) {
	if (pipe2(ended, O_CLOEXEC) != 0 || fcntl(ended[0], F_SETFL, O_NONBLOCK) != 0)
		return -errno;
	return ended[0];
}

void ivd_return(struct ivd_call *call) {
	ivd_hand(ended[1], call);
}

void ivd_hand(int to, struct ivd_call *call) {
	if (write(to, &call, sizeof call) != sizeof call)
		abort();
}

struct ivd_call *ivd_take(int from) {
	struct ivd_call *call;
	ssize_t n;
	do
		n = read(from, &call, sizeof call);
	while (n < 0 && errno == EINTR);
	if (n != sizeof call)
		abort();
	return call;
}

struct ivd_call *ivd_call_new(uint64_t id) {
	struct ivd_call *call = calloc(1, sizeof *call);
	if (call)
		call->id = id;
	return call;
}

void ivd_call_release(struct ivd_call *call) {
	if (call->got)
		ivd_params_free(call->got);
	free(call->blocks);
	free(call->out);
	free(call->text);
	free(call->value);
	free(call->warning);
	free(call->opened);
}

void ivd_call_free(struct ivd_call *call) {
	ivd_call_release(call);
	free(call);
}
