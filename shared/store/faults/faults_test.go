package faults_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/store"
	"ivdmover/shared/store/dir"
	"ivdmover/shared/store/faults"
	"ivdmover/shared/store/storetest"
)

func folder(t *testing.T) store.Store {
	t.Helper()
	s, err := dir.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return faults.New(t, folder(t)) })
}

func TestFaultsHappenAsScripted(t *testing.T) {
	ctx := t.Context()
	lost := errors.New("answer lost")
	var called []store.Name
	s := faults.New(t, folder(t),
		faults.Fault{On: faults.Put, Prefix: "data/", Call: 2, Before: faults.ErrInjected},
		faults.Fault{On: faults.Put, Prefix: "data/", Call: 3, After: lost},
		faults.Fault{On: faults.Get, Times: faults.Always, Do: func(n store.Name) { called = append(called, n) }},
		faults.Fault{On: faults.Send, After: lost},
		faults.Fault{On: faults.List, Prefix: "data", After: lost},
	)
	for i, want := range []error{nil, nil, faults.ErrInjected, lost, nil} {
		name := store.Name([]string{"x", "data/1", "data/2", "data/3", "data/4"}[i])
		if err := s.Put(ctx, name, []byte("b")); !errors.Is(err, want) {
			t.Errorf("put %s: %v, want %v", name, err, want)
		}
	}
	for name, want := range map[store.Name]ivd.Kind{"data/2": ivd.NotFound, "data/3": ivd.Unknown} {
		if _, err := s.Get(ctx, name, 1); ivd.KindOf(err) != want {
			t.Errorf("get %s: %v", name, err)
		}
	}
	if len(called) != 2 || s.Calls(faults.Get) != 2 || s.Calls(faults.Put) != 5 {
		t.Errorf("callbacks %v, gets %d, puts %d", called, s.Calls(faults.Get), s.Calls(faults.Put))
	}
	p, err := s.Prepare(ctx, "l", "points/a", nil, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Send(ctx); !errors.Is(err, lost) {
		t.Errorf("send: %v", err)
	}
	if _, err := s.Stat(ctx, "points/a"); err != nil {
		t.Errorf("what was sent did not happen: %v", err)
	}
	n, last := 0, error(nil)
	for _, err := range s.List(ctx, "data/") {
		n++
		last = err
	}
	if n != 4 || !errors.Is(last, lost) {
		t.Errorf("list: %d entries, %v", n, last)
	}
}

func TestUnusedFaultsAreTold(t *testing.T) {
	var inner recorder
	s := faults.New(&inner, folder(t), faults.Fault{On: faults.Put, Call: 2, Before: faults.ErrInjected})
	if err := s.Put(t.Context(), "a", nil); err != nil {
		t.Fatal(err)
	}
	inner.end()
	if inner.failures != 1 {
		t.Errorf("%d failures, want 1", inner.failures)
	}
}

func TestDelayEndsWithItsContext(t *testing.T) {
	s := faults.New(t, folder(t), faults.Fault{On: faults.Put, Delay: time.Hour})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := s.Put(ctx, "a", nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("put: %v", err)
	}
}

// recorder is a test that is allowed to fail.
type recorder struct {
	testing.TB
	cleanups []func()
	failures int
}

func (r *recorder) Cleanup(f func())      { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Errorf(string, ...any) { r.failures++ }
func (r *recorder) end() {
	for _, f := range r.cleanups {
		f()
	}
}
