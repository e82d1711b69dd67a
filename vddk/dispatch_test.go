package vddk

import "testing"

// A call ends once: an end that comes twice, or after the call was given up, tells
// nobody.
func TestCallsEndOnce(t *testing.T) {
	d := &dispatch{}
	defer d.freeCalls()
	first := d.take()
	d.expect(first, nil)
	if d.claim(first.c.id) != first || d.claim(first.c.id) != nil {
		t.Error("an end was not taken, or taken twice")
	}
	d.put(first)

	second := d.take()
	if second != first {
		t.Error("a call that was given back is not used again")
	}
	if d.claim(second.c.id) != nil {
		t.Error("the end of the call before was taken for that of the next")
	}
	d.expect(second, nil)
	if other := d.take(); other == second || d.claim(other.c.id) != nil {
		t.Error("a call under way was given out again")
	}
}

// What is expected until a channel is closed is given up with it, and what comes
// later is refused; nothing else is, and no end arrives any more.
func TestGivenUp(t *testing.T) {
	d := &dispatch{}
	defer d.freeCalls()
	gone, other := make(chan struct{}), make(chan struct{})
	expect := func(until chan struct{}) *call {
		c := d.take()
		if !d.expect(c, until) {
			t.Fatal("a call was refused")
		}
		return c
	}
	before, neighbour, none := expect(gone), expect(other), expect(nil)
	close(gone)
	d.giveUp(gone)
	if d.claim(before.c.id) != nil {
		t.Error("a call that was given up can still end")
	}
	if <-before.ended {
		t.Error("a call was not given up")
	}
	if d.expect(d.take(), gone) {
		t.Error("a call was begun on what was given up")
	}
	d.giveUp(gone)
	if d.claim(neighbour.c.id) != neighbour || d.claim(none.c.id) != none {
		t.Error("others were given up as well")
	}
}
