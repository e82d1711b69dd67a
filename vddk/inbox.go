package vddk

// #include <linux/futex.h>
// #include "shim.h"
import "C"

import (
	"sync/atomic"
	"syscall"
	"unsafe"
)

// hand gives a worker a call, as ivd_submit does, without a call into C: the
// runtime, idle while a read is on its way, would wake its monitor for that. The
// system call never waits, so the scheduler need not know of it either.
func hand(to *C.struct_ivd_inbox, call *C.struct_ivd_call) {
	newest := (*unsafe.Pointer)(unsafe.Pointer(&to.newest))
	for {
		before := atomic.LoadPointer(newest)
		call.next = (*C.struct_ivd_call)(before)
		if atomic.CompareAndSwapPointer(newest, before, unsafe.Pointer(call)) {
			break
		}
	}
	asleep := (*uint32)(unsafe.Pointer(&to.asleep))
	if atomic.SwapUint32(asleep, 0) != 0 {
		_, _, _ = syscall.RawSyscall6(syscall.SYS_FUTEX, uintptr(unsafe.Pointer(asleep)), C.FUTEX_WAKE_PRIVATE, 1, 0, 0, 0)
	}
}

// takeEnded is all that has ended since the last time, the oldest first; nil: none.
func takeEnded() *C.struct_ivd_call {
	newest := (*C.struct_ivd_call)(atomic.SwapPointer((*unsafe.Pointer)(unsafe.Pointer(ended)), nil))
	var oldest *C.struct_ivd_call
	for newest != nil {
		newest, newest.next, oldest = newest.next, oldest, newest
	}
	return oldest
}

var ended = C.ivd_ended()
