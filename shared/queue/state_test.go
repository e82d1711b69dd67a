package queue_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/queue"
)

type counter struct {
	Version int    `json:"version"`
	N       int    `json:"n"`
	Fill    []byte `json:"fill,omitempty"`
}

func TestStateChangesByCompareAndSwap(t *testing.T) {
	b := newHouse(t).connect(queue.Options{}).State()
	ctx := within(t, 20*time.Second)
	_, _, err := queue.Get[counter](ctx, b, "c.one")
	wantKind(t, err, ivd.NotFound)

	first, err := b.Create(ctx, "c.one", counter{N: 1})
	must(t, err)
	_, err = b.Create(ctx, "c.one", counter{N: 2})
	wantKind(t, err, ivd.Exists)
	second, err := b.Update(ctx, "c.one", counter{N: 3}, first)
	must(t, err)
	_, err = b.Update(ctx, "c.one", counter{N: 4}, first)
	wantKind(t, err, ivd.Conflict)
	_, err = b.Update(ctx, "c.none", counter{N: 4}, first)
	wantKind(t, err, ivd.Conflict)
	c, rev, err := queue.Get[counter](ctx, b, "c.one")
	must(t, err)
	if rev != second || c.N != 3 {
		t.Fatalf("read %d at %d, want 3 at %d", c.N, rev, second)
	}

	wantKind(t, b.DeleteAt(ctx, "c.one", first), ivd.Conflict)
	must(t, b.DeleteAt(ctx, "c.one", second))
	must(t, b.Delete(ctx, "c.one"))  // again
	must(t, b.Delete(ctx, "c.none")) // never there
	_, _, err = queue.Get[counter](ctx, b, "c.one")
	wantKind(t, err, ivd.NotFound)
	_, err = b.Create(ctx, "c.one", counter{N: 5})
	must(t, err)
	must(t, b.Delete(ctx, "c.one"))
	_, err = b.Create(ctx, "c.one", counter{N: 6})
	must(t, err)
}

func TestStateRefusesBadKeysAndValues(t *testing.T) {
	b := newHouse(t).connect(queue.Options{}).State()
	ctx := within(t, 20*time.Second)
	for _, key := range []string{"", "a.*", "a.>", ".a", "a.", "a..b", "a b"} {
		_, err := b.Put(ctx, key, counter{})
		wantKind(t, err, ivd.Invalid)
		_, _, err = queue.Get[counter](ctx, b, key)
		wantKind(t, err, ivd.Invalid)
		wantKind(t, b.Delete(ctx, key), ivd.Invalid)
	}
	_, err := b.Put(ctx, "a", func() {})
	wantKind(t, err, ivd.Invalid)
	_, err = b.Put(ctx, "a", strings.Repeat("x", queue.MaxValue))
	wantKind(t, err, ivd.Invalid)
	wantKind(t, b.DeletePrefix(ctx, ""), ivd.Invalid)
}

func TestManyWritersLoseNoUpdate(t *testing.T) {
	h := newHouse(t)
	ctx := within(t, 60*time.Second)
	const writers, each = 8, 10
	_, err := h.connect(queue.Options{}).State().Create(ctx, "race", counter{})
	must(t, err)
	var all sync.WaitGroup
	errs := make(chan error, writers)
	for range writers {
		b := h.connect(queue.Options{}).State()
		all.Go(func() {
			for done := 0; done < each; {
				c, rev, err := queue.Get[counter](ctx, b, "race")
				if err == nil {
					c.N++
					_, err = b.Update(ctx, "race", c, rev)
				}
				switch {
				case err == nil:
					done++
				case ivd.KindOf(err) != ivd.Conflict:
					errs <- err
					return
				}
			}
		})
	}
	all.Wait()
	close(errs)
	must(t, errors.Join(<-errs))
	c, _, err := queue.Get[counter](ctx, h.connect(queue.Options{}).State(), "race")
	must(t, err)
	if c.N != writers*each {
		t.Fatalf("counted %d, want %d", c.N, writers*each)
	}
}

func TestOneOfManyCreates(t *testing.T) {
	h := newHouse(t)
	ctx := within(t, 60*time.Second)
	const writers = 16
	q := h.connect(queue.Options{})
	for round, deleted := range []bool{false, true} {
		key := fmt.Sprintf("fire.%d", round)
		if deleted { // the creation then follows a marker
			_, err := q.State().Create(ctx, key, counter{})
			must(t, err)
			must(t, q.State().Delete(ctx, key))
		}
		results := make(chan error, writers)
		for i := range writers {
			go func() {
				_, err := q.State().Create(ctx, key, counter{N: i})
				results <- err
			}()
		}
		won := 0
		for range writers {
			if err := <-results; err == nil {
				won++
			} else {
				wantKind(t, err, ivd.Exists)
			}
		}
		if won != 1 {
			t.Fatalf("round %d: %d creations succeeded, want 1", round, won)
		}
	}
}

func TestBigValuesAndRestart(t *testing.T) {
	h := newHouse(t)
	q := h.connect(queue.Options{})
	ctx := within(t, 60*time.Second)
	rec := testRecord("0001")
	for i := range 2500 { // some 750 KB of nodes, twice what a page has
		n := ivd.NodeRef{Span: ivd.SpanIndex(i), Place: ivd.Place{Offset: uint32(i), Length: 77}}
		_, _ = rand.Read(n.ID[:])
		_, _ = rand.Read(n.Place.Pack[:])
		rec.Nodes = append(rec.Nodes, n)
	}
	must(t, q.CreateJobRecord(ctx, rec))
	h.stop()
	h.start()
	got, rev, err := q.JobRecord(ctx, rec.Run, rec.Disk, rec.ID)
	must(t, err)
	if len(got.Nodes) != len(rec.Nodes) || got.Nodes[2499] != rec.Nodes[2499] {
		t.Fatalf("read %d nodes, want %d", len(got.Nodes), len(rec.Nodes))
	}
	_, err = q.UpdateJobRecord(ctx, got, rev)
	must(t, err)
	_, err = q.UpdateJobRecord(ctx, got, rev)
	wantKind(t, err, ivd.Conflict)
}

func TestKeysBelowAPrefix(t *testing.T) {
	b := newHouse(t).connect(queue.Options{}).State()
	ctx := within(t, 20*time.Second)
	keys, err := b.Keys(ctx, "")
	must(t, err)
	if len(keys) != 0 {
		t.Fatalf("keys of an empty bucket: %v", keys)
	}
	for _, k := range []string{"job.r1.d.2", "job.r1.d.1", "job.r12.d.1", "run.r1", "job.r1.gone"} {
		_, err := b.Put(ctx, k, counter{})
		must(t, err)
	}
	must(t, b.Delete(ctx, "job.r1.gone"))
	keys, err = b.Keys(ctx, "job.r1")
	must(t, err)
	if fmt.Sprint(keys) != "[job.r1.d.1 job.r1.d.2]" {
		t.Fatalf("keys %v", keys)
	}
	must(t, b.DeletePrefix(ctx, "job.r1"))
	keys, err = b.Keys(ctx, "")
	must(t, err)
	if fmt.Sprint(keys) != "[job.r12.d.1 run.r1]" {
		t.Fatalf("keys after the prefix was deleted: %v", keys)
	}
}
