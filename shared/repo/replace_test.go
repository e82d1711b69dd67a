package repo_test

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/store"
)

const infoName store.Name = "repo.json"

func infoBody(t *testing.T, b *bucket) string {
	t.Helper()
	o, err := b.find(infoName)
	if err != nil {
		t.Fatal(err)
	}
	return string(o.Body)
}

// An adopted repository is another incarnation: what was known counts no longer, the
// leases of before are gone, and what is not understood stays.
func TestAdopt(t *testing.T) {
	b, r := made(t)
	x := plant(t, r, writerOf(t, r))
	before := r.Info()
	b.put(infoName, []byte(strings.Replace(infoBody(t, b), "{", `{"weather": {"Rain": [true, 1]},`, 1)))
	for info, err := range r.Leases(t.Context()) { // of plant
		if err != nil || r.EndLease(t.Context(), info.ID) != nil {
			t.Fatal(err)
		}
	}
	write, read := lease(t, r, repo.LeaseSpec{}), lease(t, r, repo.LeaseSpec{Kind: repo.ReadLease})
	const odd = "5f0c1b1e-0000-4000-8000-0000000000aa"
	b.put("leases/"+odd, []byte("of a later release"))

	a, err := r.Adopt(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(a.Dropped)
	want := []ivd.LeaseID{write.ID, read.ID}
	slices.Sort(want)
	if !slices.Equal(a.Dropped, want) || len(a.Kept) != 1 || a.Kept[0].ID != odd || a.Before != before.Incarnation {
		t.Errorf("%+v", a)
	}
	now, err := repo.Open(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	if i := now.Info(); i.Generation != before.Generation+1 || i.Incarnation == before.Incarnation || i.Incarnation != a.Info.Incarnation ||
		i.ID != before.ID || i.Domain != before.Domain || i.PackSize != before.PackSize || !i.Created.Equal(before.Created) {
		t.Errorf("%+v, before %+v", i, before)
	}
	if r.Info().Incarnation != a.Info.Incarnation {
		t.Errorf("who adopted it takes it for %+v", r.Info())
	}
	if !strings.Contains(strings.Join(strings.Fields(infoBody(t, b)), ""), `"weather":{"Rain":[true,1]}`) {
		t.Errorf("a key that is not known is gone: %s", infoBody(t, b))
	}
	if known := now.KnownAt(now.Now(), before.Incarnation); !known.IsZero() {
		t.Errorf("known since %s", known)
	}
	if err := commit(r, t.Context(), write, point(r, "late")); ivd.KindOf(err) != ivd.Expired {
		t.Errorf("a commit under a lease of before: %v", err)
	}
	if _, _, err := now.OpenPoint(t.Context(), lease(t, now, repo.LeaseSpec{Kind: repo.ReadLease}).ID, x.point.ID); err != nil {
		t.Error(err)
	}
	again, err := r.Adopt(t.Context())
	if err != nil || again.Info.Generation != before.Generation+2 || len(again.Dropped) != 1 {
		t.Errorf("again: %+v, %v", again, err)
	}
}

// Repo.json is replaced only while it is what was read: who was slower reads it anew,
// and an answer that was lost is no second change.
func TestReplaceOfInfo(t *testing.T) {
	t.Run("somebody was faster", func(t *testing.T) {
		b, r := made(t)
		other, err := repo.Open(t.Context(), b)
		if err != nil {
			t.Fatal(err)
		}
		began := false
		b.fault = func(op, name string) error {
			if op == "replace" && name == string(infoName) && !began {
				began = true
				_, err = other.Adopt(context.Background())
			}
			return nil
		}
		a, ownErr := r.Adopt(t.Context())
		if ownErr != nil || err != nil || a.Info.Generation != 3 || a.Before != other.Info().Incarnation {
			t.Errorf("%+v, %v, %v", a, ownErr, err)
		}
	})
	t.Run("the answer was lost", func(t *testing.T) {
		b, r := made(t)
		var once sync.Once
		b.after = func(op, name string) (err error) {
			if op == "replace" && name == string(infoName) {
				once.Do(func() { err = errOutage })
			}
			return err
		}
		a, err := r.Adopt(t.Context())
		now, openErr := repo.Open(t.Context(), b)
		if err != nil || openErr != nil || a.Info.Generation != 2 || now.Info().Generation != 2 {
			t.Errorf("%+v, %v, %v", a, err, openErr)
		}
	})
	t.Run("the store is away", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b, r := made(t)
			b.fault = func(op, name string) error {
				if op == "replace" && name == string(infoName) {
					return errOutage
				}
				return nil
			}
			begun := time.Now()
			_, err := r.Adopt(t.Context())
			wantKind(t, err, ivd.Transient)
			if waited := time.Since(begun); waited != (100+200+400+800+1600+3200+3*5000)*time.Millisecond {
				t.Errorf("it was tried again for %s", waited)
			}
		})
	})
	t.Run("the store is away for a moment", func(t *testing.T) {
		b, r := made(t)
		var once sync.Once
		b.fault = func(op, name string) (err error) {
			if op == "replace" && name == string(infoName) {
				once.Do(func() { err = errOutage })
			}
			return err
		}
		if a, err := r.Adopt(t.Context()); err != nil || a.Info.Generation != 2 {
			t.Errorf("%+v, %v", a, err)
		}
	})
}

// Where it cannot be done safely, or must not be done, nothing is changed.
func TestAdoptRefused(t *testing.T) {
	feature := func(t *testing.T, b *bucket, r *repo.Repository) {
		info := r.Info()
		info.Generation++
		info.Features.Collect = []string{"tapes"}
		describe(t, b, info)
	}
	other := func(change func(*repo.Info)) func(t *testing.T, b *bucket, r *repo.Repository) {
		return func(t *testing.T, b *bucket, r *repo.Repository) {
			info := r.Info()
			change(&info)
			describe(t, b, info)
		}
	}
	for name, c := range map[string]struct {
		change func(t *testing.T, b *bucket, r *repo.Repository)
		kind   ivd.Kind
		says   string
	}{
		"another repository":              {other(func(i *repo.Info) { i.ID = "7b1f2d0e-7a53-4c1d-9e0f-2b8c5d4a3f21" }), ivd.Permanent, "is there now instead"},
		"an earlier state":                {other(func(i *repo.Info) { i.Incarnation = ivd.NewIncarnationID() }), ivd.Permanent, "was seen before"},
		"a store without conditions":      {func(_ *testing.T, b *bucket, _ *repo.Repository) { b.careless = true }, ivd.Unsupported, "changed since it was read"},
		"a store that always refuses":     {func(_ *testing.T, b *bucket, _ *repo.Repository) { refuseReplacing(b, ivd.Conflict) }, ivd.Unsupported, "does not replace"},
		"a store that does not know them": {func(_ *testing.T, b *bucket, _ *repo.Repository) { refuseReplacing(b, ivd.Unsupported) }, ivd.Unsupported, "no way"},
		"a feature that is not known":     {feature, ivd.Unsupported, "tapes"},
	} {
		t.Run(name, func(t *testing.T) {
			b, r := made(t)
			lease(t, r, repo.LeaseSpec{})
			c.change(t, b, r)
			before, count := infoBody(t, b), len(b.objects)
			_, err := r.Adopt(t.Context())
			wantKind(t, err, c.kind, c.says, "memory")
			if infoBody(t, b) != before || len(b.objects) != count {
				t.Errorf("%d objects, before %d; %s", len(b.objects), count, infoBody(t, b))
			}
		})
	}
}

func refuseReplacing(b *bucket, kind ivd.Kind) {
	b.fault = func(op, _ string) error {
		if op == "replace" {
			return ivd.Errorf(kind, "no way")
		}
		return nil
	}
}

// Of two that adopt at once neither is lost, in the stores that people use.
func TestAdoptRace(t *testing.T) {
	for name, openStore := range map[string]func(*testing.T) store.Store{"dir": folderStore, "s3": bucketStore} {
		t.Run(name, func(t *testing.T) {
			st := openStore(t)
			if _, err := repo.Init(t.Context(), st, repo.InitOptions{}); err != nil {
				t.Fatal(err)
			}
			const racers = 4
			var all [racers]repo.Adoption
			var group sync.WaitGroup
			for i := range racers {
				r, err := repo.Open(t.Context(), st)
				if err != nil {
					t.Fatal(err)
				}
				group.Go(func() {
					if all[i], err = r.Adopt(t.Context()); err != nil {
						t.Error(err)
					}
				})
			}
			group.Wait()
			r, err := repo.Open(t.Context(), st)
			if err != nil {
				t.Fatal(err)
			}
			if r.Info().Generation != 1+racers {
				t.Errorf("generation %d", r.Info().Generation)
			}
			generations := map[uint64]bool{}
			for _, a := range all {
				generations[a.Info.Generation] = true
			}
			if len(generations) != racers {
				t.Errorf("generations %v", generations)
			}
			o, err := st.Get(t.Context(), infoName, 1<<20)
			if err != nil || !bytes.HasSuffix(o.Body, []byte("}\n")) {
				t.Errorf("%s: %v", o.Body, err)
			}
			var again any
			if err := format.DecodeJSON(o.Body, &again); err != nil {
				t.Error(err)
			}
		})
	}
}
