package vddk

// #include "shim.h"
import "C"

import (
	"errors"
	"fmt"
	"syscall"
	"unsafe"
)

// worker is a thread of C that makes the calls it is handed, in that order. It does
// not wait for a read or write to end before it goes on.
type worker struct {
	c     *C.struct_ivd_worker
	inbox uintptr // a pipe
}

func startWorker() (*worker, error) {
	c := C.ivd_worker_start()
	if c == nil {
		return nil, errors.New("start a thread for VDDK: no thread or no pipe to be had")
	}
	return &worker{c: c, inbox: uintptr(C.ivd_worker_inbox(c))}, nil
}

// hand gives the worker a call, which dispatch must expect. The system call is a
// bare one (see call.c): while it waited, the runtime could not go on. It does not
// wait, since a pipe has room for 512 addresses or more, and callers never hand over
// that many before the first has ended.
func (w *worker) hand(c *call) {
	_, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, w.inbox, uintptr(unsafe.Pointer(&c.c)), unsafe.Sizeof(c.c))
	if errno != 0 {
		panic(fmt.Sprintf("vddk: hand over a call: %v", errno))
	}
}

// stop waits for the thread's end. No call may be under way.
func (w *worker) stop() { C.ivd_worker_stop(w.c) }

// abandon leaves the thread to the library, with all that it was handed. It never
// waits for the library.
func (w *worker) abandon() { C.ivd_worker_abandon(w.c) }
