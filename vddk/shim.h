/*
 * The C half of the binding. All calls into the library but InitEx and Exit are
 * made by C threads that were created after InitEx, as VMware asks for: one for
 * connections, Open and Close; one for access; one for what never waits; one for
 * each handle. Go hands a call to a worker and learns of its end through an
 * eventfd.
 */
#ifndef IVD_VDDK_SHIM_H
#define IVD_VDDK_SHIM_H

#include "symbols.h"

/* load.c: NULL, or what is wrong (to be freed). */
char *ivd_load(const char *path);
extern uint32_t ivd_major; /* the library's own version, as its file is named */
VixError ivd_init(uint32_t major, uint32_t minor, const char *libdir, const char *config);
void ivd_exit(void);
int ivd_on_main_thread(void);

/* signals.c: adds SA_ONSTACK to handlers that others installed without it; a bit
 * for each signal that needed it. */
uint64_t ivd_repair_signals(void);

/* log.c: the library's log functions; each line goes to ivdLog of log.go. */
enum ivd_level { IVD_LOG, IVD_WARN, IVD_PANIC };
void ivd_log(const char *format, va_list args);
void ivd_warn(const char *format, va_list args);
void ivd_panic(const char *format, va_list args);
/* The last warning that was logged on the calling thread since the last call of
 * this function, or NULL; to be freed. */
char *ivd_take_warning(void);

/* params.c: what a ConnectParams says, in strings of ours. The library's struct
 * is made of it, and freed, by the threads that call the library. */
struct ivd_params {
	VixConnectParams says; /* strings NULL where there are none; state never set */
	VixConnectParams *vix; /* the library's, from ivd_params_make on */
	int from_library;
	char *strings[12];
	int count;
};
struct ivd_params *ivd_params_new(void);
char *ivd_params_own(struct ivd_params *params, char *text); /* takes it; "" counts as none */
void ivd_params_uid(struct ivd_params *params, char *user, char *password);
void ivd_params_session(struct ivd_params *params, char *cookie, char *user, char *password);
void ivd_params_disk(struct ivd_params *params, char *id, char *datastore, char *snapshot);
int ivd_params_make(struct ivd_params *params); /* 0, or negative without memory */
void ivd_params_unmake(struct ivd_params *params);
void ivd_params_free(struct ivd_params *params); /* after ivd_params_unmake */

/* worker.c */
enum ivd_op {
	IVD_CONNECT, IVD_DISCONNECT, IVD_OPEN, IVD_CLOSE, IVD_GET_PARAMS, IVD_CHECK_REPAIR,
	IVD_PREPARE, IVD_END, IVD_CLEANUP,
	IVD_TEXT, IVD_MODES, IVD_COMPANION,
	IVD_QUERY, IVD_FLUSH, IVD_DRAIN, IVD_KEYS, IVD_READ_KEY, IVD_WRITE_KEY,
	IVD_READ, IVD_WRITE,
};

/* Go owns a call but from when it is handed to a worker until it is taken of what
 * has ended. One that was given up while the library had it is nobody's, and
 * stays. */
struct ivd_call {
	struct ivd_call *next;
	uint64_t id;
	int op;
	int given_up; /* atomic */
	VixError result;
	char *warning; /* the thread's last warning when the call failed, or NULL; to be freed */
	struct ivd_params *params;
	char *text;  /* modes, path, identity, key */
	char *value; /* of a key; a VM's snapshot */
	int read_only;
	uint32_t flags;
	VixConnection *connection;
	VixHandle *handle;
	uint64_t sector, count, chunk;
	void *buffer;
	VixBlock *blocks; /* copied, as many as block_count */
	uint32_t block_count;
	uint32_t cleaned, remaining;
	char *out; /* copied: keys, a value, an error's text, the modes */
	size_t out_size;
	struct ivd_params *got; /* copied, without secrets */
	void (*companion)(void *argument);
	void *argument;
	struct ivd_opened *opened; /* what Open has found */
};

/* Beside the call, which is made for each read as well. */
struct ivd_opened {
	VixInfo info; /* strings NULL: see uuid and parent */
	char uuid[128];
	char parent[1024];
	char transport[32];
};

/* The near end of a worker. Calls are pushed to newest, from C or from Go, which
 * hands reads and writes over without a call into C: each such call may wake a
 * thread of the Go runtime that has nothing to do with it. Who has pushed sets
 * asleep to 0, and wakes one thread that waits for that (FUTEX_WAKE_PRIVATE) where
 * it was 1. */
struct ivd_inbox {
	struct ivd_call *newest; /* atomic */
	uint32_t asleep;	 /* atomic; a futex */
};

struct ivd_worker;
struct ivd_worker *ivd_worker_start(void); /* NULL: no thread to be had */
struct ivd_inbox *ivd_worker_inbox(struct ivd_worker *worker);
void ivd_worker_stop(struct ivd_worker *worker); /* after its last call ended */
struct ivd_call *ivd_call_new(int op, uint64_t id);
void ivd_call_free(struct ivd_call *call);
void ivd_forget_warning(struct ivd_call *call);
void ivd_submit(struct ivd_worker *worker, struct ivd_call *call);

/* Gives a worker up with all that it was handed: nothing of it ends any more, but
 * what was on its way. Never waits for the library. */
void ivd_worker_abandon(struct ivd_worker *worker);

/* Takes one call back from a worker that others wait for, too. */
enum ivd_withdrawn {
	IVD_NOT_BEGUN, /* it is the caller's again */
	IVD_UNDER_WAY, /* it is nobody's; *worker is another thread, with what had queued up behind */
	IVD_ENDED,     /* it is among what has ended */
};
enum ivd_withdrawn ivd_withdraw(struct ivd_worker **worker, struct ivd_call *call);

/* perform.c: one call that is no I/O, on the thread that is to make it. */
void ivd_perform(struct ivd_call *call);

/* done.c */
int ivd_done_fd(void); /* an eventfd, made once; negative: errno */
void ivd_done(struct ivd_call *call);
/* What has ended, the newest first: who exchanges it for NULL has taken it all, and
 * the eventfd is written to when it is no longer NULL. Atomic. */
struct ivd_call **ivd_ended(void);

#endif
