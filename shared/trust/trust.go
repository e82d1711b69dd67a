// Package trust decides what a new point may build on (COLLECT.md's rules W2, W3
// and W4): packs, the parent's pages and nodes, checkpoints that were sealed under
// an older lease.
//
// A Trust belongs to one lease and one process. It promises to let nothing pass
// that is condemned or retired, or that is not known to exist; an outage is an
// error, never an answer. That somebody else's point stands proves nothing. Safe
// for concurrent use.
package trust

import (
	"context"
	"fmt"
	"sync"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
)

// proofLife is how long a pack may be relied on that was known to exist: lists are
// kept 8 days after their work is done, so what was deleted since is still on one
// (W3, C5).
const proofLife = 7 * 24 * time.Hour

// Trust is what is known of packs under one lease.
type Trust struct {
	r        *repo.Repository
	lease    repo.Lease
	standing *repo.Standing

	mu    sync.Mutex
	asked map[ivd.PackID]bool // what the store said exists, after the lists were read
}

// Open sees that the lease stands (W1), and then reads the lists (W2). Kind Expired:
// it does not stand.
func Open(ctx context.Context, r *repo.Repository, lease ivd.LeaseID) (*Trust, error) {
	l, err := r.Begin(ctx, lease, repo.Writing)
	if err != nil {
		return nil, fmt.Errorf("open the repository for writing: %w", err)
	}
	s, err := r.Standing(ctx)
	if err != nil {
		return nil, fmt.Errorf("open the repository for writing: %w", err)
	}
	return &Trust{r: r, lease: l, standing: s, asked: map[ivd.PackID]bool{}}, nil
}

// Lease returns the lease under which what is trusted is trusted.
func (t *Trust) Lease() repo.Lease { return t.lease }

// Pack reports whether a new point may name a pack (W3): it is neither condemned
// nor retired, and it exists. KnownAt is the last moment, by the store's clock, at
// which it is known to have existed: when the parent that names it was sealed, or
// when it was stored; zero where that does not count (repo.KnownAt). Where that is too long ago the store is asked, once.
func (t *Trust) Pack(ctx context.Context, pack ivd.PackID, knownAt time.Time) (bool, error) {
	return t.pack(ctx, pack, knownAt, format.DataPack, format.IndexPack)
}

func (t *Trust) pack(ctx context.Context, pack ivd.PackID, knownAt time.Time, kinds ...format.PackKind) (bool, error) {
	if t.standing.Pack(pack) {
		return false, nil
	}
	if t.r.Now().Sub(knownAt) < proofLife {
		return true, nil
	}
	t.mu.Lock()
	exists, ok := t.asked[pack]
	t.mu.Unlock()
	if ok {
		return exists, nil
	}
	for _, kind := range kinds {
		_, err := t.r.Store().Stat(ctx, t.r.PackName(kind, pack))
		if err == nil {
			t.learn(pack, true)
			return true, nil
		}
		if ivd.KindOf(err) != ivd.NotFound {
			return false, fmt.Errorf("ask for %s: %w", t.r.PackName(kind, pack), err)
		}
	}
	t.learn(pack, false)
	return false, nil
}

func (t *Trust) learn(pack ivd.PackID, exists bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.asked[pack] = exists
}
