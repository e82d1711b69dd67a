package probe

import (
	"cmp"
	"context"
	"errors"
	"time"

	"ivdmover/shared/ivd"
)

// Outcome is what was seen of a promise.
type Outcome string

// The outcomes.
const (
	Kept    Outcome = "kept"
	Broken  Outcome = "broken"  // the store does otherwise, or does not do it
	Denied  Outcome = "denied"  // these credentials may not
	Untried Outcome = "untried" // it could not be tried: the store was away, for example
)

// Verdict is what was seen of one probe.
type Verdict struct {
	Probe   Probe
	Outcome Outcome
	Err     error // why it is not kept
}

// Forbids reports whether the store must not be used.
func (v Verdict) Forbids() bool { return v.Probe.Need == Required && v.Outcome == Broken }

// Open reports whether the store must be tried again before it is known to be fit.
func (v Verdict) Open() bool {
	return v.Probe.Need == Required && (v.Outcome == Untried || v.Outcome == Denied)
}

// Site makes a ground that is empty and nobody else's, and the function that clears it.
type Site func(ctx context.Context) (g Ground, clear func(context.Context) (Left, error), err error)

// Findings are what was seen on a site.
type Findings struct {
	Verdicts []Verdict
	Left     Left // what could not be deleted afterwards
}

// Run tries probes one after the other, each on a ground of its own, and tells before
// each what it is about to try. Grounds are cleared also where ctx has ended. The error
// is of a ground that cannot be had, or the context's.
func Run(ctx context.Context, site Site, probes []Probe, tell func(n int, p Probe)) (Findings, error) {
	var f Findings
	for i, p := range probes {
		tell(i+1, p)
		g, clear, err := site(ctx)
		if err != nil {
			return f, err
		}
		err = p.Try(ctx, g)
		f.Left.add(ctx, clear)
		if ctx.Err() != nil {
			return f, context.Cause(ctx)
		}
		if errors.Is(err, errNoBucket) {
			continue // a folder need not do what only buckets do
		}
		f.Verdicts = append(f.Verdicts, Verdict{p, outcomeOf(err), err})
	}
	return f, nil
}

// clearing is how long the clearing of a ground may take.
const clearing = 5 * time.Minute

func (l *Left) add(ctx context.Context, clear func(context.Context) (Left, error)) {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), clearing)
	defer stop()
	left, err := clear(ctx)
	l.Names = append(l.Names, left.Names...)
	l.Err = cmp.Or(l.Err, left.Err, err)
}

func outcomeOf(err error) Outcome {
	switch kind := ivd.KindOf(err); {
	case err == nil:
		return Kept
	case kind == ivd.Unsupported:
		return Broken
	case kind == ivd.Denied:
		return Denied
	}
	return Untried
}
