/*
 * The C half of the binding. All calls into the library but InitEx and Exit are
 * made by C threads that were created after InitEx, as VMware asks for: one for
 * connections, Open and Close; one for access; one for what never waits; one for
 * each handle. Calls are handed to them, and come back, through pipes.
 */
#ifndef IVD_VDDK_SHIM_H
#define IVD_VDDK_SHIM_H

#include "symbols.h"

/* load.c: ivd_load returns NULL, or what is wrong (to be freed). */
char *ivd_load(const char *path);
int ivd_optional(int place, const char **name); /* whether the library has it; negative at the table's end */
extern uint32_t ivd_major; /* the library's own version, as its file is named */
VixError ivd_init(uint32_t major, uint32_t minor, const char *libdir, const char *config);
void ivd_exit(void);
int ivd_on_main_thread(void);

/* signals.c: adds SA_ONSTACK to the handlers that lack it, and returns a bit for each
 * signal for which it did. */
uint64_t ivd_repair_signals(void);

/* log.c: the library's log functions; each line goes to ivdLog of log.go. */
enum ivd_level { IVD_LOG, IVD_WARN, IVD_PANIC };
void ivd_log(const char *format, va_list args);
void ivd_warn(const char *format, va_list args);
void ivd_panic(const char *format, va_list args);
/* The last warning that was logged on the calling thread since the last call of
 * this function, or NULL; to be freed. */
char *ivd_take_warning(void);

/* params.c: ConnectParams with strings of ours. The threads that call the library
 * make the library's struct of them, and free it. */
struct ivd_params {
	VixConnectParams says; /* strings NULL where there are none; state never set */
	VixConnectParams *vix; /* the library's struct, between ivd_params_make and _unmake */
	int from_library;
	char *strings[12];
	int count;
};
struct ivd_params *ivd_params_new(void);
char *ivd_params_own(struct ivd_params *params, char *text);  /* takes ownership; NULL for "" */
char *ivd_params_text(struct ivd_params *params, char *text); /* takes ownership; never NULL */
void ivd_params_uid(struct ivd_params *params, char *user, char *password);
void ivd_params_session(struct ivd_params *params, char *cookie, char *user, char *password);
void ivd_params_disk(struct ivd_params *params, char *id, char *datastore, char *snapshot);
int ivd_params_make(struct ivd_params *params); /* 0, or -1 without memory */
void ivd_params_unmake(struct ivd_params *params);
void ivd_params_free(struct ivd_params *params); /* after ivd_params_unmake */

/* call.c */
enum ivd_op {
	IVD_CONNECT, IVD_DISCONNECT, IVD_OPEN, IVD_CLOSE, IVD_GET_PARAMS, IVD_CHECK_REPAIR,
	IVD_PREPARE, IVD_END, IVD_CLEANUP,
	IVD_TEXT, IVD_MODES, IVD_COMPANION,
	IVD_QUERY, IVD_FLUSH, IVD_DRAIN, IVD_KEYS, IVD_READ_KEY, IVD_WRITE_KEY,
	IVD_READ, IVD_WRITE,
};

/* One call into the library. It belongs to Go until it is handed to a worker, and
 * again when it has been returned. When it is given up in between, its memory is
 * never used again, nor freed. */
struct ivd_call {
	uint64_t id; /* tells Go which of its calls this is */
	int op;
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
	struct ivd_opened *opened; /* of an Open */
};

struct ivd_opened {
	VixInfo info; /* strings NULL: see uuid and parent */
	char uuid[128];
	char parent[1024];
	char transport[32];
};

struct ivd_call *ivd_call_new(uint64_t id);   /* NULL: no memory */
void ivd_call_release(struct ivd_call *call); /* frees all that it holds but params */
void ivd_call_free(struct ivd_call *call);    /* releases and frees it */

void ivd_hand(int to, struct ivd_call *call); /* writes to a pipe */
struct ivd_call *ivd_take(int from);	      /* reads from a pipe, waits */
int ivd_open_ended(void);		      /* once: the end to read of the pipe of ended calls, which does not wait; or -errno */
void ivd_return(struct ivd_call *call);	      /* writes to that pipe */

/* worker.c: a thread, and the calls that it is handed. */
struct ivd_worker;
struct ivd_worker *ivd_worker_start(void);	 /* NULL: no thread or no pipe to be had */
int ivd_worker_inbox(struct ivd_worker *worker); /* where to hand it calls */
void ivd_worker_stop(struct ivd_worker *worker); /* after its last call ended */

/* Gives a worker up with all that it was handed: it begins no other call, its reads
 * and writes never end, and what else still ends is to be ignored. Never waits. */
void ivd_worker_abandon(struct ivd_worker *worker);
int ivd_abandoned(void); /* whether that happened to the worker of the calling thread */

/* perform.c: makes a call that is neither a read nor a write, on the calling thread. */
void ivd_perform(struct ivd_call *call);

#endif
