/*
 * The laboratory's library from C, for what the binding never does: misuse, and
 * the calls that it does not make. `make check` builds library and program with
 * a sanitizer and runs it.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

char disk[] = "disk.raw";
uint8_t buffer[1 << 20] __attribute__((aligned(4096)));

void (*heard)(const char *line);

void silent(const char *format, va_list args) {
	char line[1024];
	vsnprintf(line, sizeof line, format, args);
	if (heard)
		heard(line);
}

void init(const char *config) {
	WANT(VixDiskLib_InitEx(8, 0, silent, silent, silent, NULL, config), VIX_OK);
}

VixConnection *local(void) {
	VixConnectParams zero = {0};
	VixConnection *connection;
	WANT(VixDiskLib_Connect(&zero, &connection), VIX_OK);
	VixDiskLib_FreeConnectParams(&zero); /* a struct of the caller's: nothing happens */
	return connection;
}

VixHandle *open_local(VixConnection *connection, uint32_t flags) {
	VixHandle *handle;
	WANT(VixDiskLib_Open(connection, disk, flags, &handle), VIX_OK);
	return handle;
}

void close_local(VixConnection *connection, VixHandle *handle) {
	WANT(VixDiskLib_Close(handle), VIX_OK);
	WANT(VixDiskLib_Disconnect(connection), VIX_OK);
	VixDiskLib_Exit();
}

void write_text(const char *name, const char *text) {
	FILE *file = fopen(name, "w");
	fputs(text, file);
	fclose(file);
}

void work_here(void) {
	char here[2048];
	if (!getcwd(here, sizeof here) || setenv("IVD_LAB_DIR", here, 1) != 0)
		abort();
}

void init_here(void) {
	work_here();
	init(NULL);
}

VixConnectParams *disk_of_its_own(void) {
	VixConnectParams *params = VixDiskLib_AllocateConnectParams();
	params->serverName = "127.0.0.1";
	params->credType = VIX_CRED_SESSIONID;
	params->creds.sessionId.cookie = "cookie";
	params->creds.sessionId.key = " ";
	params->specType = VIX_SPEC_VSTORAGE_OBJECT;
	params->spec.vStorageObjSpec.id = "id";
	params->spec.vStorageObjSpec.datastoreMoRef = "datastore-1";
	params->port = 1;
	return params;
}

static int reported(const char *rule) {
	char text[65536] = "", want[64];
	FILE *file = fopen("report.jsonl", "r");
	if (!file)
		return !rule;
	size_t n = fread(text, 1, sizeof text - 1, file);
	fclose(file);
	snprintf(want, sizeof want, "\"rule\":\"%s\"", rule ? rule : "");
	return rule && n > 0 && text[n - 1] == '\n' && strstr(text, want);
}

static void make_disk(void) {
	int fd = open(disk, O_RDWR | O_CREAT | O_TRUNC, 0600);
	memset(buffer, 0x5a, sizeof buffer);
	if (fd < 0 || ftruncate(fd, 1 << 20) != 0 || pwrite(fd, buffer, 4096, 65536) != 4096)
		abort();
	close(fd);
}

static int run(const struct check_case *c) {
	make_disk();
	unlink("report.jsonl");
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		c->run();
		exit(0);
	}
	int status = 0;
	waitpid(pid, &status, 0);
	int good = c->signal ? WIFSIGNALED(status) && WTERMSIG(status) == c->signal
			     : WIFEXITED(status) && WEXITSTATUS(status) == 0;
	good = good && reported(c->rule);
	printf("%s %s\n", good ? "ok  " : "FAIL", c->name);
	return !good;
}

int main(void) {
	int failed = 0;
	for (const struct check_case *c = right_cases; c->name; c++)
		failed |= run(c);
	for (const struct check_case *c = wrong_cases; c->name; c++)
		failed |= run(c);
	return failed;
}
