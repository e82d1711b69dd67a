/*
 * The inside of the laboratory's libvixDiskLib. A connection holds a copy of its
 * parameters. A handle has a driver (file.c, net.c or lun.c) that carries out its
 * requests; every request ends in lab_complete.
 *
 * Where the real library would corrupt memory or hang when its rules of use are
 * broken, this one calls the panic function and aborts, so that a test sees it;
 * where it would misbehave later, an entry in the laboratory's report says so.
 */
#ifndef IVD_LAB_H
#define IVD_LAB_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>

#include "../abi.h"

#define API __attribute__((visibility("default")))

enum vix {
	VIX_FAIL = 1, VIX_OUT_OF_MEMORY = 2, VIX_INVALID_ARG = 3, VIX_FILE_NOT_FOUND = 4,
	VIX_NOT_SUPPORTED = 6, VIX_FILE_ERROR = 7, VIX_DISK_FULL = 8, VIX_INCORRECT_FILE_TYPE = 9,
	VIX_FILE_READ_ONLY = 11, VIX_FILE_ALREADY_EXISTS = 12, VIX_FILE_ACCESS_ERROR = 13,
	VIX_FILE_ALREADY_LOCKED = 15, VIX_BUFFER_TOOSMALL = 24, VIX_OBJECT_NOT_FOUND = 25,
	VIX_HANDSHAKE = 14006, VIX_SERVER_NOT_FOUND = 14008, VIX_CONN_REFUSED = 14009,
	VIX_CONN_LOST = 14011, VIX_DISK_INVAL = 16000, VIX_DISK_NOINIT = 16001, VIX_DISK_NEEDSREPAIR = 16006,
	VIX_OUTOFRANGE = 16007, VIX_DISK_UNSUPPORTEDVERSION = 16011, VIX_DISK_NOTSUPPORTED = 16013, VIX_DISK_CANTREPAIR = 16062,
	VIX_SUBSYSTEM_INIT_FAIL = 16053, VIX_MIXEDMODE = 26000,
};

/* log.c: the three log functions, none given at first, and threads */
void lab_log_to(VixLogFunc log, VixLogFunc warn, VixLogFunc panic);
void lab_log(const char *format, ...) __attribute__((format(printf, 1, 2)));
void lab_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void lab_panic(const char *format, ...) __attribute__((format(printf, 1, 2)));
int lab_thread(pthread_t *thread, void *(*body)(void *), void *arg);

/* config.c: what InitEx was told, and whether it was called */
struct lab_config {
	uint32_t buffer_size;  /* bytes of one NFC buffer */
	uint32_t buffer_count; /* buffers in flight on a handle */
	int connect_ms, read_ms;
	char tmp[512];
	char proxy[64]; /* IVD_LAB_PROXY: the BIOS UUID that this machine plays; empty: its own */
	char transports[64]; /* IVD_LAB_TRANSPORTS: that it has, as ListTransportModes tells them; empty: all */
	char dir[4096]; /* IVD_LAB_DIR: the laboratory's folder, where no ticket has named it yet */
};
extern struct lab_config lab_config;
extern atomic_bool lab_ready;

/* report.c: an entry in the laboratory's report; one, and then the panic function.
 * dir NULL: the folder that was seen last. */
void lab_report(const char *dir, const char *rule, const char *format, ...) __attribute__((format(printf, 3, 4)));
_Noreturn void lab_misuse(const char *dir, const char *rule, const char *format, ...) __attribute__((format(printf, 3, 4)));
void lab_report_pending(const char *dir);
_Noreturn void VixLab_Misuse(const char *rule, const char *detail);

/* companion.c: the private library, found as the real one's are. */
struct labtls_api;
extern const struct labtls_api *lab_tls;
VixError lab_load_companion(void);

/* config.c */
VixError lab_read_config(const char *path, struct lab_config *config);

/* params.c */
void VixDiskLib_FreeConnectParams(VixConnectParams *params);
enum lab_transport { LAB_FILE, LAB_SAN, LAB_HOTADD, LAB_NBDSSL, LAB_NBD, LAB_TRANSPORTS };
struct lab_modes { enum lab_transport list[LAB_TRANSPORTS]; int count; };
VixConnectParams *lab_copy_params(const VixConnectParams *params);
VixError lab_check_params(const VixConnectParams *params);
bool lab_is_remote(const VixConnectParams *params);
VixError lab_choose_transports(const char *modes, bool remote, struct lab_modes *chosen);
VixError lab_check_login(const VixConnectParams *params); /* for calls about no disk */
const char *lab_disk_of(const VixConnectParams *params); /* the UUID, or NULL: none, or a VM's */
const char *lab_transport_name(enum lab_transport transport);

/* connect.c */
void lab_access_at_exit(void); /* PrepareForAccess without EndAccess is logged */
struct VixConnection {
	VixConnectParams *params;
	char *snapshot_ref; /* of a VM's snapshot, or NULL */
	bool read_only;
	VixError transport_error; /* no transport of the list can work: said at Open */
	struct lab_modes modes;   /* to be tried in order */
	atomic_int handles;
};

/* open.c, io.c */
enum lab_op { LAB_READ = 2, LAB_WRITE = 3, LAB_ALLOCATED = 4, LAB_FLUSH = 5 };

struct lab_request {
	struct lab_request *next;
	VixHandle *handle;
	enum lab_op op;
	uint64_t sector, count;
	uint8_t *buffer;
	VixCompletionFunc callback; /* NULL: somebody waits for done */
	void *data;
	bool done;
	VixError result;
	/* the drivers' */
	uint64_t sent, pending; /* sectors handed out; pieces under way */
	uint64_t chunk;         /* LAB_ALLOCATED */
	VixBlockList *blocks;   /* LAB_ALLOCATED, result */
};

struct lab_driver {
	VixError (*open)(VixHandle *handle, const char *path);
	void (*submit)(VixHandle *handle, struct lab_request *request);
	void (*close)(VixHandle *handle);
};
extern const struct lab_driver lab_file_driver, lab_net_driver, lab_lun_driver;

enum lab_io_mode { LAB_IO_NONE, LAB_IO_SYNC, LAB_IO_ASYNC };

struct VixHandle {
	VixConnection *connection;
	const struct lab_driver *driver;
	void *disk; /* the driver's */
	enum lab_transport transport;
	const char *dir; /* the laboratory's folder; NULL: not on this machine */
	const struct lab_ticket *ticket; /* during Open only */
	uint32_t flags;
	bool read_only;
	uint64_t capacity;
	char id[64]; /* the laboratory's name for the disk; empty: a local file */
	int adapter, links;
	char uuid[64];
	atomic_bool busy;
	enum lab_io_mode io_mode;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned outstanding;
};

/* turn.c */
void lab_enter(VixHandle *handle, const char *call); /* calls on a handle are serialised */
void lab_leave(VixHandle *handle);
void lab_opening_begins(const char *call); /* Open, or Close */
void lab_opening_ends(void); /* also of a call that will never return */
struct lab_stay { int place; };
struct lab_stay lab_stay_begins(void);
void lab_stay_ends(struct lab_stay *stay);
/* At the start of a block: the calling thread is in the library until the block ends. */
#define LAB_STAY __attribute__((cleanup(lab_stay_ends), unused)) struct lab_stay stay = lab_stay_begins()
void lab_submit(struct lab_request *request);
VixError lab_submit_and_wait(struct lab_request *request);
void lab_complete(struct lab_request *request, VixError result);

/* pool.c: memory for handles and connections; and misuse when a caller passes NULL or
 * a closed one. */
VixHandle *lab_new_VixHandle(void);
void lab_end_VixHandle(VixHandle *handle);
bool lab_live_VixHandle(const VixHandle *handle);
unsigned lab_count_VixHandle(void);
VixConnection *lab_new_VixConnection(void);
void lab_end_VixConnection(VixConnection *connection);
bool lab_live_VixConnection(const VixConnection *connection);
unsigned lab_count_VixConnection(void);
void lab_needs(const void *pointer, const char *call, const char *what);
void lab_needs_handle(const VixHandle *handle, const char *call);
void lab_needs_connection(const VixConnection *connection, const char *call);

/* blocks.c */
struct lab_blocks { VixBlockList *list; size_t room; bool failed; };
void lab_blocks_add(struct lab_blocks *blocks, uint64_t offset, uint64_t length);
VixBlockList *lab_blocks_done(struct lab_blocks *blocks);

/* error.c */
VixError lab_from_errno(int number);

#endif
