/*
 * HotAdd and SAN: the disks that this machine holds, as files below DIR/hotadd and
 * DIR/san, which the laboratory reads. A file below hotadd stands for a device of the
 * machine: it stays when its process dies, until Cleanup removes it. One below san
 * counts no more when its process is dead.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ticket.h"
#include "world.h"

/* When a process began, in ticks since the machine was started; 0: no such process. */
static unsigned long long started(long pid) {
	char path[64], text[1024];
	snprintf(path, sizeof path, "/proc/%ld/stat", pid);
	FILE *file = fopen(path, "re");
	if (!file)
		return 0;
	size_t n = fread(text, 1, sizeof text - 1, file);
	fclose(file);
	text[n] = 0;
	unsigned long long ticks = 0;
	char *at = strrchr(text, ')'), state = 0;
	if (at && sscanf(at + 2, "%c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
			 &state, &ticks) == 2 && state != 'Z' && state != 'X')
		return ticks;
	return 0;
}

static bool lives(const char *mark) {
	char pid[32] = "", start[32] = "";
	lab_value(mark, "pid", pid, sizeof pid);
	lab_value(mark, "start", start, sizeof start);
	unsigned long long ticks = started(strtol(pid, NULL, 10));
	return ticks != 0 && ticks == strtoull(start, NULL, 10);
}

/* Visits the marks of a folder until the visitor stops it. */
typedef bool (*visitor)(void *data, const char *path, const char *mark);

static bool visit_folder(const char *dir, const char *folder, visitor visit, void *data) {
	char path[4096 + 600];
	snprintf(path, sizeof path, "%s/%s", dir, folder);
	DIR *list = opendir(path);
	bool more = true;
	struct dirent *entry;
	while (list && more && (entry = readdir(list))) {
		if (entry->d_name[0] == '.')
			continue;
		char name[512];
		snprintf(name, sizeof name, "%.200s/%.255s", folder, entry->d_name);
		char *mark = lab_world_read(dir, name);
		snprintf(path, sizeof path, "%s/%s", dir, name);
		if (mark)
			more = visit(data, path, mark);
		free(mark);
	}
	if (list)
		closedir(list);
	return more;
}

static void visit_all(const char *dir, visitor visit, void *data) {
	char path[4096 + 16], folder[300];
	snprintf(path, sizeof path, "%s/hotadd", dir);
	DIR *list = opendir(path);
	struct dirent *entry;
	while (list && (entry = readdir(list))) {
		if (entry->d_name[0] == '.' || strcmp(entry->d_name, "lock") == 0)
			continue;
		snprintf(folder, sizeof folder, "hotadd/%s", entry->d_name);
		visit_folder(dir, folder, visit, data);
	}
	if (list)
		closedir(list);
	visit_folder(dir, "san", visit, data);
}

static int take_lock(const char *dir) {
	char path[4096 + 32];
	snprintf(path, sizeof path, "%s/hotadd", dir);
	mkdir(path, 0700);
	snprintf(path, sizeof path, "%s/hotadd/lock", dir);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	while (fd >= 0 && flock(fd, LOCK_EX) != 0 && errno == EINTR)
		continue;
	return fd;
}

struct search {
	const struct lab_want *want;
	int same, writer, reader; /* marks of the snapshot; of the present content */
};

static bool look(void *data, const char *path, const char *mark) {
	struct search *search = data;
	char disk[80] = "", snapshot[80] = "", mode[16] = "", write[4] = "";
	lab_value(mark, "disk", disk, sizeof disk);
	lab_value(mark, "snapshot", snapshot, sizeof snapshot);
	lab_value(mark, "mode", mode, sizeof mode);
	lab_value(mark, "write", write, sizeof write);
	if (strcmp(mode, "san") == 0 && !lives(mark)) {
		unlink(path);
		return true;
	}
	if (strcasecmp(disk, search->want->disk) != 0 || strcmp(snapshot, search->want->snapshot) != 0)
		return true;
	search->same += strcmp(mode, "hotadd") == 0;
	search->writer += !*snapshot && write[0] == '1';
	search->reader += !*snapshot;
	return true;
}

static bool count_one(void *data, const char *path, const char *mark) {
	(void)path, (void)mark;
	++*(int *)data;
	return true;
}

static char *mark_of(const struct lab_want *want) {
	char *mark = NULL;
	if (asprintf(&mark, "disk=%s\nsnapshot=%s\nmode=%s\nwrite=%d\npid=%d\nstart=%llu\ntmp=%s\n", want->disk, want->snapshot,
		     lab_transport_name(want->transport), want->write, getpid(), started(getpid()), lab_config.tmp) < 0)
		return NULL;
	return mark;
}

/* Writes the mark under the first free name of a folder, at once with its content. */
static VixError make_mark(const char *dir, const char *folder, const struct lab_want *want, char **file) {
	char path[4096 + 600], hidden[4096 + 600];
	snprintf(path, sizeof path, "%s/%s", dir, folder);
	if (mkdir(path, 0700) != 0 && errno != EEXIST)
		return lab_from_errno(errno);
	snprintf(hidden, sizeof hidden, "%s/%s/.new", dir, folder);
	char *mark = mark_of(want);
	FILE *out = mark ? fopen(hidden, "we") : NULL;
	bool written = out && fputs(mark, out) >= 0;
	if (out && fclose(out) != 0)
		written = false;
	free(mark);
	for (int slot = 0; written && slot < 100000; slot++) {
		snprintf(path, sizeof path, "%s/%s/%d", dir, folder, slot);
		if (link(hidden, path) == 0) {
			*file = strdup(path);
			break;
		}
		if (errno != EEXIST)
			break;
	}
	unlink(hidden);
	return *file ? VIX_OK : VIX_FILE_ERROR;
}

static bool has(const struct json *list, const char *name) {
	for (const struct json *one = list ? list->first : NULL; one; one = one->next)
		if (one->kind == JSON_STRING && *name && strcasecmp(one->text, name) == 0)
			return true;
	return false;
}

/* What this machine and the disk allow, whatever other processes hold. */
static VixError allowed(const struct lab_want *want, const struct json *proxy) {
	const struct lab_ticket *ticket = want->ticket;
	const char *vm = json_string(proxy, "vm", "");
	if (want->transport == LAB_SAN) {
		const struct json *luns = json_get(proxy, "luns");
		if (!has(luns, ticket->datastore) && !has(luns, ticket->lun)) {
			lab_log("san: this machine does not see the LUN of %s\n", ticket->datastore);
			return VIX_SUBSYSTEM_INIT_FAIL;
		}
		if (ticket->encrypted) {
			lab_log("san: the disk is encrypted\n");
			return VIX_NOT_SUPPORTED;
		}
		return VIX_OK;
	}
	if (!*vm) {
		lab_log("hotadd: this machine is not a virtual machine of the vCenter\n");
		return VIX_SUBSYSTEM_INIT_FAIL;
	}
	for (const char *at = ticket->machines; at && *at; at += strcspn(at, ","), at += *at == ',')
		if (strcspn(at, ",") == strlen(vm) && strncmp(at, vm, strlen(vm)) == 0) {
			lab_log("hotadd: the disk is this machine's own\n");
			return VIX_FILE_ACCESS_ERROR;
		}
	if (ticket->encrypted && !json_bool(proxy, "encrypted")) {
		lab_log("hotadd: the disk is encrypted, this machine is not\n");
		return VIX_FILE_ACCESS_ERROR;
	}
	return VIX_OK;
}

static VixError attach_locked(const char *dir, const struct lab_want *want, const struct json *proxy, char **file) {
	struct search search = {.want = want};
	visit_all(dir, look, &search);
	if (search.writer || (search.reader && want->write)) {
		lab_log("%s: the disk is open for writing, or open and to be written\n", lab_transport_name(want->transport));
		return VIX_FILE_ALREADY_LOCKED;
	}
	if (want->transport == LAB_SAN)
		return make_mark(dir, "san", want, file);
	if (search.same) {
		lab_log("hotadd: disk %s, snapshot \"%s\", is attached already\n", want->disk, want->snapshot);
		return VIX_FILE_ACCESS_ERROR;
	}
	char folder[128];
	int used = 0;
	snprintf(folder, sizeof folder, "hotadd/%.64s", lab_world_self());
	visit_folder(dir, folder, count_one, &used);
	if (used >= json_number(proxy, "free_slots", 0)) {
		lab_log("Failed to find free slots for HotAdd\n");
		return VIX_FILE_ACCESS_ERROR;
	}
	return make_mark(dir, folder, want, file);
}

VixError lab_attach(const char *dir, const struct lab_want *want, char **file) {
	const struct json *proxy = NULL;
	struct json *hosts = dir ? lab_world_proxy(dir, &proxy) : NULL;
	VixError err = VIX_SUBSYSTEM_INIT_FAIL;
	*file = NULL;
	if (proxy)
		err = allowed(want, proxy);
	else
		lab_log("%s: this machine is no proxy of the laboratory\n", lab_transport_name(want->transport));
	if (proxy && err == VIX_OK) {
		int lock = take_lock(dir);
		err = lock < 0 ? VIX_FILE_ERROR : attach_locked(dir, want, proxy, file);
		if (lock >= 0)
			close(lock);
	}
	json_free(hosts);
	return err;
}

void lab_detach(char *file) {
	if (unlink(file) != 0)
		lab_warn("cannot detach %s: %s\n", file, strerror(errno));
	free(file);
}

struct release {
	uint32_t released, remaining;
};

static bool release(void *data, const char *path, const char *mark) {
	struct release *sum = data;
	char tmp[512] = "";
	lab_value(mark, "tmp", tmp, sizeof tmp);
	if (lives(mark) || strcmp(tmp, lab_config.tmp) != 0)
		return true;
	if (unlink(path) == 0)
		sum->released++;
	else
		sum->remaining++;
	return true;
}

void lab_release_dead(const char *dir, uint32_t *released, uint32_t *remaining) {
	struct release sum = {0};
	char folder[128];
	int lock = take_lock(dir);
	snprintf(folder, sizeof folder, "hotadd/%.64s", lab_world_self());
	if (lock >= 0 && *lab_world_self())
		visit_folder(dir, folder, release, &sum);
	if (lock >= 0)
		close(lock);
	*released = sum.released;
	*remaining = sum.remaining;
}
