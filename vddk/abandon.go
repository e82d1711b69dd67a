package vddk

import "errors"

// ErrAbandoned is what a call returns that was given up before the library ended
// it. Its *Error is of class Transient: another process may fare better.
var ErrAbandoned = errors.New("the library did not answer, and the call was given up")

// abandoned is the error of such a call.
func abandoned(op string) *Error {
	return &Error{Op: op, Name: "abandoned", Text: ErrAbandoned.Error(), Class: Transient, cause: ErrAbandoned}
}

// of gives an error its call.
func (e *Error) of(op string) *Error {
	e.Op = op
	return e
}

// Abandon gives the handle up. It never waits, and may be called at any time, as a
// timer's function:
//
//	defer time.AfterFunc(limit, h.Abandon).Stop()
//
// What is under way on the handle returns an error that is ErrAbandoned, and so
// does whatever is called later, but Close, which does nothing. The library keeps
// its handle, its connection, the thread that is inside it, and the buffers that
// it may still write into: they are never used again, nor freed, see Buffer.Lost.
// A disk that is held for writing stays so until the process ends.
func (h *Handle) Abandon() {
	h.giveUp.Do(func() {
		h.on.keep()
		h.stopping.Lock()
		defer h.stopping.Unlock()
		if h.worker != nil { // else Close has begun: its own call is given up, if it hangs
			h.worker.abandon()
			h.lib.lose("handle of " + h.name)
		}
		close(h.gone) // who waits sees it counted
		h.lib.done.giveUp(h.gone)
	})
}

// Abandoned is how often something was given up that the library had begun, and
// will not give back: handles, and calls that belong to no handle. A process with
// many of them should be replaced.
func (l *Library) Abandoned() int { return int(l.lost.Load()) }

func (l *Library) lose(what string) {
	l.lost.Add(1)
	l.log.Error("the library did not answer, and was given up", "what", what, "given_up", l.lost.Load())
}
