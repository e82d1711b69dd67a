package vddk

// #include "shim.h"
import "C"

import (
	"errors"
	"fmt"
	"os"
	"sync"
)

// outcome is how a call ended. Its call is the receiver's to free, unless nil.
type outcome struct {
	result uint64
	call   *C.struct_ivd_call
}

// dispatch brings what C has ended to the goroutines that wait for it. C knows
// the waiters by number.
type dispatch struct {
	events  *os.File // the eventfd, in the runtime's poller
	stopped chan struct{}

	mu      sync.Mutex
	last    uint64
	waiting map[uint64]chan outcome
}

var channels = sync.Pool{New: func() any { return make(chan outcome, 1) }}

func startDispatch() (*dispatch, error) {
	fd := int(C.ivd_done_fd())
	if fd < 0 {
		return nil, fmt.Errorf("eventfd: error %d", -fd)
	}
	d := &dispatch{
		events:  os.NewFile(uintptr(fd), "vddk completions"),
		stopped: make(chan struct{}),
		waiting: make(map[uint64]chan outcome),
	}
	go d.run()
	return d, nil
}

// expect makes a number for a call and the channel on which its outcome comes.
func (d *dispatch) expect() (uint64, chan outcome) {
	ch := channels.Get().(chan outcome)
	d.mu.Lock()
	d.last++
	id := d.last
	d.waiting[id] = ch
	d.mu.Unlock()
	return id, ch
}

func (d *dispatch) forget(id uint64) {
	d.mu.Lock()
	delete(d.waiting, id)
	d.mu.Unlock()
}

// wait blocks until the call has ended, however long that takes: until then its
// buffer is the library's.
func (d *dispatch) wait(ch chan outcome) outcome {
	o := <-ch
	channels.Put(ch)
	return o
}

func (d *dispatch) run() {
	defer close(d.stopped)
	var count [8]byte
	var done [64]C.struct_ivd_done
	for {
		if _, err := d.events.Read(count[:]); err != nil {
			if !errors.Is(err, os.ErrClosed) {
				panic(fmt.Sprintf("vddk: completions: %v", err))
			}
			return
		}
		for {
			n := int(C.ivd_take(&done[0], C.int(len(done))))
			d.deliver(done[:n])
			if n < len(done) {
				break
			}
		}
	}
}

func (d *dispatch) deliver(done []C.struct_ivd_done) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, o := range done {
		id := uint64(o.id)
		d.waiting[id] <- outcome{result: uint64(o.result), call: o.call} // has room for one
		delete(d.waiting, id)
	}
}

func (d *dispatch) stop() {
	_ = d.events.Close() // an eventfd's close has nothing to say
	<-d.stopped
}
