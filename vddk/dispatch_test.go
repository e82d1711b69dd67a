package vddk

import "testing"

// A number is good for one outcome: what comes twice, or after its call was given
// up, never reaches the call that has the place now.
func TestNumbersAreGoodOnce(t *testing.T) {
	d := &dispatch{}
	first := d.expect(nil)
	id := first.id
	if d.claim(id) != first || d.claim(id) != nil {
		t.Error("an outcome was not taken, or taken twice")
	}
	if d.forget(first) {
		t.Error("forgot a call whose outcome had come")
	}
	first.ch <- outcome{}
	d.await(first)

	second := d.expect(nil)
	if second != first || second.id == id {
		t.Errorf("the place has number %d after %d", second.id, id)
	}
	if d.claim(id) != nil {
		t.Error("a late outcome was taken for the next call")
	}
	if !d.forget(second) || d.claim(second.id) != nil {
		t.Error("an outcome of a call that was given up was taken")
	}
}

// What is waited for until something is gone ends with it, whether the wait began
// before or after; nothing else does, and no outcome arrives any more.
func TestGivenUp(t *testing.T) {
	d := &dispatch{}
	gone, other := make(chan struct{}), make(chan struct{})
	before, neighbour, none := d.expect(gone), d.expect(other), d.expect(nil)
	close(gone)
	d.giveUp(gone)
	after := d.expect(gone)
	for _, w := range []*waiter{before, after} {
		if d.claim(w.id) != nil || d.forget(w) {
			t.Error("a call that was given up can still end")
		}
		if !d.await(w).givenUp {
			t.Error("a call was not given up")
		}
	}
	d.giveUp(gone)
	if d.claim(neighbour.id) != neighbour || d.claim(none.id) != none {
		t.Error("others were given up as well")
	}
}
