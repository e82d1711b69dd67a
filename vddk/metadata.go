package vddk

// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"strings"
)

// MetadataKeys returns the keys of the disk's metadata: "adapterType",
// "geometry.biosCylinders", …
//
// Implements: VixError VixDiskLib_GetMetadataKeys(VixDiskLibHandle diskHandle, char *keys, size_t maxLen, size_t *requiredLen)
//
// The library is asked for the size of its answer first, and again where it grew.
func (h *Handle) MetadataKeys() ([]string, error) {
	text, err := h.metadata(C.IVD_KEYS, "", "metadata keys of "+h.name)
	keys, _, _ := strings.Cut(text, "\x00\x00")
	return strings.FieldsFunc(keys, func(r rune) bool { return r == 0 }), err
}

// Metadata returns the value of a key.
//
// Implements: VixError VixDiskLib_ReadMetadata(VixDiskLibHandle diskHandle, const char *key, char *buf, size_t bufLen, size_t *requiredLen)
func (h *Handle) Metadata(key string) (string, error) {
	text, err := h.metadata(C.IVD_READ_KEY, key, "metadata "+key+" of "+h.name)
	value, _, _ := strings.Cut(text, "\x00")
	return value, err
}

func (h *Handle) metadata(op C.int, key, what string) (string, error) {
	if op == C.IVD_READ_KEY && (key == "" || zero(key)) {
		return "", newError(what, 3, "no key is named", "")
	}
	call := h.lib.newCall(op, key)
	defer call.free()
	if err := h.do(call, what); err != nil || call.c.out == nil {
		return "", err
	}
	return C.GoStringN(call.c.out, C.int(call.c.out_size)), nil
}

// SetMetadata sets the value of a key.
//
// Implements: VixError VixDiskLib_WriteMetadata(VixDiskLibHandle diskHandle, const char *key, const char *val)
func (h *Handle) SetMetadata(key, value string) error {
	what := "write metadata " + key + " of " + h.name
	if key == "" || zero(key, value) {
		return newError(what, 3, "no key is named, or a zero byte is in the value", "")
	}
	call := h.lib.newCall(C.IVD_WRITE_KEY, key)
	defer call.free()
	call.c.value = C.CString(value)
	return h.do(call, what)
}
