package job_test

import (
	"crypto/ed25519"
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

func signed(t *testing.T) (job.Record, ed25519.PublicKey) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	r := job.Record{
		Version: job.Version, ID: "j1", Run: "r", Disk: "d", Snapshot: "s", Lease: "l", SealedUnder: "l", Incarnation: "i", State: job.Running,
		Attempt: 1, Lost: 1, Mover: "m", Process: "p", Holder: "n", Unable: []job.Unable{{}}, Damaged: []ivd.Damage{{Why: "x"}}, Unread: 1, Transports: []string{"san"}, Refused: []job.Refusal{{}}, Next: 3,
		Pages: []ivd.PageRef{{Page: 1}}, Nodes: []ivd.NodeRef{{Span: 2}}, Batches: 1, Unproven: []ivd.PackID{{1}},
		SealedAt: time.Now().In(time.FixedZone("here", 3600)), Stats: ivd.Stats{ReadBytes: 7}, Failure: &ivd.Failure{Message: "x"},
	}
	if err := r.Sign("m", "p", private); err != nil {
		t.Fatal(err)
	}
	return r, public
}

// A checkpoint stays good while the job goes from one mover to another, on its way
// through the queue, and in no other form.
func TestSignedCheckpoint(t *testing.T) {
	good := map[string]bool{"Lease": true, "Attempt": true, "Lost": true, "Mover": true, "Process": true, "Transports": true, "Refused": true, "Failure": true, "Holder": true, "Unable": true, "Damaged": true, "Unread": true}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[job.Record]()) {
		r, key := signed(t)
		v := reflect.ValueOf(&r).Elem().FieldByIndex(f.Index)
		if v.IsZero() {
			t.Errorf("the test leaves %s empty", f.Name)
		}
		v.SetZero()
		if got := r.SignedWith(key); got != good[f.Name] && f.Name != "State" {
			t.Errorf("%s has changed, and it counts as signed: %v", f.Name, got)
		}
	}
	r, key := signed(t)
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var there job.Record
	if err := json.Unmarshal(text, &there); err != nil || !there.SignedWith(key) {
		t.Errorf("after its way: %v", err)
	}
	there.State = job.Queued
	if !there.SignedWith(key) {
		t.Error("it was handed back, and that counts")
	}
	there.State = job.Done
	if there.SignedWith(key) {
		t.Error("it counts as done, and nobody said so")
	}
	_, other := signed(t)
	if r.SignedWith(other) || r.SignedWith(nil) {
		t.Error("another key is good")
	}
	fresh := job.Record{Version: job.Version, ID: "j", Run: "r", State: job.Running, Attempt: 3, Mover: "m"}
	done := fresh
	done.State = job.Done
	if !fresh.Fresh() || done.Fresh() || r.Fresh() {
		t.Error("what nobody need vouch for")
	}
}
