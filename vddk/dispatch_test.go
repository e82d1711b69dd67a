package vddk

import "testing"

// A number is good for one outcome: what comes twice, or after its call was given
// up, never reaches the call that has the place now.
func TestNumbersAreGoodOnce(t *testing.T) {
	d := &dispatch{}
	first := d.expect()
	id := first.id
	if d.claim(id) != first || d.claim(id) != nil {
		t.Error("an outcome was not taken, or taken twice")
	}
	if d.forget(first) {
		t.Error("forgot a call whose outcome had come")
	}
	first.ch <- outcome{}
	d.await(first)

	second := d.expect()
	if second != first || second.id == id {
		t.Errorf("the place has number %d after %d", second.id, id)
	}
	if d.claim(id) != nil {
		t.Error("a late outcome was taken for the next call")
	}
	if !d.forget(second) || d.claim(second.id) != nil {
		t.Error("an outcome of a call that was given up was taken")
	}
	gone := make(chan struct{})
	close(gone)
	if _, ended := d.awaitUnless(d.expect(), gone); ended {
		t.Error("a call ended by itself")
	}
}
