/*
 * The C half of the binding without Go, so that it can be built with a sanitizer:
 *     check LIBRARY clean    opens, reads, writes, flushes, closes; leaves nothing
 *     check LIBRARY hang     gives up what hangs, and lets it come back at the end
 * LIBRARY is testdata/dummy.c's. It ends with status 0 when all was as it should
 * be.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../shim.h"

#define MUST(holds) \
	if (!(holds)) { \
		fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #holds); \
		_exit(1); \
	}

void ivdLog(int level, char *text) {
	MUST(level <= IVD_PANIC && text);
}

/* Calls come back by their ids, as in Go. */
enum { CALLS = 4096 };
static struct ivd_call *ended[CALLS];
static uint64_t last;
static int pipe_end;

static void take_ended(void) {
	struct pollfd fd = {.fd = pipe_end, .events = POLLIN};
	MUST(poll(&fd, 1, 10000) == 1);
	struct ivd_call *call = ivd_take(pipe_end);
	ended[call->id % CALLS] = call;
}

static struct ivd_call *await(uint64_t id) {
	while (!ended[id % CALLS] || ended[id % CALLS]->id != id)
		take_ended();
	struct ivd_call *call = ended[id % CALLS];
	ended[id % CALLS] = NULL;
	return call;
}

static void submit(struct ivd_worker *worker, struct ivd_call *call) {
	ivd_hand(ivd_worker_inbox(worker), call);
}

static struct ivd_call *make(int op) {
	struct ivd_call *call = ivd_call_new(++last);
	MUST(call);
	call->op = op;
	return call;
}

/* Makes a call and waits; the call is the caller's to free. */
static uint32_t perform(struct ivd_worker *worker, struct ivd_call *call) {
	submit(worker, call);
	MUST(await(call->id) == call);
	return VIX_CODE(call->result);
}

static uint64_t submit_read(struct ivd_worker *worker, VixHandle *handle, uint64_t sector, void *buffer) {
	struct ivd_call *call = make(IVD_READ);
	call->handle = handle;
	call->sector = sector;
	call->count = 1;
	call->buffer = buffer;
	submit(worker, call);
	return last;
}

static struct ivd_params *params(const char *server) {
	struct ivd_params *p = ivd_params_new();
	p->says.serverName = ivd_params_own(p, strdup(server));
	ivd_params_uid(p, ivd_params_own(p, strdup("user")), ivd_params_own(p, strdup("password")));
	return p;
}

static VixHandle *open_path(struct ivd_worker *control, const char *path) {
	struct ivd_call *call = make(IVD_OPEN);
	call->text = strdup(path);
	MUST(perform(control, call) == 0 && call->opened->info.capacity == 1024);
	VixHandle *handle = call->handle;
	ivd_call_free(call);
	return handle;
}

static void simple(struct ivd_worker *worker, int op, VixHandle *handle, uint32_t code) {
	struct ivd_call *call = make(op);
	call->handle = handle;
	call->text = strdup("key");
	call->value = strdup("value");
	call->count = call->chunk = 128;
	MUST(perform(worker, call) == code);
	ivd_call_free(call);
}

static void clean(struct ivd_worker *control) {
	for (int round = 0; round < 20; round++) {
		struct ivd_call *call = make(IVD_CONNECT);
		call->params = params("server");
		MUST(perform(control, call) == 0);
		struct ivd_params *kept = call->params;
		ivd_call_free(call);
		VixHandle *handle = open_path(control, "/1");
		struct ivd_worker *worker = ivd_worker_start();
		static uint8_t buffers[64][VIX_SECTOR_SIZE];
		uint64_t ids[64];
		/* More than may be in flight; some come late, some fail. */
		for (int i = 0; i < 64; i++)
			ids[i] = submit_read(worker, handle, i % 4 == 0 ? 1017 : i % 9 == 0 ? 1022 : 7, buffers[i]);
		for (int i = 0; i < 64; i++) {
			struct ivd_call *done = await(ids[i]);
			MUST(VIX_CODE(done->result) == (i % 4 != 0 && i % 9 == 0 ? 16007u : 0u));
			ivd_call_free(done);
		}
		uint64_t slow = submit_read(worker, handle, 1017, buffers[0]);
		simple(worker, IVD_FLUSH, handle, 0); /* waits for it */
		ivd_call_free(await(slow));
		simple(worker, IVD_QUERY, handle, 6);
		simple(worker, IVD_KEYS, handle, 6);
		simple(worker, IVD_READ_KEY, handle, 6);
		simple(worker, IVD_WRITE_KEY, handle, 6);
		simple(control, IVD_TEXT, NULL, 0);
		simple(control, IVD_MODES, NULL, 0);
		simple(control, IVD_GET_PARAMS, NULL, 6);
		simple(worker, IVD_DRAIN, handle, 0);
		ivd_worker_stop(worker);
		simple(control, IVD_CLOSE, handle, 0);
		call = make(IVD_DISCONNECT);
		call->params = kept;
		MUST(perform(control, call) == 0);
		ivd_call_free(call);
		ivd_params_free(kept);
	}
}

static void hang(struct ivd_worker **control) {
	static uint8_t buffers[8][VIX_SECTOR_SIZE];
	VixHandle *handle = open_path(*control, "/2");
	struct ivd_worker *worker = ivd_worker_start();
	for (int i = 0; i < 8; i++)
		submit_read(worker, handle, 1019, buffers[i]);
	usleep(20000); /* so that the first has begun, mostly; any order is right */
	ivd_worker_abandon(worker);
	/* The control thread hangs, with a call behind that must not be begun. */
	struct ivd_call *hung = make(IVD_OPEN), *behind = make(IVD_CLOSE);
	hung->text = strdup("/hang");
	submit(*control, hung);
	usleep(20000);
	submit(*control, behind);
	ivd_worker_abandon(*control);
	MUST(*control = ivd_worker_start());
	open_path(*control, "/5");
	int fd = open(getenv("IVD_VDDK_TEST_RELEASE"), O_CREAT | O_WRONLY, 0600);
	MUST(fd >= 0 && close(fd) == 0);
	MUST(await(hung->id) == hung && !hung->opened); /* nothing more was asked of its handle */
	for (int i = 0; i < 50; i++) { /* what comes back meets others at work */
		open_path(*control, "/6");
		usleep(1000);
	}
	MUST(!ended[behind->id % CALLS]);
}

int main(int argc, char **argv) {
	MUST(argc == 3);
	char *wrong = ivd_load(argv[1]);
	if (wrong)
		fprintf(stderr, "%s\n", wrong);
	MUST(!wrong && ivd_on_main_thread());
	MUST(VIX_CODE(ivd_init(6, 0, "/", NULL)) == 0);
	ivd_repair_signals();
	MUST((pipe_end = ivd_open_ended()) >= 0);
	struct ivd_worker *control = ivd_worker_start();
	if (strcmp(argv[2], "hang") == 0)
		hang(&control);
	else
		clean(control);
	ivd_worker_stop(control);
	ivd_exit();
	return 0;
}
