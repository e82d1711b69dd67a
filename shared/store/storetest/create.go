package storetest

import (
	"testing"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/store"
)

func prepare(t *testing.T, s store.Store, name store.Name, body []byte) store.Pending {
	t.Helper()
	p, err := s.Prepare(t.Context(), lease, name, body, time.Minute)
	if err != nil {
		t.Fatalf("prepare %s: %v", name, err)
	}
	t.Cleanup(p.Discard)
	return p
}

func createDiscarded(t *testing.T, s store.Store) {
	p := prepare(t, s, "points/d/never", []byte("x"))
	p.Discard()
	p.Discard()
	wantKind(t, "send after discard", p.Send(t.Context()), ivd.Expired)
	_, err := s.Stat(t.Context(), "points/d/never")
	wantKind(t, "stat", err, ivd.NotFound)
	if got := names(t, s, ""); len(got) != 0 {
		t.Errorf("objects after a discard: %v", got)
	}
}

// secondsPass waits until a request that was prepared for a second is dead, by the
// store's clock.
func secondsPass(t *testing.T, s store.Store) {
	t.Helper()
	put(t, s, "leases/l", nil)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var start time.Time
	for range tick.C {
		o, err := s.Get(t.Context(), "leases/l", 1)
		if err != nil {
			t.Fatal(err)
		}
		if start.IsZero() {
			start = o.Now
		}
		if o.Now.Sub(start) >= 3*time.Second { // dates are cut to whole seconds
			return
		}
	}
}

// revoke ends what was prepared for a lease, and nothing else. A service whose requests
// expire by themselves need not do more than wait for that.
func revoke(t *testing.T, s store.Store) {
	if err := s.Revoke(t.Context(), "5f0c1b1e-0000-4000-8000-000000000009"); err != nil {
		t.Fatalf("a lease that has prepared nothing: %v", err)
	}
	p, err := s.Prepare(t.Context(), lease, "points/d/revoked", []byte("x"), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Discard()
	other, err := s.Prepare(t.Context(), "5f0c1b1e-0000-4000-8000-000000000002", "points/d/other", []byte("x"), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Discard()
	secondsPass(t, s) // the lease's deadline is behind what was prepared for it
	if err := s.Revoke(t.Context(), lease); err != nil {
		t.Fatal(err)
	}
	wantKind(t, "send after it was revoked", p.Send(t.Context()), ivd.Expired)
	if err := other.Send(t.Context()); err != nil {
		t.Errorf("another lease's: %v", err)
	}
	if got := names(t, s, ""); len(got) != 2 || got[0] != "leases/l" || got[1] != "points/d/other" {
		t.Errorf("objects: %v", got)
	}
	// The lease may prepare again; whether it still stands is not the store's to judge.
	prepare(t, s, "points/d/again", []byte("x")).Discard()
}

func replaceRefused(t *testing.T, s store.Store) {
	err := s.Replace(t.Context(), store.Object{Info: store.Info{Name: "../x"}, Version: "v"}, nil)
	wantKind(t, "replace a bad name", err, ivd.Invalid)
}
