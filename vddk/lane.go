package vddk

// #include "shim.h"
import "C"

// lane is a thread on which the calls of many goroutines are made, one at a time.
// When a call is given up that the library has begun, the thread is given up with
// it and another takes its place: from then on the library may have two calls at
// once of a kind that VMware wants one at a time. Otherwise a single disk that
// hangs would end all work on the others.
type lane struct {
	lib    *Library
	turn   chan struct{} // has room for one
	worker *worker       // of the goroutine whose turn it is
}

func (l *Library) newLane() (*lane, error) {
	w, err := startWorker()
	if err != nil {
		return nil, err
	}
	return &lane{lib: l, turn: make(chan struct{}, 1), worker: w}, nil
}

func (n *lane) stop() { n.worker.stop() }

// do makes a call and waits until it has ended or gone is closed. The caller frees
// the call in any case, and looks at call.lost before it touches what the call uses.
func (n *lane) do(c *call, op string, gone <-chan struct{}) error {
	select {
	case <-gone:
		return abandoned(op)
	default:
	}
	select {
	case <-gone:
		return abandoned(op)
	case n.turn <- struct{}{}:
		defer func() { <-n.turn }()
	}
	n.lib.done.expect(c, nil)
	n.worker.hand(c)
	select {
	case <-c.ended:
		return n.lib.resultOf(c, op)
	case <-gone:
	}
	if n.lib.done.claim(c.c.id) == nil { // it has ended meanwhile
		<-c.ended
		return n.lib.resultOf(c, op)
	}
	c.lost = true
	n.lib.lose(op)
	// Where no other thread is to be had, this one goes on once it can.
	if next, err := startWorker(); err == nil {
		n.worker.abandon()
		n.worker = next
	}
	return abandoned(op)
}
