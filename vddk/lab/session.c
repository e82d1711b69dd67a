/* See session.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "session.h"
#include "world.h"

#define SECOND INT64_C(1000000000)

/* Two counters that all processes share: each adds to them in place, so that nothing
 * is lost when one is killed. */
struct traffic {
	_Atomic uint64_t read, written;
};

struct lab_session {
	const char *dir, *name;
	struct traffic *traffic; /* mapped; NULL: it is not counted */
	/* as hosts.json was read last */
	struct timespec changed;
	ino_t inode;
	int64_t latency, bandwidth; /* ns, bytes a second; 0: none, no limit */
	int64_t free;               /* when the session's line is */
};

int64_t lab_duration(const char *text) {
	static const struct { const char *unit; double ns; } units[] = {
		{"ns", 1}, {"us", 1e3}, {"\u00b5s", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}};
	double sum = 0;
	if (!*text)
		return -1;
	while (*text) {
		char *end;
		double n = strtod(text, &end);
		size_t length = strcspn(end, "0123456789.");
		bool known = false;
		for (size_t i = 0; i < sizeof units / sizeof units[0] && end != text; i++) {
			if (strlen(units[i].unit) == length && strncmp(end, units[i].unit, length) == 0) {
				sum += n * units[i].ns;
				known = true;
			}
		}
		if (!known || !(sum >= 0 && sum < (double)INT64_MAX))
			return -1;
		text = end + length;
	}
	return (int64_t)sum;
}

static struct traffic *map_traffic(const char *dir, const char *disk, const char *mode) {
	char path[4096 + 160];
	snprintf(path, sizeof path, "%s/traffic", dir);
	mkdir(path, 0700);
	snprintf(path, sizeof path, "%s/traffic/%.64s.%s", dir, disk, mode);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	void *map = MAP_FAILED;
	if (fd >= 0 && ftruncate(fd, sizeof(struct traffic)) == 0)
		map = mmap(NULL, sizeof(struct traffic), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		lab_warn("%s: what is moved is not counted: %s\n", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return map == MAP_FAILED ? NULL : map;
}

struct lab_session *lab_session_open(const char *dir, const char *disk, enum lab_transport transport) {
	struct lab_session *session = calloc(1, sizeof *session);
	if (!session)
		return NULL;
	session->dir = dir;
	session->name = lab_transport_name(transport);
	session->traffic = map_traffic(dir, disk, session->name);
	return session;
}

void lab_session_close(struct lab_session *session) {
	if (session->traffic)
		munmap(session->traffic, sizeof *session->traffic);
	free(session);
}

/* hosts.json may change at any time. */
static void look(struct lab_session *session) {
	char path[4096 + 16];
	struct stat st;
	snprintf(path, sizeof path, "%s/hosts.json", session->dir);
	if (stat(path, &st) != 0)
		st = (struct stat){0};
	if (st.st_ino == session->inode && st.st_mtim.tv_sec == session->changed.tv_sec && st.st_mtim.tv_nsec == session->changed.tv_nsec)
		return;
	session->inode = st.st_ino;
	session->changed = st.st_mtim;
	char *text = lab_world_read(session->dir, "hosts.json");
	struct json *hosts = text ? json_parse(text) : NULL;
	const struct json *pace = json_get(hosts, session->name);
	session->latency = lab_duration(json_string(pace, "latency", "0s"));
	session->bandwidth = json_number(pace, "bandwidth", 0);
	if (session->latency < 0) {
		lab_report(session->dir, "hosts.json", "%s: latency \"%s\"", session->name, json_string(pace, "latency", ""));
		session->latency = 0;
	}
	json_free(hosts);
	free(text);
}

int64_t lab_session_begins(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * SECOND + t.tv_nsec;
}

void lab_session_ends(struct lab_session *session, int64_t begun, enum lab_op op, size_t bytes) {
	if (session->traffic && op == LAB_READ)
		atomic_fetch_add(&session->traffic->read, bytes);
	if (session->traffic && op == LAB_WRITE)
		atomic_fetch_add(&session->traffic->written, bytes);
	look(session);
	int64_t end = begun + session->latency;
	if (session->bandwidth > 0 && bytes > 0) {
		if (session->free < begun)
			session->free = begun;
		session->free += (int64_t)((double)bytes / (double)session->bandwidth * (double)SECOND);
		if (session->free > end)
			end = session->free;
	}
	struct timespec until = {end / SECOND, end % SECOND};
	while (end > begun && clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
		continue;
}
