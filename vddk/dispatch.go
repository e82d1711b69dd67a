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

// outcome is how a call ended, which is the receiver's again.
type outcome struct {
	result  uint64
	call    *C.struct_ivd_call // nil where it was given up
	givenUp bool               // it has not ended, and nothing comes of it any more
}

// waiter is a place at which a call's outcome is waited for. C knows it by number,
// of which one half changes with each call.
type waiter struct {
	id      uint64
	pending bool
	ch      chan outcome
	gone    <-chan struct{}    // of the handle; nil: who waits sees to it
	io      *C.struct_ivd_call // for one read or write after the other; nil: none is made yet
}

// arrival is an outcome on its way to who waits for it.
type arrival struct {
	outcome
	to *waiter
}

// dispatch brings what C has ended to the goroutines that wait for it.
type dispatch struct {
	events  *os.File // the eventfd, in the runtime's poller
	ending  atomic.Bool
	stopped chan struct{}
	arrived []arrival // deliver's

	mu      sync.Mutex
	waiters []*waiter
	free    []*waiter
}

func startDispatch() (*dispatch, error) {
	fd := int(C.ivd_done_fd())
	if fd < 0 {
		return nil, fmt.Errorf("eventfd: %w", syscall.Errno(-fd))
	}
	d := &dispatch{events: os.NewFile(uintptr(fd), "vddk completions"), stopped: make(chan struct{})}
	conn, err := d.events.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	go d.run(conn)
	return d, nil
}

// expect makes a place to wait at. It is given back by await or forget. Once gone
// is closed, and giveUp was called with it, the call counts as given up.
func (d *dispatch) expect(gone <-chan struct{}) *waiter {
	d.mu.Lock()
	defer d.mu.Unlock()
	w := d.place()
	w.pending, w.gone = true, gone
	select {
	case <-gone: // giveUp may have been here already
		w.pending = false
		w.ch <- outcome{givenUp: true}
	default:
	}
	return w
}

// load makes the place's own call one that reads or writes.
func (w *waiter) load(op C.int, handle *C.VixHandle, buf []byte, sector uint64) *C.struct_ivd_call {
	if w.io == nil {
		w.io = newCall(op, "").c
	}
	c := w.io
	c.op, c.id, c.handle = op, C.uint64_t(w.id), handle
	c.buffer, c.sector, c.count = unsafe.Pointer(unsafe.SliceData(buf)), C.uint64_t(sector), C.uint64_t(len(buf)/SectorSize)
	return c
}

func (d *dispatch) place() *waiter {
	n := len(d.free)
	if n == 0 {
		w := &waiter{id: uint64(len(d.waiters)), ch: make(chan outcome, 1)}
		d.waiters = append(d.waiters, w)
		return w
	}
	w := d.free[n-1]
	d.free = d.free[:n-1]
	w.id += 1 << 32
	return w
}

// giveUp ends the calls that are waited for until gone, which is closed. The other
// way, that each of them waits for gone beside its outcome, costs every read.
func (d *dispatch) giveUp(gone <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, w := range d.waiters {
		if w.pending && w.gone == gone {
			w.pending = false
			w.ch <- outcome{givenUp: true} // has room for one
		}
	}
}

// forget gives a place back at which nothing is to come any more. It is false when
// the outcome came in between: then it is to be awaited.
func (d *dispatch) forget(w *waiter) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !w.pending {
		return false
	}
	w.pending = false
	d.free = append(d.free, w)
	return true
}

// await blocks until the call has ended, or was given up, however long that takes:
// until then its buffer is the library's.
func (d *dispatch) await(w *waiter) outcome {
	o := <-w.ch
	d.release(w)
	return o
}

// release gives a place back whose outcome was received.
func (d *dispatch) release(w *waiter) {
	d.mu.Lock()
	d.free = append(d.free, w)
	d.mu.Unlock()
}

// run never reads the eventfd: its poller tells of each write to it, and the
// counter of what was written is of no use.
func (d *dispatch) run(conn syscall.RawConn) {
	defer close(d.stopped)
	err := conn.Read(func(uintptr) bool {
		for oldest := takeEnded(); oldest != nil; oldest = takeEnded() {
			d.deliver(oldest)
		}
		return false
	})
	if !d.ending.Load() {
		panic(fmt.Sprintf("vddk: completions: %v", err))
	}
}

// deliver drops what nobody waits for: calls that were given up while they ended.
// Their memory stays, as that of all such calls. Nobody is woken while the lock is
// held that he needs next, and no call is looked at once it is delivered.
func (d *dispatch) deliver(oldest *C.struct_ivd_call) {
	d.arrived = d.arrived[:0]
	d.mu.Lock()
	for call := oldest; call != nil; call = call.next {
		if w := d.claim(uint64(call.id)); w != nil {
			d.arrived = append(d.arrived, arrival{outcome{result: uint64(call.result), call: call}, w})
		}
	}
	d.mu.Unlock()
	for _, a := range d.arrived {
		a.to.ch <- a.outcome // has room for one
	}
}

// claim takes the place at which a call is waited for; nil when nobody does. With
// mu held.
func (d *dispatch) claim(id uint64) *waiter {
	w := d.waiters[uint32(id)]
	if !w.pending || w.id != id {
		return nil
	}
	w.pending = false
	return w
}

func (d *dispatch) stop() {
	d.ending.Store(true)
	_ = d.events.Close() // an eventfd's close has nothing to say
	<-d.stopped
	for _, w := range d.waiters { // none is waited at any more
		if w.io != nil {
			C.ivd_call_free(w.io)
		}
	}
}
