/* See world.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "world.h"

#define MOST (1 << 20) /* bytes of a file */

static struct {
	pthread_mutex_t lock;
	struct folder {
		struct folder *next;
		char path[];
	} *folders;
	const char *last;
} world = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Copies are never freed: handles refer to them. */
static const char *keep(const char *path) {
	for (struct folder *f = world.folders; f; f = f->next)
		if (strcmp(f->path, path) == 0)
			return f->path;
	struct folder *made = malloc(sizeof *made + strlen(path) + 1);
	if (!made)
		return NULL;
	strcpy(made->path, path);
	made->next = world.folders;
	world.folders = made;
	return made->path;
}

const char *lab_world(const char *path) {
	if (!path || path[0] != '/')
		return NULL;
	pthread_mutex_lock(&world.lock);
	const char *kept = keep(path);
	if (kept)
		world.last = kept;
	pthread_mutex_unlock(&world.lock);
	if (kept)
		lab_report_pending(kept);
	return kept;
}

const char *lab_world_last(void) {
	pthread_mutex_lock(&world.lock);
	const char *last = world.last;
	pthread_mutex_unlock(&world.lock);
	return last;
}

char *lab_world_read(const char *dir, const char *name) {
	char path[4096 + 64];
	struct stat st;
	snprintf(path, sizeof path, "%s/%s", dir, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	char *text = NULL;
	if (fstat(fd, &st) == 0 && st.st_size <= MOST && (text = calloc(1, (size_t)st.st_size + 1))) {
		ssize_t n = pread(fd, text, (size_t)st.st_size, 0);
		text[n < 0 ? 0 : n] = 0;
	}
	close(fd);
	return text;
}

struct json *lab_world_proxy(const char *dir, const struct json **proxy) {
	*proxy = NULL;
	char *text = lab_world_read(dir, "hosts.json");
	if (!text)
		return NULL;
	struct json *hosts = json_parse(text);
	free(text);
	if (!hosts) {
		lab_report(dir, "hosts.json", "%s/hosts.json is not JSON", dir);
		return NULL;
	}
	const struct json *proxies = json_get(hosts, "proxies");
	const char *self = lab_world_self();
	for (const struct json *p = proxies ? proxies->first : NULL; p && *self && !*proxy; p = p->next)
		if (strcasecmp(json_string(p, "bios_uuid", ""), self) == 0)
			*proxy = p;
	return hosts;
}

bool lab_world_is(const char *dir, const char *setting) {
	char *text = dir ? lab_world_read(dir, "hosts.json") : NULL;
	struct json *hosts = text ? json_parse(text) : NULL;
	free(text);
	bool is = hosts && json_bool(hosts, setting);
	json_free(hosts);
	return is;
}

const char *lab_world_self(void) {
	static char firmware[64];
	if (lab_config.proxy[0])
		return lab_config.proxy;
	pthread_mutex_lock(&world.lock);
	if (!firmware[0]) {
		FILE *file = fopen("/sys/class/dmi/id/product_uuid", "re");
		if (file && fgets(firmware, sizeof firmware, file))
			firmware[strcspn(firmware, "\r\n ")] = 0;
		if (file)
			fclose(file);
	}
	pthread_mutex_unlock(&world.lock);
	return firmware;
}
