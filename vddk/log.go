package vddk

// #include "shim.h"
import "C"

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
)

// logger takes the library's lines: one for the process, as the library is.
var logger atomic.Pointer[slog.Logger]

// madeBy is the line by which the library has named itself.
var madeBy atomic.Pointer[string]

// noise are lines of every start that need no attention.
var noise = []string{"Get CEIP status failed", "VDDK_PhoneHome", "PhoneHome:"}

//export ivdLog
func ivdLog(level C.int, text *C.char) {
	l := logger.Load()
	if l == nil {
		return
	}
	line := C.GoString(text)
	if strings.Contains(line, "VixDiskLib (") {
		madeBy.CompareAndSwap(nil, &line)
	}
	l.Log(context.Background(), levelOf(int(level), line), line, "source", "vddk")
}

// levelOf returns the level of a line. What the library calls information is DEBUG.
func levelOf(level int, line string) slog.Level {
	for _, n := range noise {
		if strings.Contains(line, n) {
			return slog.LevelDebug
		}
	}
	switch level {
	case C.IVD_WARN:
		return slog.LevelWarn
	case C.IVD_PANIC:
		return slog.LevelError
	}
	return slog.LevelDebug
}
