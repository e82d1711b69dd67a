package probe

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/store"
)

// odd is a store and a bucket that answer as a test says.
type odd struct {
	store.Store
	Bucket

	now          time.Time
	put, damaged error
	stat         error
}

func (o odd) Get(_ context.Context, name store.Name, _ int64) (store.Object, error) {
	return store.Object{Info: store.Info{Name: name}, Now: o.now}, nil
}
func (o odd) Put(context.Context, store.Name, []byte) error        { return o.put }
func (o odd) PutDamaged(context.Context, store.Name, []byte) error { return o.damaged }
func (o odd) Stat(context.Context, store.Name) (store.Info, error) { return store.Info{}, o.stat }

// A store whose clock stands still is told of, and not waited for.
func TestFrozenClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		err := Ground{Store: odd{now: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)}}.pass(t.Context(), "points/a", time.Second)
		if outcomeOf(err) != Broken {
			t.Errorf("%v", err)
		}
	})
}

// That a damaged body is refused is known only of a service that takes whole ones.
func TestChecksumIsTried(t *testing.T) {
	gone := ivd.Errorf(ivd.NotFound, "nothing there")
	away, denied := ivd.Errorf(ivd.Transient, "the store is away"), ivd.Errorf(ivd.Denied, "no right to")
	for what, c := range map[string]struct {
		on   odd
		want Outcome
	}{
		"refused":      {odd{damaged: away, stat: gone}, Kept},
		"taken":        {odd{stat: gone}, Broken},
		"stored":       {odd{damaged: away}, Broken},
		"away":         {odd{damaged: away, put: away, stat: gone}, Untried},
		"no right":     {odd{damaged: denied, stat: gone}, Denied},
		"cannot be":    {odd{damaged: ivd.Errorf(ivd.Unsupported, "not with md5"), stat: gone}, Broken},
		"does not say": {odd{damaged: away, stat: away}, Untried},
	} {
		if got := outcomeOf(Checksum.Try(t.Context(), Ground{Store: c.on, Bucket: c.on})); got != c.want {
			t.Errorf("%s: %s, want %s", what, got, c.want)
		}
	}
}
