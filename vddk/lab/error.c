/* Error texts, made of the names in ../vix-errors.tsv. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lab.h"

static const struct {
	uint32_t code;
	const char *name;
} errors[] = {
#include "vix-errors.inc"
};

static const char *name_of(uint32_t code) {
	for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++)
		if (errors[i].code == code)
			return errors[i].name;
	return NULL;
}

/* "VIX_E_FILE_NOT_FOUND" becomes "File not found". */
API char *VixDiskLib_GetErrorText(VixError err, const char *locale) {
	(void)locale;
	char *text = NULL;
	const char *name = name_of(VIX_CODE(err));
	if (!name) {
		if (asprintf(&text, "Unknown error %u (0x%llx)", VIX_CODE(err), (unsigned long long)err) < 0)
			return NULL;
		return text;
	}
	if (strncmp(name, "VIX_E_", 6) == 0)
		name += 6;
	text = strdup(name);
	for (char *c = text; c && *c; c++)
		*c = *c == '_' ? ' ' : c == text ? *c : (char)tolower((unsigned char)*c);
	return text;
}

API void VixDiskLib_FreeErrorText(char *text) {
	free(text);
}

VixError lab_from_errno(int number) {
	switch (number) {
	case ENOENT:
	case ENOTDIR:
		return VIX_FILE_NOT_FOUND;
	case EACCES:
	case EPERM:
		return VIX_FILE_ACCESS_ERROR;
	case EROFS:
		return VIX_FILE_READ_ONLY;
	case EEXIST:
		return VIX_FILE_ALREADY_EXISTS;
	case ENOSPC:
	case EDQUOT:
		return VIX_DISK_FULL;
	case ENOMEM:
		return VIX_OUT_OF_MEMORY;
	}
	return VIX_FILE_ERROR;
}
