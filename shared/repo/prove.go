package repo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/pause"
	"ivdmover/shared/store"
)

// Times of a proof, by the store's clock.
const (
	proofExpiry = time.Second
	// proofWait is what must have passed for sure since the request was made: its
	// life, and what a clock that tells whole seconds hides.
	proofWait = proofExpiry + time.Second
)

// Prove tries on a store what every commit rests on: that it refuses a request
// that is older than its signature allows, and a second creation of a name. Kind
// Unsupported: it does not, and must not be used. It takes some seconds, and leaves
// nothing where the store lets objects below leases/ be deleted.
func Prove(ctx context.Context, st store.Store) error {
	id := ivd.NewLeaseID()
	once, late := leaseName(id), leaseName(ivd.NewLeaseID())
	defer func() {
		ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer stop()
		_ = st.Delete(ctx, once) // collectors remove it in two days
		_ = st.Delete(ctx, late)
	}()
	body := []byte("ivd tries here what the store refuses. This object is of no use.\n")
	tooLate, err := st.Prepare(ctx, id, late, body, proofExpiry)
	if err != nil {
		return fmt.Errorf("try the store %s: %w", st, err)
	}
	defer tooLate.Discard()
	if err := proveOnce(ctx, st, id, once, body); err != nil {
		return fmt.Errorf("try the store %s: %w", st, err)
	}
	if err := proveLate(ctx, st, tooLate, once, late); err != nil {
		return fmt.Errorf("try the store %s: %w", st, err)
	}
	return nil
}

func proveOnce(ctx context.Context, st store.Store, id ivd.LeaseID, name store.Name, body []byte) error {
	for i := range 2 {
		p, err := st.Prepare(ctx, id, name, body, commitExpiry)
		if err != nil {
			return err
		}
		err = p.Send(ctx)
		p.Discard()
		switch {
		case i == 0 && err != nil:
			return err
		case i == 1 && err == nil:
			return unfit("it creates an object whose name is taken", "use a store that knows If-None-Match, and look whether a proxy removes that header")
		case i == 1 && ivd.KindOf(err) != ivd.Exists:
			return err
		}
	}
	return nil
}

// proveLate waits until the request is too old for sure, by the clock in the
// answers for an object that is there.
func proveLate(ctx context.Context, st store.Store, tooLate store.Pending, there, late store.Name) error {
	var start time.Time
	for {
		o, err := st.Get(ctx, there, 1<<10)
		if err != nil {
			return err
		}
		if o.Now.IsZero() {
			return unfit("it does not say what time it is", "look whether a proxy removes the Date header")
		}
		if start.IsZero() {
			start = o.Now
		}
		left := start.Add(proofWait).Sub(o.Now)
		if left <= 0 {
			break
		}
		if err := pause.For(ctx, max(left, 100*time.Millisecond)); err != nil {
			return err
		}
	}
	const what, remedy = "it accepts a request that is older than its signature allows", "use a store that refuses those, and set its clock"
	switch err := tooLate.Send(ctx); {
	case err == nil:
		return unfit(what, remedy)
	case ivd.KindOf(err) != ivd.Expired:
		return err
	}
	if _, err := st.Stat(ctx, late); err == nil {
		return unfit(what+", though it says that it does not", remedy)
	} else if ivd.KindOf(err) != ivd.NotFound {
		return err
	}
	return nil
}

// ProveReplace tries on a store whether it replaces an object only as long as it is
// what was read. Kind Unsupported: it does not, and repo.json must not be replaced
// there; nothing else rests on it. It leaves nothing where the store lets objects
// below leases/ be deleted.
func ProveReplace(ctx context.Context, st store.Store) error {
	name := leaseName(ivd.NewLeaseID())
	defer func() {
		ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer stop()
		_ = st.Delete(ctx, name) // collectors remove it in two days
	}()
	if err := proveReplace(ctx, st, name); err != nil {
		return fmt.Errorf("try whether the store %s replaces an object conditionally: %w", st, err)
	}
	return nil
}

func proveReplace(ctx context.Context, st store.Store, name store.Name) error {
	if err := st.Put(ctx, name, []byte("ivd tries here how the store replaces. This object is of no use.\n")); err != nil {
		return err
	}
	old, err := st.Get(ctx, name, 1<<10)
	if err == nil {
		err = st.Put(ctx, name, []byte("changed since it was read\n"))
	}
	if err != nil {
		return err
	}
	const remedy = "use a store that knows If-Match, and look whether a proxy removes or changes that header or ETag"
	switch err := st.Replace(ctx, old, []byte("replaced all the same\n")); {
	case err == nil:
		return unfit("it replaces an object that has changed since it was read", remedy)
	case ivd.KindOf(err) != ivd.Conflict:
		return err
	}
	now, err := st.Get(ctx, name, 1<<10)
	if err != nil {
		return err
	}
	err = st.Replace(ctx, now, []byte("replaced\n"))
	if ivd.KindOf(err) == ivd.Conflict {
		return unfit("it does not replace an object that is what was read", remedy)
	}
	return err
}

func unfit(what, remedy string) error {
	return &ivd.Error{Kind: ivd.Unsupported, Err: errors.New(what), Remedy: remedy}
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
