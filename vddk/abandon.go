package vddk

import "errors"

// ErrAbandoned is wrapped by the *Error of a call that was given up before the
// library ended it. The error's class is Transient: another process may succeed.
var ErrAbandoned = errors.New("the library did not answer, and the call was given up")

// abandoned returns the error of a call that was given up.
func abandoned(op string) *Error {
	return &Error{Op: op, Name: "abandoned", Text: ErrAbandoned.Error(), Class: Transient, cause: ErrAbandoned}
}

// of sets the call that the error is of.
func (e *Error) of(op string) *Error {
	e.Op = op
	return e
}

// Abandon gives the handle up. It never waits, and may be called at any time, for
// example by a timer:
//
//	defer time.AfterFunc(limit, h.Abandon).Stop()
//
// Calls under way on the handle return ErrAbandoned, and so do later ones; only
// Close then does nothing. The library keeps its handle, its connection, the
// handle's thread, and the buffers that it may still write into: they are never used
// again, nor freed, see Buffer.Lost. A disk that is open for writing stays locked
// until the process ends.
func (h *Handle) Abandon() {
	h.giveUp.Do(func() {
		h.on.keep()
		h.stopping.Lock()
		defer h.stopping.Unlock()
		if h.worker != nil { // else Close has begun: its own call is given up, if it hangs
			h.worker.abandon()
			h.lib.lose("handle of " + h.name)
		}
		close(h.gone) // after lose: whoever is woken finds it counted
		h.lib.done.giveUp(h.gone)
	})
}

// Abandoned returns how many handles, and calls that belong to no handle, were given
// up after the library had begun them. A process with many of them should be
// replaced.
func (l *Library) Abandoned() int { return int(l.lost.Load()) }

func (l *Library) lose(what string) {
	l.lost.Add(1)
	l.log.Error("the library did not answer, its handle or call was given up", "what", what, "given_up", l.lost.Load())
}
