package vddk

// #include "shim.h"
import "C"

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"
)

// dispatch keeps all calls, and tells each goroutine that waits for one when it
// has ended.
type dispatch struct {
	pipe    *os.File // of what has ended, in the runtime's poller
	ending  atomic.Bool
	stopped chan struct{}

	mu    sync.Mutex
	calls []*call // by their ids
	free  []*call
}

func startDispatch() (*dispatch, error) {
	fd := int(C.ivd_open_ended())
	if fd < 0 {
		return nil, fmt.Errorf("pipe: %w", syscall.Errno(-fd))
	}
	d := &dispatch{pipe: os.NewFile(uintptr(fd), "ended calls of VDDK"), stopped: make(chan struct{})}
	conn, err := d.pipe.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("pipe: %w", err)
	}
	go d.run(conn)
	return d, nil
}

// take returns a call that nobody uses, all zero but for its id.
func (d *dispatch) take() *call {
	d.mu.Lock()
	defer d.mu.Unlock()
	if n := len(d.free); n > 0 {
		c := d.free[n-1]
		d.free = d.free[:n-1]
		return c
	}
	c := &call{home: d, c: C.ivd_call_new(C.uint64_t(len(d.calls))), ended: make(chan bool, 1)}
	if c.c == nil {
		panic("vddk: out of memory")
	}
	d.calls = append(d.calls, c)
	return c
}

// put gives back a call of which nothing is left to be freed.
func (d *dispatch) put(c *call) {
	*c.c = C.struct_ivd_call{id: c.c.id}
	d.mu.Lock()
	d.free = append(d.free, c)
	d.mu.Unlock()
}

// expect must come before a call is handed over. From then on c.ended receives
// once: when the call has ended, or when until was closed and giveUp called. It
// reports false, and expects nothing, when until is closed already.
func (d *dispatch) expect(c *call, until <-chan struct{}) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	select {
	case <-until:
		return false
	default:
		c.pending, c.until = true, until
		return true
	}
}

// giveUp ends the wait for all calls that are expected until a channel is closed,
// as it is now. A select of both channels for each read would cost every read.
func (d *dispatch) giveUp(until <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.calls {
		if c.pending && c.until == until {
			c.pending = false
			c.ended <- false
		}
	}
}

// claim returns the call of an id, which is then pending no more; nil when it was
// not pending. Who claims a call decides how it ended.
func (d *dispatch) claim(id C.uint64_t) *call {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.calls[id]
	if !c.pending {
		return nil
	}
	c.pending = false
	return c
}

// run reads from the pipe with bare system calls, see call.c.
func (d *dispatch) run(conn syscall.RawConn) {
	defer close(d.stopped)
	var batch [64]*C.struct_ivd_call
	const each = unsafe.Sizeof(batch[0])
	err := conn.Read(func(fd uintptr) bool {
		for full := true; full; {
			n, _, errno := syscall.RawSyscall(syscall.SYS_READ, fd, uintptr(unsafe.Pointer(&batch)), unsafe.Sizeof(batch))
			if errno == syscall.EAGAIN {
				return false
			}
			if errno != 0 {
				panic(fmt.Sprintf("vddk: read of ended calls: %v", errno))
			}
			for _, ended := range batch[:n/each] {
				if c := d.claim(ended.id); c != nil { // else it was given up
					c.ended <- true
				}
			}
			full = n == unsafe.Sizeof(batch)
		}
		return false // the poller tells when there is more
	})
	if !d.ending.Load() {
		panic(fmt.Sprintf("vddk: ended calls: %v", err))
	}
}

// stop ends the goroutine and frees all calls. None may be under way.
func (d *dispatch) stop() {
	d.ending.Store(true)
	_ = d.pipe.Close() // nothing was written to it
	<-d.stopped
	d.freeCalls()
}

func (d *dispatch) freeCalls() {
	for _, c := range d.calls {
		C.ivd_call_free(c.c)
	}
}
