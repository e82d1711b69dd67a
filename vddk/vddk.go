// Package vddk is a binding of libvixDiskLib, the library of VMware's Virtual Disk
// Development Kit, for First Class Disks (IVD, FCD) and local files. The library is
// loaded at run time; nothing of it is needed to build.
//
// It keeps the library's rules, so that callers need not know them: InitEx once,
// on the main thread; every other call on a C thread made after it; connections,
// Open and Close on one thread, one at a time; a thread for each handle, which
// starts asynchronous reads and writes only, several in flight, and waits for them
// before Flush and Close; memory outside Go's heap. Any goroutine may call any
// method at any time.
//
// A call blocks until the library has ended it. It cannot be cancelled, since until
// then the library may write into the caller's buffer. A call that hangs can be
// given up (Handle.Abandon, the contexts of Connect and Open): the library keeps
// what the call uses, and other calls go on. A panic of the library ends the
// process, so it should have one of its own.
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
	"path/filepath"
	"slices"
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
	folder  string // where the library's file is
	version version
	log     *slog.Logger
	done    *dispatch
	control *lane // ConnectEx, Open, Close, Disconnect
	access  *lane // PrepareForAccess, EndAccess, Cleanup, which take long
	words   *lane // GetErrorText, ListTransportModes, which take no time
	modes   []string
	maker   string
	audit   sync.Once
	open    atomic.Int64 // connections and handles
	lost    atomic.Int64 // handles and calls that were given up

	mu    sync.Mutex
	texts map[uint64]string // the library's words for a code
}

var loaded atomic.Bool

// Load loads and initialises the library. It must run on the process's main
// thread (runtime.LockOSThread in an init function, Load from main), in a process
// that was started with Environment(libdir), and once. A *LoadError says what is
// wrong with the folder, an *Error what InitEx did not like.
//
// Implements: VixError VixDiskLib_InitEx(uint32 majorVersion, uint32 minorVersion, VixDiskLibGenericLogFunc *log, VixDiskLibGenericLogFunc *warn, VixDiskLibGenericLogFunc *panic, const char *libDir, const char *configFile)
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
	if err := checkConfig(o); err != nil {
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
	// process, unless the signal is listened for. Child processes would inherit
	// that it is ignored.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	logger.Store(o.Log)
	l := &Library{libdir: o.LibDir, folder: filepath.Dir(path), version: v, log: o.Log, texts: make(map[uint64]string)}
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
		warning := C.ivd_take_warning()
		defer C.free(unsafe.Pointer(warning))
		return newError("initialise VDDK "+l.version.text, result, "", textOf(warning))
	}
	if line := madeBy.Load(); line != nil {
		l.maker = *line
	}
	l.repairSignals("InitEx")
	return l.startThreads()
}

// startThreads comes after InitEx, as the threads that call the library must.
func (l *Library) startThreads() (err error) {
	if l.done, err = startDispatch(); err != nil {
		return fmt.Errorf("start the binding of VDDK: %w", err)
	}
	for _, lane := range []**lane{&l.control, &l.access, &l.words} {
		if *lane, err = l.newLane(); err != nil {
			return err
		}
	}
	c := l.newCall(C.IVD_MODES, "")
	defer c.free()
	if err := l.words.do(c, "list transport modes", nil); err != nil {
		return err
	}
	if c.c.out != nil {
		l.modes = strings.Split(C.GoString(c.c.out), ":")
	}
	return nil
}

// repairSignals logs each handler that it repairs: VMware does not say which ones
// the library installs.
func (l *Library) repairSignals(after string) {
	repaired := uint64(C.ivd_repair_signals())
	for n := syscall.Signal(1); n <= 64; n++ {
		if repaired&(1<<(n-1)) != 0 {
			l.log.Warn("a signal handler without SA_ONSTACK was repaired", "signal", n.String(), "after", after)
		}
	}
}

// Version returns the library's version as its file is named: "8.0.3".
func (l *Library) Version() string { return l.version.text }

// SupportsIVD reports whether the library can address First Class Disks, as 6.7 and
// newer can.
func (l *Library) SupportsIVD() bool {
	return C.ivd_vix.AllocateConnectParams != nil && C.ivd_vix.FreeConnectParams != nil
}

// Missing returns the functions that the library does not have and the binding can do
// without, without their prefix: "PrepareForAccess".
func (l *Library) Missing() (names []string) {
	for place := C.int(0); ; place++ {
		var name *C.char
		has := C.ivd_optional(place, &name)
		if has < 0 {
			return names
		}
		if has == 0 {
			names = append(names, C.GoString(name))
		}
	}
}

// Maker returns how the library named itself when it was initialised, as VMware's does:
// "VMware VixDiskLib (8.0.3) Release build-23950268"; empty where it did not.
func (l *Library) Maker() string { return l.maker }

// CheckIVD returns nil, or why the library cannot address First Class Disks.
func (l *Library) CheckIVD() error {
	if l.SupportsIVD() {
		return nil
	}
	e := &LoadError{
		LibDir: l.libdir, Err: fmt.Errorf("VDDK %s cannot address disks of their own: it has no VixDiskLib_%s", l.version.text, l.lacksForIVD()),
		Remedy: "take a library that has this function, as VMware's have since 6.7",
	}
	if v := l.version; v.major < 6 || v.major == 6 && v.minor < 7 {
		e.Remedy = "install VDDK 6.7 or newer"
	}
	return e
}

func (l *Library) lacksForIVD() string {
	if C.ivd_vix.AllocateConnectParams == nil {
		return "AllocateConnectParams"
	}
	return "FreeConnectParams"
}

// TransportModes returns the modes that the library has, the preferred first; none
// where it does not tell. Which of them work on this machine only Open shows.
//
// Implements: const char *VixDiskLib_ListTransportModes(void)
func (l *Library) TransportModes() []string { return slices.Clone(l.modes) }

// Exit shuts the library down. Handles and connections must be closed before. Where
// some are not, or were given up, Exit only logs an error: the library would crash.
//
// Implements: void VixDiskLib_Exit(void)
func (l *Library) Exit() {
	if n, lost := l.open.Load(), l.Abandoned(); n != 0 || lost != 0 {
		l.log.Error("shutting down VDDK failed: handles or connections are open", "open", n, "given_up", lost)
		return
	}
	for _, lane := range []*lane{l.control, l.access, l.words} {
		lane.stop()
	}
	C.ivd_exit()
	l.done.stop()
	logger.Store(nil)
}

// failure returns the error of a result that is not VIX_OK, with the library's text
// for it.
//
// Implements: char *VixDiskLib_GetErrorText(VixError err, const char *locale), void VixDiskLib_FreeErrorText(char *errMsg)
func (l *Library) failure(op string, result uint64, detail string) error {
	return newError(op, result, l.text(result&codeMask), detail)
}

func (l *Library) text(code uint64) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	text, ok := l.texts[code]
	if ok {
		return text
	}
	c := l.newCall(C.IVD_TEXT, "")
	defer c.free()
	c.c.sector = C.uint64_t(code)
	if err := l.words.do(c, "text of an error", nil); err == nil {
		text = textOf(c.c.out)
	}
	l.texts[code] = text
	return text
}
