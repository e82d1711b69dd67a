/* See faults.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "faults.h"
#include "session.h"
#include "world.h"

#define RULES 64

struct rule {
	char call[48], disk[64], mode[16];
	int64_t nth, times, count; /* times negative: for ever */
	bool shared;
	uint64_t hash;
	struct lab_plan plan;
};

/* The script of a folder, as it was read last. */
struct script {
	struct script *next;
	const char *dir; /* lasting */
	struct timespec written;
	ino_t inode;
	int count;
	struct rule rules[RULES];
};

static struct {
	pthread_mutex_t lock;
	struct script *first;
} scripts = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool understand(const char *what, struct lab_plan *plan) {
	*plan = (struct lab_plan){0};
	char *end = NULL;
	if (strncmp(what, "code:", 5) == 0) {
		plan->fate = LAB_FATE_CODE;
		plan->code = strtoull(what + 5, &end, 10);
		return end != what + 5 && *end == 0 && plan->code != VIX_OK;
	}
	if (strncmp(what, "delay:", 6) == 0) {
		plan->fate = LAB_FATE_DELAY;
		plan->delay_ns = lab_duration(what + 6);
		return plan->delay_ns >= 0;
	}
	plan->fate = strcmp(what, "hang") == 0 ? LAB_FATE_HANG
		: strcmp(what, "panic") == 0 ? LAB_FATE_PANIC
		: strcmp(what, "abort") == 0 ? LAB_FATE_ABORT : LAB_FATE_NONE;
	return plan->fate != LAB_FATE_NONE;
}

static uint64_t hash(const char *text, uint64_t sum) {
	for (; *text; text++)
		sum = (sum ^ (unsigned char)*text) * 0x100000001b3u;
	return sum;
}

static void take_rule(struct script *script, const struct json *json) {
	if (script->count == RULES)
		return;
	struct rule *rule = &script->rules[script->count];
	*rule = (struct rule){.nth = json_number(json, "nth", 1), .times = json_number(json, "times", 1),
		.shared = json_bool(json, "shared")};
	snprintf(rule->call, sizeof rule->call, "%s", json_string(json, "call", ""));
	snprintf(rule->disk, sizeof rule->disk, "%s", json_string(json, "disk", ""));
	snprintf(rule->mode, sizeof rule->mode, "%s", json_string(json, "mode", ""));
	const char *what = json_string(json, "do", "");
	if (rule->nth < 1)
		rule->nth = 1;
	if (rule->times == 0)
		rule->times = 1;
	if (!rule->call[0] || !understand(what, &rule->plan)) {
		lab_report(script->dir, "faults.json", "rule %d: call \"%s\", do \"%s\"", script->count + 1, rule->call, what);
		return;
	}
	char place[32];
	snprintf(place, sizeof place, "%d", script->count);
	rule->hash = hash(place, hash(what, hash(rule->mode, hash(rule->disk, hash(rule->call, 0xcbf29ce484222325u)))));
	script->count++;
}

static void load(struct script *script) {
	script->count = 0;
	char *text = lab_world_read(script->dir, "faults.json");
	struct json *json = text ? json_parse(text) : NULL;
	if (text && (!json || json->kind != JSON_ARRAY))
		lab_report(script->dir, "faults.json", "%s/faults.json is not a JSON array", script->dir);
	free(text);
	for (const struct json *rule = json && json->kind == JSON_ARRAY ? json->first : NULL; rule; rule = rule->next)
		take_rule(script, rule);
	json_free(json);
}

static struct script *of_folder(const char *dir) {
	for (struct script *s = scripts.first; s; s = s->next)
		if (s->dir == dir)
			return s;
	struct script *made = calloc(1, sizeof *made);
	if (!made)
		return NULL;
	made->dir = dir;
	made->next = scripts.first;
	scripts.first = made;
	return made;
}

/* Called with the lock held. NULL: there is no script. */
static struct script *look(const char *dir) {
	char path[4096 + 16];
	struct stat st;
	snprintf(path, sizeof path, "%s/faults.json", dir);
	if (stat(path, &st) != 0)
		st = (struct stat){0};
	struct script *script = of_folder(dir);
	if (script && (st.st_ino != script->inode || st.st_mtim.tv_sec != script->written.tv_sec ||
		       st.st_mtim.tv_nsec != script->written.tv_nsec)) {
		script->inode = st.st_ino;
		script->written = st.st_mtim;
		load(script);
	}
	return script;
}

/* How many calls all processes have made, this one included. */
static int64_t count_shared(const char *dir, const struct rule *rule) {
	char path[4096 + 64], text[32] = "";
	snprintf(path, sizeof path, "%s/faults.count", dir);
	mkdir(path, 0700);
	snprintf(path, sizeof path, "%s/faults.count/%016llx", dir, (unsigned long long)rule->hash);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return 0;
	int64_t count = 0;
	while (flock(fd, LOCK_EX) != 0 && errno == EINTR)
		continue;
	if (pread(fd, text, sizeof text - 1, 0) >= 0)
		count = strtoll(text, NULL, 10);
	int n = snprintf(text, sizeof text, "%lld\n", (long long)++count);
	if (pwrite(fd, text, (size_t)n, 0) != n)
		count = 0;
	close(fd);
	return count;
}

static bool concerns(const struct rule *rule, const struct lab_call *call) {
	return strcmp(rule->call, call->name) == 0 && (rule->mode[0] || !call->own) &&
	       (!rule->disk[0] || (call->disk && strcasecmp(rule->disk, call->disk) == 0)) &&
	       (!rule->mode[0] || (call->mode && strcasecmp(rule->mode, call->mode) == 0));
}

struct lab_plan lab_plan(const struct lab_call *call) {
	struct lab_plan plan = {0};
	const char *dir = call->dir ? call->dir : lab_world_last();
	if (!dir)
		return plan;
	pthread_mutex_lock(&scripts.lock);
	struct script *script = look(dir);
	for (int i = 0; script && i < script->count; i++) {
		struct rule *rule = &script->rules[i];
		if (!concerns(rule, call))
			continue;
		int64_t n = rule->shared ? count_shared(dir, rule) : ++rule->count;
		bool due = n >= rule->nth && (rule->times < 0 || n < rule->nth + rule->times);
		if (due && plan.fate == LAB_FATE_NONE)
			plan = rule->plan;
	}
	pthread_mutex_unlock(&scripts.lock);
	return plan;
}

static void rest(int64_t ns) {
	struct timespec left = {ns / 1000000000, ns % 1000000000};
	while (nanosleep(&left, &left) != 0 && errno == EINTR)
		continue;
}

VixError lab_suffer(struct lab_plan plan, const char *call) {
	switch (plan.fate) {
	case LAB_FATE_NONE:
		break;
	case LAB_FATE_CODE:
		lab_warn("the script of faults: %s ends with code %llu\n", call, (unsigned long long)plan.code);
		return plan.code;
	case LAB_FATE_DELAY:
		rest(plan.delay_ns);
		break;
	case LAB_FATE_HANG:
		lab_warn("the script of faults: %s hangs\n", call);
		lab_opening_ends();
		for (;;)
			pause();
	case LAB_FATE_PANIC:
		lab_panic("the script of faults: panic in %s\n", call);
	case LAB_FATE_ABORT:
		abort();
	}
	return VIX_OK;
}

VixError lab_fault(const struct lab_call *call) {
	return lab_suffer(lab_plan(call), call->name);
}

VixError lab_fault_on(const VixHandle *handle, const char *call) {
	return lab_fault(&(struct lab_call){.name = call, .dir = handle->dir, .disk = handle->id,
		.mode = lab_transport_name(handle->transport)});
}

VixError lab_fault_for(const VixConnectParams *params, const char *call) {
	return lab_fault(&(struct lab_call){.name = call, .disk = params ? lab_disk_of(params) : NULL});
}
