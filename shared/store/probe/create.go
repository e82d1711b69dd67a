package probe

import (
	"context"
	"fmt"
	"sync"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/pause"
	"ivdmover/shared/store"
)

// prepared is what a probe waits for a request to be sent, at most.
const prepared = 5 * time.Minute

const (
	remedyCreate  = "use a store that knows If-None-Match, and look whether a proxy removes that header"
	remedyLate    = "use a store that refuses those, and set its clock"
	remedyReplace = "use a store that knows If-Match, and look whether a proxy removes or changes that header or ETag"
)

// named is a new name below the ground's prefix.
func (g Ground) named() store.Name {
	if g.Prefix == "" {
		return store.Name("points/d/" + ivd.NewLeaseID())
	}
	return store.Name(g.Prefix + string(ivd.NewLeaseID()))
}

// prepare does so under a lease that nobody has.
func (g Ground) prepare(ctx context.Context, name store.Name, body string, expiry time.Duration) (store.Pending, error) {
	p, err := g.Store.Prepare(ctx, ivd.NewLeaseID(), name, []byte(body), expiry)
	if err != nil {
		return nil, fmt.Errorf("prepare %s: %w", name, err)
	}
	return p, nil
}

// create prepares an object and sends it.
func (g Ground) create(ctx context.Context, name store.Name, body string) error {
	p, err := g.prepare(ctx, name, body, prepared)
	if err != nil {
		return err
	}
	defer p.Discard()
	return p.Send(ctx)
}

// CreateOnce tries this: a name is created once. Its names are below the ground's prefix.
var CreateOnce = Probe{
	Name: "create_once", Says: "a second creation of a name is refused", Need: Required,
	Try: func(ctx context.Context, g Ground) error {
		name := g.named()
		defer g.drop(ctx, name)
		first, err := g.prepare(ctx, name, "first", prepared)
		if err != nil {
			return err
		}
		defer first.Discard()
		_, err = g.Store.Stat(ctx, name)
		if err := wantKind("ask for an object before it is created", err, ivd.NotFound, remedyCache); err != nil {
			return err
		}
		if err := first.Send(ctx); err != nil {
			return fmt.Errorf("create %s: %w", name, err)
		}
		if err := g.same(ctx, name, "first"); err != nil {
			return err
		}
		const what = "create an object whose name is taken"
		if err := wantKind(what, first.Send(ctx), ivd.Exists, remedyCreate); err != nil {
			return err
		}
		if err := wantKind(what, g.create(ctx, name, "second"), ivd.Exists, remedyCreate); err != nil {
			return err
		}
		first.Discard() // safe after Send
		if err := g.same(ctx, name, "first"); err != nil {
			return err
		}
		if err := g.put(ctx, name, []byte("by put")); err != nil {
			return err
		}
		if err := wantKind(what, g.create(ctx, name, ""), ivd.Exists, remedyCreate); err != nil {
			return err
		}
		return g.same(ctx, name, "by put")
	},
}

// drop deletes what a probe has made, as far as that is allowed.
func (g Ground) drop(ctx context.Context, name store.Name) {
	if g.Prefix == "" {
		return // Clean does
	}
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer stop()
	_ = g.Store.Delete(ctx, name) // collectors remove it in two days
}

// contest has eight try to be the one whose text an object gets, and looks who was. No
// text is one of another round's. They are made ready one after the other.
func (g Ground) contest(ctx context.Context, name store.Name, round int, remedy string, ready func(body string) (try func() error, err error)) error {
	const writers = 8
	text := func(w int) string { return fmt.Sprintf("writer %d of round %d", w, round) }
	errs, tries := [writers]error{}, [writers]func() error{}
	for w := range writers {
		var err error
		if tries[w], err = ready(text(w)); err != nil {
			return err
		}
	}
	var wait sync.WaitGroup
	for w := range writers {
		wait.Go(func() { errs[w] = tries[w]() })
	}
	wait.Wait()
	won, winner := 0, ""
	for w, err := range errs {
		switch ivd.KindOf(err) {
		case ivd.Exists, ivd.Conflict:
			continue
		}
		if err != nil {
			return fmt.Errorf("write %s beside others: %w", name, err)
		}
		won, winner = won+1, text(w)
	}
	if won != 1 {
		return broken(remedy, "%d of %d that wrote an object at the same time were told that it is theirs", won, writers)
	}
	return g.same(ctx, name, winner)
}

// CreateRace tries this: of several that create a name at the same time, one does.
var CreateRace = Probe{
	Name: "create_race", Says: "of several that create a name at once, exactly one does", Need: Required,
	Try: func(ctx context.Context, g Ground) error {
		for round := range 5 {
			name := g.named()
			err := g.contest(ctx, name, round, remedyCreate, func(body string) (func() error, error) {
				p, err := g.prepare(ctx, name, body, prepared)
				return func() error {
					defer p.Discard()
					return p.Send(ctx)
				}, err
			})
			if err != nil {
				return err
			}
		}
		return nil
	},
}

// Late tries this: a request that is older than it may be is refused. Its names are below the
// ground's prefix.
var Late = Probe{
	Name: "late", Says: "a request that is older than its signature allows is refused", Need: Required,
	Try: func(ctx context.Context, g Ground) error {
		there, name := g.named(), g.named()
		defer g.drop(ctx, there)
		defer g.drop(ctx, name)
		if err := g.put(ctx, there, []byte("what time is it\n")); err != nil {
			return err
		}
		p, err := g.prepare(ctx, name, "late", lateExpiry)
		if err != nil {
			return err
		}
		defer p.Discard()
		if err := g.pass(ctx, there, lateExpiry+time.Second); err != nil { // dates are cut to whole seconds
			return err
		}
		const what = "it accepts a request that is older than its signature allows"
		switch err := p.Send(ctx); {
		case err == nil:
			return broken(remedyLate, what)
		case ivd.KindOf(err) != ivd.Expired:
			return err
		}
		switch _, err = g.Store.Stat(ctx, name); {
		case err == nil:
			return broken(remedyLate, what+", though it says that it does not")
		case ivd.KindOf(err) != ivd.NotFound:
			return err
		}
		return nil
	},
}

const lateExpiry = time.Second

// frozenAfter is how much longer by this machine's clock a time may take to pass by the
// store's.
const frozenAfter = 30 * time.Second

// pass waits until a time has passed for sure, by the clock in the answers for an object.
func (g Ground) pass(ctx context.Context, there store.Name, d time.Duration) error {
	var start time.Time
	for began := time.Now(); ; {
		o, err := g.read(ctx, there)
		switch {
		case err != nil:
			return err
		case o.Now.IsZero():
			return broken("look whether a proxy removes the Date header", "it does not say what time it is")
		case start.IsZero():
			start = o.Now
		}
		left := start.Add(d).Sub(o.Now)
		if left <= 0 {
			return nil
		}
		if time.Since(began) > d+frozenAfter {
			return broken("look whether a proxy or a cache answers for it, and set its clock", "its clock stands still: it tells %s, as %s ago", o.Now.Format(time.RFC3339), time.Since(began).Round(time.Second))
		}
		if err := pause.For(ctx, max(left, 100*time.Millisecond)); err != nil {
			return err
		}
	}
}

// Replace tries this: an object is replaced only as long as it is what was read. Its name is below
// the ground's prefix.
var Replace = Probe{
	Name: "replace", Says: "an object is replaced only as long as it is what was read", Need: Useful,
	Lacks: "`ivd repo adopt` is refused here",
	Try: func(ctx context.Context, g Ground) error {
		name := g.named()
		defer g.drop(ctx, name)
		if err := g.put(ctx, name, []byte("first")); err != nil {
			return err
		}
		first, err := g.read(ctx, name)
		if err != nil {
			return err
		}
		switch err := g.Store.Replace(ctx, first, []byte("the second")); {
		case ivd.KindOf(err) == ivd.Conflict:
			return broken(remedyReplace, "it does not replace an object that is what was read: %w", err)
		case err != nil:
			return err
		}
		const what = "replace an object that has changed since it was read"
		if err := wantKind(what, g.Store.Replace(ctx, first, []byte("third")), ivd.Conflict, remedyReplace); err != nil {
			return err
		}
		second, err := g.read(ctx, name)
		if err == nil {
			err = g.put(ctx, name, []byte("the third!")) // as long as the second
		}
		if err != nil {
			return err
		}
		if err := wantKind(what, g.Store.Replace(ctx, second, []byte("fourth")), ivd.Conflict, remedyReplace); err != nil {
			return err
		}
		return g.same(ctx, name, "the third!")
	},
}

// ReplaceGone tries this: an object that was deleted is not what was read.
var ReplaceGone = Probe{
	Name: "replace_gone", Says: "an object that was deleted is not replaced", Need: Useful,
	Lacks: "nothing is lost: what is replaced here is never deleted",
	Try: func(ctx context.Context, g Ground) error {
		name := g.named()
		if err := g.put(ctx, name, []byte("first")); err != nil {
			return err
		}
		first, err := g.read(ctx, name)
		if err == nil {
			err = g.Store.Delete(ctx, name)
		}
		if err != nil {
			return err
		}
		return wantKind("replace an object that is gone", g.Store.Replace(ctx, first, []byte("second")), ivd.Conflict, remedyReplace)
	},
}

// ReplaceRace tries this: of several that replace what they have all read, one does.
var ReplaceRace = Probe{
	Name: "replace_race", Says: "of several that replace what they have all read, exactly one does", Need: Useful,
	Lacks: "`ivd repo adopt` is not safe here while others do the same",
	Try: func(ctx context.Context, g Ground) error {
		name := g.named()
		if err := g.put(ctx, name, []byte("as it was")); err != nil {
			return err
		}
		for round := range 10 {
			was, err := g.read(ctx, name)
			if err != nil {
				return err
			}
			err = g.contest(ctx, name, round, remedyReplace, func(body string) (func() error, error) {
				return func() error { return g.Store.Replace(ctx, was, []byte(body)) }, nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	},
}
