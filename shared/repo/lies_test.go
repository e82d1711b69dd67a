package repo_test

import (
	"bytes"
	"context"
	"iter"
	"maps"
	"runtime"
	"testing"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/store"
)

// mismeasurer is a store that says of every object that it is of another length than it is.
type mismeasurer struct {
	*bucket
	lie func(size int64) int64
}

func (l *mismeasurer) lied(i store.Info) store.Info {
	i.Size = l.lie(i.Size)
	return i
}

func (l *mismeasurer) Stat(ctx context.Context, name store.Name) (store.Info, error) {
	i, err := l.bucket.Stat(ctx, name)
	return l.lied(i), err
}

func (l *mismeasurer) List(ctx context.Context, prefix string) iter.Seq2[store.Info, error] {
	return func(yield func(store.Info, error) bool) {
		for i, err := range l.bucket.List(ctx, prefix) {
			if !yield(l.lied(i), err) {
				return
			}
		}
	}
}

func (l *mismeasurer) Get(ctx context.Context, name store.Name, limit int64) (store.Object, error) {
	o, err := l.bucket.Get(ctx, name, limit)
	o.Info = l.lied(o.Info)
	return o, err
}

// What a store says of lengths is not believed: it costs no memory, ends in no panic,
// and what is restored is what was stored.
func TestStoreThatLiesAboutLengths(t *testing.T) {
	inBoth(t, func(t *testing.T, b *bucket, k repo.Keys) {
		honest, err := restore(t, reopen(t, b, k))
		if err != nil {
			t.Fatal(err)
		}
		for what, lie := range map[string]func(int64) int64{
			"nothing": func(int64) int64 { return 0 }, "a byte less": func(n int64) int64 { return n - 1 }, "a byte more": func(n int64) int64 { return n + 1 },
			"less than nothing": func(int64) int64 { return -1 }, "more than there is in the world": func(int64) int64 { return 1 << 62 },
		} {
			r, err := repo.OpenWith(t.Context(), &mismeasurer{b, lie}, k)
			if err != nil {
				t.Errorf("%s: %v", what, err)
				continue
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for _, name := range names(b) {
				if err := readObject(t, r, k, name); err != nil {
					asFound(t, what+", "+string(name), err)
				}
			}
			runtime.ReadMemStats(&after)
			if n := after.TotalAlloc - before.TotalAlloc; n > 512<<20 {
				t.Errorf("%s: %d bytes were taken", what, n)
			}
			got, err := restore(t, r)
			if err != nil {
				asFound(t, what, err)
			} else if !maps.EqualFunc(got, honest, bytes.Equal) {
				t.Errorf("%s: other bytes were restored", what)
			}
		}
	})
}

// Only the store's clock counts: a day between it and ours changes nothing, and where it
// jumps a lease ends, or stands, as it says.
func TestClocksADayWrong(t *testing.T) {
	for _, ahead := range []time.Duration{-25 * time.Hour, 25 * time.Hour} {
		b, r := made(t)
		b.pass(ahead)
		l := lease(t, r, repo.LeaseSpec{})
		if off := time.Until(l.Deadline) - ahead - repo.DefaultLife; off.Abs() > time.Minute {
			t.Errorf("%s ahead: the lease ends at %s", ahead, l.Deadline)
		}
		p := point(r, "a")
		if err := commit(r, t.Context(), l, p); err != nil {
			t.Errorf("%s ahead: %v", ahead, err)
		}
		stored, _, err := r.ReadPoint(t.Context(), p.ID)
		if err != nil || (time.Until(stored.SealedAt)-ahead).Abs() > time.Minute {
			t.Errorf("%s ahead: sealed at %s: %v", ahead, stored.SealedAt, err)
		}
		b.pass(-ahead) // it is set right
		next := point(r, "b")
		next.Run = "run-2"
		next.ID = ivd.NewPointID(r.Domain(), source, disk, next.Time, next.Run)
		switch err := commit(r, t.Context(), l, next); {
		case ahead > 0 && err != nil:
			t.Errorf("a lease that ends later than it should: %v", err)
		case ahead < 0:
			wantKind(t, err, ivd.Expired)
		}
	}
}
