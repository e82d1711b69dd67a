package vddk

// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"errors"
	"strings"
	"sync"
)

// call is one call into the library that is no I/O.
type call struct {
	c    *C.struct_ivd_call
	lost bool
}

// newCall makes a call; text is copied, and NULL where empty.
func newCall(op C.int, text string) *call {
	c := C.ivd_call_new(op, 0)
	if c == nil {
		panic("vddk: out of memory")
	}
	if text != "" {
		c.text = C.CString(text)
	}
	return &call{c: c}
}

// free does nothing to a call that the library has kept.
func (c *call) free() {
	if !c.lost {
		C.ivd_call_free(c.c)
	}
}

// lane is a thread on which the calls of many are made, one at a time. When a call
// on it is given up that the library has begun, the thread is given up with it and
// another takes the lane over: from then on the library may have two calls at once
// of a kind that VMware wants one at a time. The other choice would be that one
// disk that hangs ends all work on the others.
type lane struct {
	lib    *Library
	mu     sync.Mutex // never held for long
	worker *C.struct_ivd_worker
}

func (l *Library) newLane() (*lane, error) {
	w := C.ivd_worker_start()
	if w == nil {
		return nil, errors.New("start the binding of VDDK: no thread to be had")
	}
	return &lane{lib: l, worker: w}, nil
}

func (n *lane) stop() { C.ivd_worker_stop(n.worker) }

// do makes a call and waits for it, or until gone is closed. The caller frees the
// call in any case, and looks at call.lost before it touches what the call uses.
func (n *lane) do(c *call, op string, gone <-chan struct{}) error {
	select {
	case <-gone:
		return abandoned(op)
	default:
	}
	d := n.lib.done
	w := d.expect(nil)
	c.c.id = C.uint64_t(w.id)
	n.mu.Lock()
	C.ivd_submit(n.worker, c.c)
	n.mu.Unlock()
	select {
	case o := <-w.ch:
		d.release(w)
		return n.lib.resultOf(o, op)
	case <-gone:
	}
	n.mu.Lock()
	state := C.ivd_withdraw(&n.worker, c.c)
	n.mu.Unlock()
	switch state {
	case C.IVD_ENDED:
		return n.lib.resultOf(d.await(w), op)
	case C.IVD_UNDER_WAY:
		c.lost = true
		n.lib.lose(op)
	}
	d.forget(w)
	return abandoned(op)
}

// resultOf makes the error of an outcome. It frees nothing.
func (l *Library) resultOf(o outcome, op string) error {
	if o.result&codeMask == 0 {
		return nil
	}
	return l.failure(op, o.result, textOf(o.call.warning))
}

func textOf(s *C.char) string {
	if s == nil {
		return ""
	}
	return C.GoString(s)
}

// zero tells whether a text would reach the library shortened.
func zero(texts ...string) bool {
	for _, s := range texts {
		if strings.ContainsRune(s, 0) {
			return true
		}
	}
	return false
}
