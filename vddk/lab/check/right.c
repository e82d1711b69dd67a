/* What is right, and what has one of VDDK's codes. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

static void init_rules(void) {
	VixConnectParams zero = {0};
	VixConnection *connection;
	WANT(VixDiskLib_Connect(&zero, &connection), VIX_DISK_NOINIT);
	WANT(VixDiskLib_InitEx(4, 0, silent, silent, silent, NULL, NULL), VIX_INVALID_ARG);
	WANT(VixDiskLib_InitEx(10, 0, silent, silent, silent, NULL, NULL), VIX_INVALID_ARG);
	WANT(VixDiskLib_InitEx(8, 0, silent, silent, silent, NULL, "none.conf"), VIX_FILE_NOT_FOUND);
	init(NULL);
	WANT(VixDiskLib_InitEx(8, 0, silent, silent, silent, NULL, NULL), VIX_FAIL);
	VixDiskLib_Exit();
}

static atomic_int landed;

static void count(void *data, VixError result) {
	WANT(result, VIX_OK);
	WANT((uintptr_t)data, 77);
	atomic_fetch_add(&landed, 1);
}

static void kinds_of_io(void) {
	init(NULL);
	VixConnection *connection = local();
	VixHandle *handle = open_local(connection, 0);
	WANT(VixDiskLib_Write(handle, 3, 5, buffer), VIX_OK);
	WANT(VixDiskLib_Read(handle, 0, 8, buffer), VIX_OK);
	WANT(VixDiskLib_ReadAsync(handle, 0, 8, buffer, count, (void *)77), VIX_MIXEDMODE);
	WANT(VixDiskLib_Close(handle), VIX_OK);
	handle = open_local(connection, 0);
	for (int i = 0; i < 100; i++)
		WANT(VixDiskLib_WriteAsync(handle, 0, 8, buffer, count, (void *)77), VIX_ASYNC);
	WANT(VixDiskLib_Wait(handle), VIX_OK);
	WANT(landed, 100);
	WANT(VixDiskLib_Flush(handle), VIX_OK);
	WANT(VixDiskLib_Read(handle, 0, 8, buffer), VIX_MIXEDMODE);
	WANT(VixDiskLib_ReadAsync(handle, 0, 8, buffer, NULL, NULL), VIX_INVALID_ARG);
	WANT(VixDiskLib_ReadAsync(handle, 0, 0, buffer, count, NULL), VIX_INVALID_ARG);
	WANT(VixDiskLib_ReadAsync(handle, 2048, 1, buffer, count, NULL), VIX_OUTOFRANGE);
	close_local(connection, handle);
}

static void alignment(void) {
	init(NULL);
	VixConnection *connection = local();
	VixHandle *handle = open_local(connection, VIX_FLAG_OPEN_UNBUFFERED);
	WANT(VixDiskLib_Read(handle, 0, 8, buffer + 16), VIX_INVALID_ARG);
	WANT(VixDiskLib_Read(handle, 0, 8, buffer + 512), VIX_OK);
	WANT(VixDiskLib_Close(handle), VIX_OK);
	handle = open_local(connection, VIX_FLAG_OPEN_READ_ONLY);
	WANT(VixDiskLib_Read(handle, 0, 8, buffer + 16), VIX_OK);
	WANT(VixDiskLib_Write(handle, 0, 8, buffer), VIX_FILE_READ_ONLY);
	close_local(connection, handle);
}

static void allocated(void) {
	init(NULL);
	VixConnection *connection = local();
	VixHandle *handle = open_local(connection, VIX_FLAG_OPEN_READ_ONLY);
	VixBlockList *list;
	static const uint64_t wrong[][3] = {
		{0, 2048, 64}, {64, 128, 128}, {0, 64, 128}, {0, 4096, 128}, {0, 0, 128}, {1ull << 63, 1ull << 63, 128}};
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		WANT(VixDiskLib_QueryAllocatedBlocks(handle, wrong[i][0], wrong[i][1], wrong[i][2], &list), VIX_INVALID_ARG);
	WANT(VixDiskLib_QueryAllocatedBlocks(handle, 0, 2048, 128, &list), VIX_OK);
	WANT(list->numBlocks, 1);
	WANT(list->blocks[0].offset, 128);
	WANT(list->blocks[0].length, 128);
	WANT(VixDiskLib_FreeBlockList(list), VIX_OK);
	WANT(VixDiskLib_QueryAllocatedBlocks(handle, 1024, 1024, 1024, &list), VIX_OK);
	WANT(list->numBlocks, 0);
	WANT(VixDiskLib_FreeBlockList(list), VIX_OK);
	close_local(connection, handle);
}

static void metadata(void) {
	init(NULL);
	VixConnection *connection = local();
	VixHandle *handle = open_local(connection, VIX_FLAG_OPEN_READ_ONLY);
	char text[64];
	size_t need = 0;
	WANT(VixDiskLib_GetMetadataKeys(handle, NULL, 0, &need), VIX_BUFFER_TOOSMALL);
	WANT(VixDiskLib_GetMetadataKeys(handle, text, need, &need), VIX_OK);
	WANT(text[need - 1] | text[need - 2], 0);
	WANT(VixDiskLib_ReadMetadata(handle, "adapterType", text, 3, &need), VIX_BUFFER_TOOSMALL);
	WANT(VixDiskLib_ReadMetadata(handle, "adapterType", text, need, &need), VIX_OK);
	WANT(strcmp(text, "lsilogic"), 0);
	WANT(VixDiskLib_ReadMetadata(handle, "colour", text, sizeof text, &need), VIX_OBJECT_NOT_FOUND);
	WANT(VixDiskLib_WriteMetadata(handle, "colour", "red"), VIX_FILE_READ_ONLY);
	close_local(connection, handle);
}

/* A disk is a descriptor and its extents: it is written and read through the
 * descriptor, across extents too. */
static void create(void) {
	init(NULL);
	VixConnection *connection = local();
	VixCreateParams params = {.diskType = 2, .adapterType = 1, .hwVersion = 7, .capacity = 999};
	VixHandle *handle;
	VixInfo *info;
	struct stat st;
	WANT(VixDiskLib_Create(connection, "new.vmdk", &params, NULL, NULL), VIX_OK);
	WANT(VixDiskLib_Create(connection, "new.vmdk", &params, NULL, NULL), VIX_FILE_ALREADY_EXISTS);
	WANT(stat("new-flat.vmdk", &st) | (st.st_size != 999 * VIX_SECTOR_SIZE), 0);
	WANT(VixDiskLib_Open(connection, "new.vmdk", 0, &handle), VIX_OK);
	WANT(VixDiskLib_GetInfo(handle, &info), VIX_OK);
	WANT(info->capacity, 999);
	WANT(info->adapterType, 1);
	VixDiskLib_FreeInfo(info);
	VixHandle *second;
	WANT(VixDiskLib_Open(connection, "new.vmdk", 0, &second), VIX_FILE_ALREADY_LOCKED);
	WANT(VixDiskLib_Close(handle), VIX_OK);
	WANT(VixDiskLib_Unlink(connection, "new.vmdk"), VIX_OK);
	WANT(stat("new-flat.vmdk", &st), -1);
	WANT(VixDiskLib_Unlink(connection, "new.vmdk"), VIX_FILE_NOT_FOUND);
	params.diskType = 1; /* sparse */
	WANT(VixDiskLib_Create(connection, "new.vmdk", &params, NULL, NULL), VIX_NOT_SUPPORTED);
	WANT(VixDiskLib_Disconnect(connection), VIX_OK);
	VixDiskLib_Exit();
}

static void descriptors(void) {
#define FIRST "# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\ncreateType=\"twoGbMaxExtentFlat\"\n"
	static const struct { const char *text; VixError open; } refused[] = {
		{FIRST, VIX_DISK_INVAL}, {FIRST "RW 2048 SPARSE \"disk.raw\"\n", VIX_DISK_NOTSUPPORTED},
		{FIRST "RW 4096 FLAT \"disk.raw\" 0\n", VIX_DISK_INVAL}, {FIRST "RW 8 FLAT \"none\" 0\n", VIX_FILE_NOT_FOUND},
		{"# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=fffffffe\nRW 8 FLAT \"disk.raw\" 0\n", VIX_DISK_NOTSUPPORTED}};
	init(NULL);
	VixConnection *connection = local();
	VixHandle *handle;
	VixBlockList *list;
	for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
		write_text("two.vmdk", refused[i].text);
		WANT(VixDiskLib_Open(connection, "two.vmdk", 4, &handle), refused[i].open);
	}
	write_text("second.raw", "");
	WANT(truncate("second.raw", 1 << 20), 0);
	write_text("two.vmdk", FIRST "RW 1024 FLAT \"disk.raw\" 0\r\nRW 1024 FLAT \"second.raw\" 512\r\nddb.uuid = \"60 00\"\n");
	WANT(VixDiskLib_Open(connection, "two.vmdk", 0, &handle), VIX_OK);
	memset(buffer, 7, 8 * VIX_SECTOR_SIZE);
	WANT(VixDiskLib_Write(handle, 1020, 8, buffer), VIX_OK);
	memset(buffer, 0, 8 * VIX_SECTOR_SIZE);
	WANT(VixDiskLib_Read(handle, 1020, 8, buffer), VIX_OK);
	WANT(buffer[0] & buffer[8 * VIX_SECTOR_SIZE - 1], 7);
	WANT(VixDiskLib_Read(handle, 2044, 8, buffer), VIX_OUTOFRANGE);
	WANT(VixDiskLib_QueryAllocatedBlocks(handle, 0, 2048, 128, &list), VIX_OK);
	WANT(list->numBlocks, 2); /* what the disk has from the start, and across the extents */
	WANT(list->blocks[1].offset, 896);
	WANT(list->blocks[1].length, 256);
	WANT(VixDiskLib_FreeBlockList(list), VIX_OK);
	WANT(VixDiskLib_Close(handle), VIX_OK);
	int fd = open("second.raw", O_RDONLY);
	WANT(pread(fd, buffer, 512, 512 * VIX_SECTOR_SIZE), 512);
	WANT(buffer[0], 7);
	close(fd);
	WANT(VixDiskLib_Disconnect(connection), VIX_OK);
	VixDiskLib_Exit();
#undef FIRST
}

/* Programs that are linked against VDDK name these. */
static void hosted(void) {
	init(NULL);
	VixConnection *connection = local();
	VixHandle *handle = open_local(connection, 0);
	uint64_t space;
	WANT(VixDiskLib_CreateChild(handle, "child", 1, NULL, NULL), VIX_NOT_SUPPORTED);
	WANT(VixDiskLib_Clone(connection, "a", connection, "b", NULL, NULL, NULL, 0), VIX_NOT_SUPPORTED);
	WANT(VixDiskLib_Grow(connection, disk, 4096, 0, NULL, NULL), VIX_NOT_SUPPORTED);
	WANT(VixDiskLib_Shrink(handle, NULL, NULL), VIX_NOT_SUPPORTED);
	WANT(VixDiskLib_Defragment(handle, NULL, NULL), VIX_NOT_SUPPORTED);
	WANT(VixDiskLib_Rename(disk, "b"), VIX_NOT_SUPPORTED);
	WANT(VixDiskLib_IsAttachPossible(handle, handle), VIX_NOT_SUPPORTED);
	WANT(VixDiskLib_Attach(handle, handle), VIX_NOT_SUPPORTED);
	WANT(VixDiskLib_SpaceNeededForClone(handle, 1, &space), VIX_NOT_SUPPORTED);
	close_local(connection, handle);
}

/* A descriptor with one extent beside it, which has 2048 sectors. */
static void check_repair(void) {
#define HEAD "# Disk DescriptorFile\nversion=1\nCID=fffffffe\ncreateType=\"vmfs\"\n"
	static const struct { const char *text; VixError check, repair, after; } texts[] = {
		{HEAD "RW 2048 VMFS \"disk.raw\"\n", VIX_OK, VIX_OK, VIX_OK},
		{HEAD "RW 1024 FLAT \"disk.raw\" 1024\r\n", VIX_OK, VIX_OK, VIX_OK},
		{HEAD "# x\nRW 4096 VMFS \"disk.raw\"\nddb.adapterType = \"lsilogic\"", VIX_DISK_NEEDSREPAIR, VIX_OK, VIX_OK},
		{HEAD "RW 1024 FLAT \"disk.raw\" 4096\n", VIX_DISK_NEEDSREPAIR, VIX_DISK_CANTREPAIR, VIX_DISK_NEEDSREPAIR},
		{HEAD "RW 2048 VMFS \"none.raw\"\n", VIX_FILE_NOT_FOUND, VIX_FILE_NOT_FOUND, VIX_FILE_NOT_FOUND},
		{HEAD "RW 2048 SPARSE \"disk.raw\"\n", VIX_DISK_NOTSUPPORTED, VIX_DISK_NOTSUPPORTED, VIX_DISK_NOTSUPPORTED},
		{HEAD, VIX_DISK_INVAL, VIX_DISK_INVAL, VIX_DISK_INVAL},
		{HEAD "RW 2048 VMFS disk.raw\n", VIX_DISK_INVAL, VIX_DISK_INVAL, VIX_DISK_INVAL},
		{HEAD "RW 18446744073709551615 VMFS \"disk.raw\"\n", VIX_DISK_INVAL, VIX_DISK_INVAL, VIX_DISK_INVAL},
		{HEAD "what is this\nRW 2048 VMFS \"disk.raw\"\n", VIX_DISK_INVAL, VIX_DISK_INVAL, VIX_DISK_INVAL},
		{"# Disk DescriptorFile\nCID=1\ncreateType=\"vmfs\"\nRW 2048 VMFS \"disk.raw\"\n", VIX_DISK_INVAL, VIX_DISK_INVAL, VIX_DISK_INVAL},
		{"# Disk DescriptorFile\nversion=9\nCID=1\ncreateType=\"vmfs\"\nRW 2048 VMFS \"disk.raw\"\n", VIX_DISK_UNSUPPORTEDVERSION,
			VIX_DISK_UNSUPPORTEDVERSION, VIX_DISK_UNSUPPORTEDVERSION},
		{"no descriptor, and no image", VIX_INCORRECT_FILE_TYPE, VIX_INCORRECT_FILE_TYPE, VIX_INCORRECT_FILE_TYPE},
		{"", VIX_INCORRECT_FILE_TYPE, VIX_INCORRECT_FILE_TYPE, VIX_INCORRECT_FILE_TYPE},
	};
	init(NULL);
	VixConnection *connection = local(), *reader;
	VixConnectParams zero = {0};
	WANT(VixDiskLib_ConnectEx(&zero, 1, NULL, NULL, &reader), VIX_OK);
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		write_text("disk.vmdk", texts[i].text);
		WANT(VixDiskLib_CheckRepair(reader, "disk.vmdk", 0), texts[i].check);
		WANT(VixDiskLib_CheckRepair(reader, "disk.vmdk", 1), VIX_FILE_READ_ONLY);
		WANT(VixDiskLib_CheckRepair(connection, "disk.vmdk", 1), texts[i].repair);
		WANT(VixDiskLib_CheckRepair(connection, "disk.vmdk", 0), texts[i].after);
	}
	WANT(VixDiskLib_CheckRepair(connection, disk, 0), VIX_OK);
	WANT(VixDiskLib_CheckRepair(connection, "none.vmdk", 0), VIX_FILE_NOT_FOUND);
	WANT(VixDiskLib_Disconnect(reader), VIX_OK);
	WANT(VixDiskLib_Disconnect(connection), VIX_OK);
	VixDiskLib_Exit();
}

static void parameters(void) {
	init(NULL);
	VixConnectParams *params = disk_of_its_own(), *back;
	VixConnection *connection;
	WANT(VixDiskLib_ConnectEx(params, 1, NULL, NULL, &connection), VIX_OK);
	WANT(VixDiskLib_GetConnectParams(connection, &back), VIX_OK);
	WANT(strcmp(back->creds.sessionId.cookie, "cookie") | strcmp(back->spec.vStorageObjSpec.id, "id"), 0);
	VixDiskLib_FreeConnectParams(back);
	VixHandle *handle;
	WANT(VixDiskLib_Open(connection, NULL, 4, &handle), VIX_CONN_REFUSED);
	WANT(VixDiskLib_Disconnect(connection), VIX_OK);
	params->creds.sessionId.key = NULL;
	WANT(VixDiskLib_ConnectEx(params, 1, NULL, NULL, &connection), VIX_INVALID_ARG);
	params->creds.sessionId.key = "";
	WANT(VixDiskLib_ConnectEx(params, 1, NULL, NULL, &connection), VIX_OK);
	WANT(VixDiskLib_Disconnect(connection), VIX_OK);
	VixConnectParams stranger = *params; /* made with calloc, as before 6.7 */
	stranger.state = NULL;
	WANT(VixDiskLib_ConnectEx(&stranger, 1, NULL, NULL, &connection), VIX_INVALID_ARG);
	params->spec.vStorageObjSpec.datastoreMoRef = NULL;
	WANT(VixDiskLib_ConnectEx(params, 1, NULL, NULL, &connection), VIX_INVALID_ARG);
	VixDiskLib_FreeConnectParams(params);
	VixDiskLib_Exit();
}

/* 16 MiB is what a session may have in buffers; a misspelt key is ignored. */
static void configuration(void) {
	static const struct { const char *text; VixError want; } cases[] = {
		{"vixDiskLib.nfcAio.Session.BufSizeIn64KB=16\nvixDiskLib.nfcAio.Session.BufCount = \"4\"\n", VIX_CONN_REFUSED},
		{"vixDiskLib.nfcAio.Session.BufSizeIn64KB=64\nvixDiskLib.nfcAio.Session.BufCount=5\n", VIX_FAIL},
		{"vixDiskLib.nfcAio.Session.BufSizeIn64K=64\n# BufCount\nvixDiskLib.nfcAio.Session.BufCount=5\n", VIX_CONN_REFUSED},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		FILE *file = fopen("vddk.conf", "w");
		fputs(cases[i].text, file);
		fclose(file);
		init("vddk.conf");
		VixConnectParams *params = disk_of_its_own();
		VixConnection *connection;
		VixHandle *handle;
		WANT(VixDiskLib_ConnectEx(params, 1, NULL, "nbdssl", &connection), VIX_OK);
		WANT(VixDiskLib_Open(connection, "id", 4, &handle), cases[i].want);
		WANT(VixDiskLib_Disconnect(connection), VIX_OK);
		VixDiskLib_FreeConnectParams(params);
		VixDiskLib_Exit();
	}
}

static void texts(void) {
	char *text = VixDiskLib_GetErrorText(0xabcd0000 + VIX_FILE_NOT_FOUND, NULL);
	WANT(strcmp(text, "File not found"), 0);
	VixDiskLib_FreeErrorText(text);
	text = VixDiskLib_GetErrorText(60000, NULL);
	WANT(strncmp(text, "Unknown error 60000", 19), 0);
	VixDiskLib_FreeErrorText(text);
	VixDiskLib_FreeErrorText(NULL);
}


static void script_of_faults(void) {
	write_text("faults.json", "[{\"call\": \"Read\", \"nth\": 2, \"do\": \"code:14011\"}, {\"call\":\"Flush\",\"times\":-1,\"do\":\"code:1\"},"
		" {\"call\":\"Write\",\"mode\":\"nbd\",\"do\":\"abort\"},{\"call\":\"WriteAsync\",\"do\":\"delay:1ms\"}]\n");
	init_here();
	VixConnection *connection = local();
	VixHandle *handle = open_local(connection, 0);
	for (int i = 0; i < 4; i++)
		WANT(VixDiskLib_Read(handle, 0, 8, buffer), i == 1 ? 14011 : VIX_OK);
	WANT(VixDiskLib_Flush(handle), VIX_FAIL);
	WANT(VixDiskLib_Flush(handle), VIX_FAIL);
	WANT(VixDiskLib_Write(handle, 0, 8, buffer), VIX_OK);
	WANT(VixDiskLib_Close(handle), VIX_OK);
	handle = open_local(connection, 0);
	for (int i = 0; i < 3; i++)
		WANT(VixDiskLib_WriteAsync(handle, 0, 8, buffer, count, (void *)77), VIX_ASYNC);
	WANT(VixDiskLib_Wait(handle), VIX_OK);
	WANT(landed, 3);
	unlink("faults.json");
	WANT(VixDiskLib_Flush(handle), VIX_OK);
	close_local(connection, handle);
}

/* None of these is a script; none may be read beyond its end. */
static void broken_scripts(void) {
	static const char *const texts[] = {"", "[", "[{", "{}", "[{\"call", "[{\"call\":", "[{\"call\":\"Read\",\"do\":\"code:\"}]", "[1,]",
		"[{\"call\":\"Read\",\"do\":\"delay:3\"}]", "[{\"do\":\"hang\"}]", "[\"\\", "[\"\\u00", "[\"\\u0041\\q\"]",
		"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]", "nul", "[{\"call\":\"Read\",\"do\":\"delay:5x\"}] x"};
	init_here();
	VixConnection *connection = local();
	VixHandle *handle = open_local(connection, 0);
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		write_text("faults.json", texts[i]);
		struct timespec when[2] = {{.tv_sec = (time_t)i + 1}, {.tv_sec = (time_t)i + 1}};
		utimensat(AT_FDCWD, "faults.json", when, 0);
		WANT(VixDiskLib_Read(handle, 0, 8, buffer), VIX_OK);
	}
	close_local(connection, handle);
	unlink("faults.json");
}

static void init_fails(void) {
	write_text("faults.json", "[{\"call\":\"InitEx\",\"do\":\"code:16053\"}]");
	work_here();
	WANT(VixDiskLib_InitEx(8, 0, silent, silent, silent, NULL, NULL), VIX_SUBSYSTEM_INIT_FAIL);
	WANT(VixDiskLib_InitEx(8, 0, silent, silent, silent, NULL, NULL), VIX_OK);
	unlink("faults.json");
	VixDiskLib_Exit();
}

static void exit_while_open(void) {
	init_here();
	open_local(local(), VIX_FLAG_OPEN_READ_ONLY);
	VixDiskLib_Exit();
}

const struct check_case right_cases[] = {
	{"init", init_rules, 0, NULL}, {"kinds of I/O", kinds_of_io, 0, NULL}, {"alignment", alignment, 0, NULL},
	{"allocated", allocated, 0, NULL}, {"metadata", metadata, 0, NULL}, {"create", create, 0, NULL}, {"descriptors", descriptors, 0, NULL}, {"hosted disks", hosted, 0, NULL}, {"CheckRepair", check_repair, 0, NULL},
	{"parameters", parameters, 0, NULL}, {"configuration", configuration, 0, NULL}, {"texts", texts, 0, NULL},
	{"script of faults", script_of_faults, 0, NULL}, {"broken scripts", broken_scripts, 0, "faults.json"},
	{"InitEx fails", init_fails, 0, NULL}, {"Exit while open", exit_while_open, 0, "open-at-exit"}, {0},
};
