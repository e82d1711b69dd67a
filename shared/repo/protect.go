package repo

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/store"
)

// protection is what is known to be locked until the end of a generation's locks. It
// holds 16 bytes of each object, of a bounded number: what it has forgotten is locked
// once more, which costs a request and changes nothing.
type protection struct {
	mu     sync.Mutex
	until  time.Time             // guarded by mu
	locked map[[16]byte]struct{} // guarded by mu: names, by their Sums
}

// maxLocked bounds what is remembered, to some 40 MiB.
const maxLocked = 1 << 20

func lockKey(name store.Name) [16]byte {
	sum := format.Sum([]byte(name))
	return [16]byte(sum[:16])
}

// has reports whether an object is known to be locked until then.
func (p *protection) has(name store.Name, until time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, known := p.locked[lockKey(name)]
	return known && !p.until.Before(until)
}

// add remembers an object that is locked until then.
func (p *protection) add(name store.Name, until time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.locked == nil || p.until.Before(until) || len(p.locked) >= maxLocked {
		p.until, p.locked = until, map[[16]byte]struct{}{}
	}
	if p.until.Equal(until) {
		p.locked[lockKey(name)] = struct{}{}
	}
}

// protecting is the work of locking what one point needs.
type protecting struct {
	r     *Repository
	point format.Point
	until time.Time
	names map[store.Name]bool // what is to be locked; true: this run has stored it, locked
}

// ProtectedUntil is until when all is locked that a point needs which was sealed then, once
// it is committed; zero: nothing is locked here.
func (r *Repository) ProtectedUntil(sealed time.Time) time.Time {
	if locks := r.st.Properties().Locks; locks.On() {
		return locks.Until(sealed)
	}
	return time.Time{}
}

// protect locks all that a point needs, and is called before the point is committed. It
// returns the moment until which everything is locked; zero: nothing is locked here.
//
// Whatever was locked in this generation is locked for long enough. What an earlier one
// has stored costs one request; what this run has stored was locked with the request that
// stored it, which is asked for. What the parent needs was locked when the parent was
// committed: where that was in this generation, it is not locked again.
func (r *Repository) protect(ctx context.Context, p format.Point) (time.Time, error) {
	until := r.ProtectedUntil(p.SealedAt)
	if until.IsZero() {
		return until, nil
	}
	x := &protecting{r: r, point: p, until: until, names: map[store.Name]bool{}}
	err := x.parent(ctx)
	if err == nil {
		err = x.keystones(ctx)
	}
	if err == nil {
		err = x.needs(ctx, p, func(name store.Name, own bool) { x.names[name] = own })
	}
	if err == nil {
		err = x.lock(ctx)
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("lock what %s needs: %w", p.ID, err)
	}
	return x.until, nil
}

// parent remembers what the parent needs, where its locks are of this generation.
func (x *protecting) parent(ctx context.Context) error {
	if x.point.Parent == nil || x.r.locks.has(pointName(x.point.Parent.Point), x.until) {
		return nil
	}
	p, sum, err := x.r.ReadPoint(ctx, x.point.Parent.Point)
	switch ivd.KindOf(err) {
	case ivd.NotFound, ivd.Corrupt, ivd.Unsupported:
		return nil // it tells nothing, and each object is locked by itself
	}
	if err != nil || sum != x.point.Parent.Sum || p.ProtectedUntil.Before(x.until) {
		return err
	}
	err = x.needs(ctx, p, func(name store.Name, _ bool) { x.r.locks.add(name, x.until) })
	switch ivd.KindOf(err) {
	case ivd.NotFound, ivd.Corrupt, ivd.Unsupported:
		return nil
	}
	if err == nil {
		x.r.locks.add(pointName(p.ID), x.until)
	}
	return err
}

// keystones are the objects without which nothing of the repository is read: what it is,
// its keys, and which packs are proven.
func (x *protecting) keystones(ctx context.Context) error {
	x.names[repoName] = false
	if x.r.info.sealed() {
		x.names[signatureName] = false
	}
	if x.r.locks.has(repoName, x.until) { // with all of them
		delete(x.names, repoName)
		delete(x.names, signatureName)
		return nil
	}
	for _, folder := range []string{keysDir, x.r.folder(verifiedDir)} {
		for o, err := range x.r.st.List(ctx, folder) {
			if err != nil {
				return fmt.Errorf("list %s: %w", folder, err)
			}
			x.names[o.Name] = false
		}
	}
	return nil
}

// needs tells add of the packs that a point needs, and of their writers' records, and
// whether the run of the point that is protected has stored them.
func (x *protecting) needs(ctx context.Context, p format.Point, add func(name store.Name, own bool)) error {
	writers := map[ivd.WriterID]bool{}
	tell := func(kind format.PackKind, ref ivd.PackRef) error {
		own, asked := writers[ref.Writer]
		if !asked {
			w, err := x.r.ReadWriter(ctx, ref.Writer)
			if err != nil && ivd.KindOf(err) != ivd.NotFound {
				return err
			}
			own = err == nil && w.Run != "" && w.Run == x.point.Run
			writers[ref.Writer] = own
			if err == nil {
				add(x.r.writerName(ref.Writer), own)
			}
		}
		add(x.r.PackName(kind, ref.Pack), own)
		return nil
	}
	for _, ref := range p.Pages {
		page, err := x.r.Page(ctx, ref, p.Geometry)
		if err != nil {
			return err
		}
		kinds := page.Kinds(ref)
		for _, pack := range append(slices.Clone(page.Packs), ref.Place.PackRef) {
			if err := tell(kinds[pack.Pack], pack); err != nil {
				return err
			}
		}
	}
	return nil
}

// lock locks what is not known to be locked, some at once.
func (x *protecting) lock(ctx context.Context) error {
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(max(1, x.r.st.Properties().Connections))
	for name, own := range x.names {
		if name == repoName || x.r.locks.has(name, x.until) {
			continue
		}
		group.Go(func() error { return x.one(gctx, name, own) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if _, due := x.names[repoName]; due { // the last: it stands for the others of its kind
		return x.one(ctx, repoName, false)
	}
	return nil
}

// one locks an object, unless it is locked for long enough already and this run has
// stored it: then to ask costs less.
func (x *protecting) one(ctx context.Context, name store.Name, own bool) error {
	if own {
		until, err := x.r.st.LockedUntil(ctx, name)
		if err != nil {
			return err
		}
		if !until.Before(x.until) {
			x.r.locks.add(name, x.until)
			return nil
		}
	}
	if err := x.r.st.Lock(ctx, name, x.until); err != nil {
		return err
	}
	x.r.locks.add(name, x.until)
	return nil
}
