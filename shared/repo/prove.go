package repo

import (
	"context"
	"fmt"

	"ivdmover/shared/store"
	"ivdmover/shared/store/probe"
)

// Prove tries on a store what every commit rests on: that it refuses a request
// that is older than its signature allows, and a second creation of a name. Kind
// Unsupported: it does not, and must not be used. It takes some seconds, and leaves
// nothing where the store lets objects below leases/ be deleted.
func Prove(ctx context.Context, st store.Store) error {
	for _, p := range []probe.Probe{probe.CreateOnce, probe.Late} {
		if err := p.Try(ctx, proving(st)); err != nil {
			return fmt.Errorf("try the store %s: %w", st, err)
		}
	}
	return nil
}

// proving is where a store is tried that is in use: collectors remove in two days what
// is left below leases/.
func proving(st store.Store) probe.Ground { return probe.Ground{Store: st, Prefix: leasesDir} }

// ProveReplace tries on a store whether it replaces an object only as long as it is
// what was read. Kind Unsupported: it does not, and repo.json must not be replaced
// there; nothing else rests on it. It leaves nothing where the store lets objects
// below leases/ be deleted.
func ProveReplace(ctx context.Context, st store.Store) error {
	if err := probe.Replace.Try(ctx, proving(st)); err != nil {
		return fmt.Errorf("try whether the store %s replaces an object conditionally: %w", st, err)
	}
	return nil
}

// proof is a proof under way, or its outcome.
type proof struct {
	done chan struct{}
	err  error // once done is closed
}

// Prove is Prove of the repository's store. Commits wait for it from its beginning
// on, and are refused where it fails.
func (r *Repository) Prove(ctx context.Context) error {
	p := &proof{done: make(chan struct{})}
	r.mu.Lock()
	r.proof = p
	r.mu.Unlock()
	defer close(p.done)
	p.err = Prove(ctx, r.st)
	return p.err
}

// proven waits for a proof that is under way.
func (r *Repository) proven(ctx context.Context) error {
	r.mu.Lock()
	p := r.proof
	r.mu.Unlock()
	if p == nil {
		return nil
	}
	select {
	case <-p.done:
		return p.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
