package storetest

import (
	"fmt"
	"sync"
	"sync/atomic"
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

func createOnce(t *testing.T, s store.Store) {
	const name = "points/d/20261124T231500Z-r"
	first, second := prepare(t, s, name, []byte("first")), prepare(t, s, name, []byte("second"))
	_, err := s.Stat(t.Context(), name)
	wantKind(t, "stat before send", err, ivd.NotFound)
	if err := first.Send(t.Context()); err != nil {
		t.Fatalf("send: %v", err)
	}
	if got := get(t, s, name); string(got) != "first" {
		t.Fatalf("created: %q", got)
	}
	if !s.Properties().ConditionalCreate {
		return
	}
	wantKind(t, "a second request", second.Send(t.Context()), ivd.Exists)
	wantKind(t, "the same request again", first.Send(t.Context()), ivd.Exists)
	wantKind(t, "one prepared later", prepare(t, s, name, []byte("third")).Send(t.Context()), ivd.Exists)
	put(t, s, "points/d/put", []byte("by put"))
	wantKind(t, "a name that a put took", prepare(t, s, "points/d/put", nil).Send(t.Context()), ivd.Exists)
	if got := get(t, s, name); string(got) != "first" {
		t.Fatalf("after the others: %q", got)
	}
	first.Discard() // safe after Send
	if got := get(t, s, name); string(got) != "first" {
		t.Fatalf("after Discard: %q", got)
	}
}

func createRace(t *testing.T, s store.Store) {
	if !s.Properties().ConditionalCreate {
		return
	}
	const writers = 8
	for round := range 5 {
		name := store.Name(fmt.Sprintf("points/race/%d", round))
		var won atomic.Int32
		var winner atomic.Value
		var wg sync.WaitGroup
		for w := range writers {
			body := fmt.Sprintf("writer %d", w)
			p := prepare(t, s, name, []byte(body))
			wg.Go(func() {
				switch err := p.Send(t.Context()); {
				case err == nil:
					won.Add(1)
					winner.Store(body)
				case ivd.KindOf(err) != ivd.Exists && ivd.KindOf(err) != ivd.Conflict:
					t.Errorf("lost with %v", err)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 {
			t.Fatalf("%d writers created %s, want 1", won.Load(), name)
		}
		if got := get(t, s, name); string(got) != winner.Load() {
			t.Fatalf("created %q, told %q", got, winner.Load())
		}
	}
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

// createLate waits, by the store's clock, until a prepared request is dead.
func createLate(t *testing.T, s store.Store) {
	p, err := s.Prepare(t.Context(), lease, "points/d/late", []byte("x"), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Discard()
	secondsPass(t, s)
	wantKind(t, "a late send", p.Send(t.Context()), ivd.Expired)
	_, err = s.Stat(t.Context(), "points/d/late")
	wantKind(t, "stat", err, ivd.NotFound)
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
