// Package vddk is a binding of libvixDiskLib, the library of VMware's Virtual Disk
// Development Kit, for disks of their own (IVD, FCD) and local files. The library
// is loaded at run time; nothing of it is needed to build.
//
// It keeps the library's rules, so that callers need not know them: InitEx once,
// on the main thread; every other call on C threads made after it; connections,
// Open and Close on one thread, one at a time; one thread for each handle, which
// issues asynchronous reads and writes alone, several in flight, and waits for
// them before Flush and Close; memory outside Go's heap; EndAccess whenever it is
// asked for. Any goroutine may call anything at any time.
//
// A call blocks until the library has ended it, and cannot be cancelled: until
// then the library may write into the caller's buffer. A library that hangs or
// panics takes its process with it, which is why it belongs in one of its own.
// The package retries nothing and interprets no code beyond its Class.
package vddk

// #cgo CFLAGS: -std=gnu11 -O2 -Wall -pthread
// #cgo LDFLAGS: -ldl -pthread
// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"
)

// SectorSize is the unit of every sector and count here, in bytes.
const SectorSize = 512

// MinChunk is the smallest chunk of QueryAllocated, in sectors.
const MinChunk = 128

// Options of Load.
type Options struct {
	LibDir     string       // the distribution's root, which contains lib64
	ConfigFile string       // the library's own configuration; empty: none
	Log        *slog.Logger // nil: slog.Default()
}

// Library is the loaded library: one for the life of a process.
type Library struct {
	libdir  string
	version version
	log     *slog.Logger
	done    *dispatch
	control *C.struct_ivd_worker // ConnectEx, Open, Close, Disconnect
	access  *C.struct_ivd_worker // PrepareForAccess, EndAccess, Cleanup: they take long
	audit   sync.Once
	open    atomic.Int64 // connections and handles
}

var loaded atomic.Bool

// Load loads and initialises the library. It must run on the process's main
// thread (runtime.LockOSThread in an init function, Load from main), in a process
// that was started with Environment(libdir), and once. A *LoadError says what is
// wrong with the folder, an *Error what InitEx did not like.
func Load(o Options) (*Library, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	path, v, err := find(o.LibDir)
	if err != nil {
		return nil, err
	}
	if err := checkEnvironment(o.LibDir, path); err != nil {
		return nil, err
	}
	if C.ivd_on_main_thread() == 0 {
		return nil, &LoadError{
			LibDir: o.LibDir, Err: errors.New("not on the main thread"),
			Remedy: "call runtime.LockOSThread in an init function and vddk.Load from main",
		}
	}
	if loaded.Swap(true) {
		return nil, &LoadError{LibDir: o.LibDir, Err: errors.New("a library was loaded before"), Remedy: "load it once in a process"}
	}
	// A thread of the library that writes to a broken connection would end the
	// process, unless somebody listens. Ignoring the signal would be inherited.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	logger.Store(o.Log)
	l := &Library{libdir: o.LibDir, version: v, log: o.Log}
	if err := l.start(path, o.ConfigFile); err != nil {
		return nil, err
	}
	return l, nil
}

func (l *Library) start(path, config string) error {
	cpath := C.CString(path)
	defer C.free(unsafe.Pointer(cpath))
	if text := C.ivd_load(cpath); text != nil {
		defer C.free(unsafe.Pointer(text))
		return explain(l.libdir, C.GoString(text))
	}
	l.repairSignals("loading the library")
	if err := os.Unsetenv(libraryPath); err != nil {
		return fmt.Errorf("unset %s: %w", libraryPath, err)
	}
	libdir, cconfig := C.CString(l.libdir), (*C.char)(nil)
	defer C.free(unsafe.Pointer(libdir))
	if config != "" {
		cconfig = C.CString(config)
		defer C.free(unsafe.Pointer(cconfig))
	}
	result := uint64(C.ivd_init(C.uint32_t(l.version.major), C.uint32_t(l.version.minor), libdir, cconfig))
	if result&codeMask != 0 {
		return l.failure("initialise VDDK "+l.version.text, result, "")
	}
	l.repairSignals("InitEx")
	var err error
	if l.done, err = startDispatch(); err != nil {
		return fmt.Errorf("start the binding of VDDK: %w", err)
	}
	l.control, l.access = C.ivd_worker_start(), C.ivd_worker_start()
	if l.control == nil || l.access == nil {
		return errors.New("start the binding of VDDK: no thread to be had")
	}
	return nil
}

// repairSignals logs what it finds: VMware does not say which handlers the
// library installs.
func (l *Library) repairSignals(after string) {
	repaired := uint64(C.ivd_repair_signals())
	for n := syscall.Signal(1); n <= 64; n++ {
		if repaired&(1<<(n-1)) != 0 {
			l.log.Warn("a signal handler without SA_ONSTACK was repaired", "signal", n.String(), "after", after)
		}
	}
}

// Version is the library's, as its file is named: "8.0.3".
func (l *Library) Version() string { return l.version.text }

// SupportsIVD tells whether the library can address a disk of its own: 6.7 and
// newer can.
func (l *Library) SupportsIVD() bool {
	return C.ivd_vix.AllocateConnectParams != nil && C.ivd_vix.FreeConnectParams != nil
}

// TransportModes are those that the library has, the preferred first. Which work
// on this machine shows at Open.
func (l *Library) TransportModes() []string {
	text := C.ivd_list_transport_modes()
	if text == nil {
		return nil
	}
	return strings.Split(C.GoString(text), ":")
}

// Exit ends the library's work. Handles and connections must be closed before;
// where some are not, the library is left as it is, since it would crash.
func (l *Library) Exit() {
	if n := l.open.Load(); n != 0 {
		l.log.Error("VDDK is not ended: handles or connections are open", "open", n)
		return
	}
	C.ivd_worker_stop(l.control)
	C.ivd_worker_stop(l.access)
	C.ivd_exit()
	l.done.stop()
	logger.Store(nil)
}

// failure makes the error of a result, with the library's text for it.
func (l *Library) failure(op string, result uint64, detail string) error {
	text := C.ivd_error_text(C.VixError(result))
	defer C.free(unsafe.Pointer(text))
	return newError(op, result, C.GoString(text), detail)
}

// do has a worker make a call and waits for it. The caller frees the call.
func (l *Library) do(w *C.struct_ivd_worker, call *C.struct_ivd_call, op string) error {
	id, ch := l.done.expect()
	call.id = C.uint64_t(id)
	C.ivd_submit(w, call)
	o := l.done.wait(ch)
	if o.result&codeMask != 0 {
		return l.failure(op, o.result, C.GoString(call.warning))
	}
	return nil
}

// newCall makes a call; text is copied, and absent where empty.
func newCall(op C.int, text string) *C.struct_ivd_call {
	call := C.ivd_call_new(op, 0)
	if call == nil {
		panic("vddk: out of memory")
	}
	if text != "" {
		call.text = C.CString(text)
	}
	return call
}
