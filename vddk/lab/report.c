/* The laboratory's report.jsonl: what a program does wrong. Entries are kept until
 * the folder is known. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "world.h"

#define WAITING 64

static struct {
	pthread_mutex_t lock;
	char *lines[WAITING];
	int count;
} pending = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void quote(FILE *out, const char *text) {
	fputc('"', out);
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;
		if (c == '"' || c == '\\')
			fprintf(out, "\\%c", c);
		else if (c < 32)
			fprintf(out, c == '\n' && !text[1] ? "" : "\\u%04x", c);
		else
			fputc(c, out);
	}
	fputc('"', out);
}

static char *line_of(const char *rule, const char *detail) {
	char *line = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&line, &length);
	if (!out)
		return NULL;
	struct timespec now;
	struct tm utc;
	char when[32] = "";
	clock_gettime(CLOCK_REALTIME, &now);
	if (gmtime_r(&now.tv_sec, &utc))
		strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &utc);
	fprintf(out, "{\"time\":\"%s.%06ldZ\",\"pid\":%d,\"rule\":", when, now.tv_nsec / 1000, getpid());
	quote(out, rule);
	fputs(",\"detail\":", out);
	quote(out, detail);
	fputs("}\n", out);
	if (fclose(out) == 0)
		return line;
	free(line);
	return NULL;
}

/* One write for a line: processes append at once. */
static void append(const char *dir, const char *line) {
	char path[4096 + 64];
	snprintf(path, sizeof path, "%s/report.jsonl", dir);
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, line, strlen(line)) < 0)
		lab_warn("cannot write to %s: %s\n", path, strerror(errno));
	if (fd >= 0)
		close(fd);
}

static void enter(const char *dir, const char *rule, const char *detail) {
	char *line = line_of(rule, detail);
	if (!line)
		return;
	if (!dir)
		dir = lab_world_last();
	if (dir) {
		append(dir, line);
		free(line);
		return;
	}
	pthread_mutex_lock(&pending.lock);
	if (pending.count < WAITING)
		pending.lines[pending.count++] = line;
	else
		free(line);
	pthread_mutex_unlock(&pending.lock);
}

void lab_report_pending(const char *dir) {
	pthread_mutex_lock(&pending.lock);
	for (int i = 0; i < pending.count; i++) {
		append(dir, pending.lines[i]);
		free(pending.lines[i]);
	}
	pending.count = 0;
	pthread_mutex_unlock(&pending.lock);
}

void lab_report(const char *dir, const char *rule, const char *format, ...) {
	char detail[1024];
	va_list args;
	va_start(args, format);
	vsnprintf(detail, sizeof detail, format, args);
	va_end(args);
	lab_warn("misuse, %s: %s\n", rule, detail);
	enter(dir, rule, detail);
}

/* For libvixMntapi, the distribution's other library. */
API _Noreturn void VixLab_Misuse(const char *rule, const char *detail) {
	lab_misuse(NULL, rule, "%s", detail);
}

_Noreturn void lab_misuse(const char *dir, const char *rule, const char *format, ...) {
	char detail[1024];
	va_list args;
	va_start(args, format);
	vsnprintf(detail, sizeof detail, format, args);
	va_end(args);
	enter(dir, rule, detail);
	lab_panic("%s\n", detail);
}
