package vddk

// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"strings"
)

// call is one call into the library. It is used again for another once it is freed.
type call struct {
	home  *dispatch
	c     *C.struct_ivd_call
	ended chan bool // has room for one: true when the call has ended, false when it was given up
	lost  bool      // given up while the library had it, and the library's for ever

	// Under the mutex of dispatch:
	pending bool            // handed over, and neither ended nor given up
	until   <-chan struct{} // given up when this is closed and dispatch.giveUp called
}

// newCall prepares a call that is neither a read nor a write. text is copied, and
// NULL where it is empty.
func (l *Library) newCall(op C.int, text string) *call {
	c := l.done.take()
	c.c.op = op
	if text != "" {
		c.c.text = C.CString(text)
	}
	return c
}

// free does nothing to a call that the library has kept.
func (c *call) free() {
	if !c.lost {
		C.ivd_call_release(c.c)
		c.home.put(c)
	}
}

// resultOf returns the error of a call that has ended.
func (l *Library) resultOf(c *call, op string) error {
	if result := uint64(c.c.result); result&codeMask != 0 {
		return l.failure(op, result, textOf(c.c.warning))
	}
	return nil
}

func textOf(s *C.char) string {
	if s == nil {
		return ""
	}
	return C.GoString(s)
}

// zero reports whether one of the texts has a zero byte: the library would see it
// shortened.
func zero(texts ...string) bool {
	for _, s := range texts {
		if strings.ContainsRune(s, 0) {
			return true
		}
	}
	return false
}
