/* The configuration file of InitEx: name=value lines. What is not known is
 * ignored without a word, as the real library does. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lab.h"

struct lab_config lab_config;
atomic_bool lab_ready;

static char *trim(char *text) {
	while (*text == ' ' || *text == '\t' || *text == '"')
		text++;
	size_t n = strlen(text);
	while (n > 0 && strchr(" \t\r\n\"", text[n - 1]))
		text[--n] = 0;
	return text;
}

static void number(const char *value, long low, long high, long factor, uint32_t *to) {
	char *end;
	errno = 0;
	long n = strtol(value, &end, 10);
	if (errno == 0 && *end == 0 && end != value && n >= low && n <= high)
		*to = (uint32_t)(n * factor);
	else
		lab_warn("configuration: value %s is out of range, ignored\n", value);
}

static void take(struct lab_config *config, const char *name, const char *value) {
	uint32_t ms = 0;
	if (strcmp(name, "tmpDirectory") == 0) {
		snprintf(config->tmp, sizeof config->tmp, "%s", value);
	} else if (strcmp(name, "vixDiskLib.nfcAio.Session.BufSizeIn64KB") == 0) {
		number(value, 1, 1024, 64 * 1024, &config->buffer_size);
	} else if (strcmp(name, "vixDiskLib.nfcAio.Session.BufCount") == 0) {
		number(value, 1, 1024, 1, &config->buffer_count);
	} else if (strcmp(name, "vixDiskLib.nfc.AcceptTimeoutMs") == 0) {
		number(value, 1, 3600000, 1, &ms);
		if (ms)
			config->connect_ms = (int)ms;
	} else if (strcmp(name, "vixDiskLib.nfc.ReadTimeoutMs") == 0) {
		number(value, 1, 3600000, 1, &ms);
		if (ms)
			config->read_ms = (int)ms;
	}
}

VixError lab_read_config(const char *path, struct lab_config *config) {
	FILE *file = fopen(path, "re");
	if (!file) {
		lab_warn("cannot read the configuration file %s: %s\n", path, strerror(errno));
		return lab_from_errno(errno);
	}
	char line[8192];
	while (fgets(line, sizeof line, file)) {
		char *name = trim(line), *equals = strchr(name, '=');
		if (*name == '#' || !equals)
			continue;
		*equals = 0;
		take(config, trim(name), trim(equals + 1));
	}
	fclose(file);
	return VIX_OK;
}
