/* Lines are formatted here, since Go cannot read a va_list. They are passed to Go at
 * once, on the thread that logs: lines are rare, and a panic's must be logged before
 * the process ends. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shim.h"

extern void ivdLog(int level, char *text);

static _Thread_local char warning[1024];

static char *format_line(const char *format, va_list args) {
	char *line = NULL;
	if (!format || vasprintf(&line, format, args) < 0)
		return strdup("a line that cannot be formatted");
	size_t n = strlen(line);
	while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r'))
		line[--n] = 0;
	return line;
}

static void hand_over(enum ivd_level level, const char *format, va_list args) {
	char *line = format_line(format, args);
	if (level == IVD_WARN)
		snprintf(warning, sizeof warning, "%s", line);
	ivdLog(level, line);
	free(line);
}

void ivd_log(const char *format, va_list args) {
	hand_over(IVD_LOG, format, args);
}

void ivd_warn(const char *format, va_list args) {
	hand_over(IVD_WARN, format, args);
}

/* The library cannot go on and its state cannot be trusted, so the process ends and
 * its supervisor starts another. SIGABRT gets its default action: the Go runtime's
 * handler would print all goroutines. */
void ivd_panic(const char *format, va_list args) {
	hand_over(IVD_PANIC, format, args);
	signal(SIGABRT, SIG_DFL);
	abort();
}

char *ivd_take_warning(void) {
	char *text = warning[0] ? strdup(warning) : NULL;
	warning[0] = 0;
	return text;
}
