package meter_test

import (
	"context"
	"reflect"
	"testing"
	"time"

	"ivdmover/shared/store"
	"ivdmover/shared/store/dir"
	"ivdmover/shared/store/faults"
	"ivdmover/shared/store/limit"
	"ivdmover/shared/store/meter"
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
	storetest.Run(t, func(t *testing.T) store.Store { return meter.New(folder(t)) })
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func drain(ctx context.Context, s store.Store) (err error) {
	for _, err = range s.List(ctx, "") {
	}
	return err
}

func TestRequestsAreCounted(t *testing.T) {
	ctx := t.Context()
	inner := faults.New(t, folder(t),
		faults.Fault{On: faults.Put, Prefix: "bad", Before: faults.ErrInjected},
		faults.Fault{On: faults.List, Call: 4, Before: faults.ErrInjected})
	inner.ListPage = 2
	s := meter.New(inner)
	for _, name := range []store.Name{"a", "b", "c", "d"} {
		must(t, s.Put(ctx, name, make([]byte, 10)))
	}
	if s.Put(ctx, "bad", make([]byte, 1000)) == nil {
		t.Fatal("no fault")
	}
	o, err := s.Get(ctx, "a", 100)
	must(t, err)
	must(t, s.ReadAt(ctx, "a", make([]byte, 3), 1))
	must(t, s.Replace(ctx, o, make([]byte, 5)))
	if _, err := s.Stat(ctx, "absent"); err == nil {
		t.Fatal("it is there")
	}
	p, err := s.Prepare(ctx, "l", "a", make([]byte, 7), time.Minute)
	must(t, err)
	if p.Send(ctx) == nil {
		t.Fatal("created twice")
	}
	p.Discard()
	p, err = s.Prepare(ctx, "l", "e", make([]byte, 7), time.Minute)
	must(t, err)
	must(t, p.Send(ctx))
	must(t, drain(ctx, s))                // five objects: three pages
	for _, err := range s.List(ctx, "") { // one
		must(t, err)
		break
	}
	must(t, s.Delete(ctx, "a"))
	must(t, drain(ctx, s)) // four: two
	if drain(ctx, s) == nil {
		t.Fatal("no fault")
	}
	want := meter.Counts{
		meter.Put:    {Requests: 8, Errors: 1, Bytes: 52},
		meter.Get:    {Requests: 2, Bytes: 13},
		meter.Head:   {Requests: 1},
		meter.List:   {Requests: 7, Errors: 1},
		meter.Delete: {Requests: 1},
	}
	for _, s := range []store.Store{s, limit.New(s, limit.Table{})} {
		if got := meter.Of(s); !reflect.DeepEqual(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	}
	if meter.Of(inner) != nil {
		t.Error("counts of a store that nobody counts")
	}
}
