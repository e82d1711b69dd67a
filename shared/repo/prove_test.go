package repo_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/store"
)

// A store that does not refuse what it must is refused, and nothing is left there.
func TestProve(t *testing.T) {
	for name, c := range map[string]struct {
		store func(b *bucket) store.Store
		kind  ivd.Kind // none: it is fit
		says  string
	}{
		"a good store":                     {func(b *bucket) store.Store { return b }, "", ""},
		"one that accepts late requests":   {func(b *bucket) store.Store { b.late = true; return b }, ivd.Unsupported, "older than its signature"},
		"one that says so and stores them": {func(b *bucket) store.Store { b.late = true; return liar{b} }, ivd.Unsupported, "though it says"},
		"one that replaces objects":        {func(b *bucket) store.Store { b.careless = true; return b }, ivd.Unsupported, "whose name is taken"},
		"one that tells no time":           {func(b *bucket) store.Store { return timeless{b} }, ivd.Unsupported, "what time it is"},
		"one that is away":                 {func(b *bucket) store.Store { b.fail("send", ""); return b }, ivd.Transient, "reset"},
		"one that goes away":               {func(b *bucket) store.Store { b.fail("get", ""); return b }, ivd.Transient, "reset"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, begun := newBucket(), time.Now()
				err := repo.Prove(t.Context(), c.store(b))
				if c.kind == "" && err != nil {
					t.Fatal(err)
				}
				if took := time.Since(begun); c.kind == "" && took != 2*time.Second {
					t.Errorf("it waited for %s until a request of a second was too late for sure", took)
				}
				if c.kind != "" {
					wantKind(t, err, c.kind, c.says, "memory")
				}
				if len(b.objects) != 0 {
					t.Errorf("left there: %v", b.objects)
				}
			})
		})
	}
}

// liar answers a late request as it should, and stores it all the same.
type liar struct{ *bucket }

func (l liar) Prepare(ctx context.Context, lease ivd.LeaseID, name store.Name, body []byte, expiry time.Duration) (store.Pending, error) {
	p, err := l.bucket.Prepare(ctx, lease, name, body, expiry)
	return lyingPending{p, time.Now().Add(expiry)}, err
}

type lyingPending struct {
	store.Pending
	dies time.Time
}

func (p lyingPending) Send(ctx context.Context) error {
	if err := p.Pending.Send(ctx); err != nil || time.Now().Before(p.dies) {
		return err
	}
	return ivd.Errorf(ivd.Expired, "too late")
}

type timeless struct{ *bucket }

func (s timeless) Get(ctx context.Context, name store.Name, limit int64) (store.Object, error) {
	o, err := s.bucket.Get(ctx, name, limit)
	o.Now = time.Time{}
	return o, err
}

// A commit waits for a proof that is under way, and is not sent where it fails.
func TestCommitAwaitsProof(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, r := made(t)
		l := lease(t, r, repo.LeaseSpec{})
		proved := make(chan error, 1)
		go func() { proved <- r.Prove(t.Context()) }()
		synctest.Wait() // until it waits for the store's clock
		if err := commit(r, t.Context(), l, point(r, "a")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // the proof's own goroutine says last that it is done
		select {
		case err := <-proved:
			if err != nil {
				t.Fatal(err)
			}
		default:
			t.Fatal("the commit did not wait")
		}
		b.late = true
		wantKind(t, r.Prove(t.Context()), ivd.Unsupported)
		b.forget()
		p := point(r, "b")
		p.ID, p.Run = ivd.NewPointID(r.Domain(), source, disk, p.Time, "run-2"), "run-2"
		err := commit(r, t.Context(), l, p)
		wantKind(t, err, ivd.Unsupported)
		if errors.Is(err, repo.ErrInDoubt) || len(b.did()) > 0 {
			t.Fatalf("%q was done: %v", b.did(), err)
		}
	})
}

// The stores that people use refuse what they must.
func TestProveRealStores(t *testing.T) {
	for name, openStore := range map[string]func(*testing.T) store.Store{"dir": folderStore, "s3": bucketStore} {
		t.Run(name, func(t *testing.T) {
			st := openStore(t)
			if err := repo.Prove(t.Context(), st); err != nil {
				t.Fatal(err)
			}
			for info, err := range st.List(t.Context(), "") {
				if err != nil || !strings.HasPrefix(string(info.Name), "leases/") {
					t.Errorf("left there: %s: %v", info.Name, err)
				}
			}
		})
	}
}
