package fleet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// askedMovers is how many movers one question goes to before the step counts as
// failed: what the third cannot do, the others are not troubled with.
const askedMovers = 3

// Ask has one of the movers do something with VDDK: the one with the most free
// handles first, the next where it does not answer, or could not and another may.
func (f *Fleet) Ask(ctx context.Context, q job.Request) (job.Reply, error) {
	q.Version = job.Version
	movers, err := f.candidates(ctx)
	if err != nil {
		return job.Reply{}, err
	}
	last := noMover(q, errors.New("no mover is running"))
	tried, failed := 0, false
	for _, m := range movers {
		if q.Warrant, err = f.Warrant(ctx, m.Name, q.Run, q.Disk.Ref); err != nil {
			return job.Reply{}, err
		}
		reply, err := f.queue.Ask(ctx, m.Name, q)
		switch {
		case ctx.Err() != nil:
			return reply, context.Cause(ctx)
		case err != nil:
			last, failed = noMover(q, err), true
			tried++
			continue // one that is gone is never the last
		}
		err = reply.Failure.Err()
		if ivd.KindOf(err) == ivd.Unsupported { // its library lacks what another mover's may have
			if !failed {
				last = onMover(q, m, err)
			}
			continue
		}
		last, failed = onMover(q, m, err), true
		tried++
		if err == nil || !ivd.KindOf(err).Retry() || tried >= askedMovers {
			return reply, last
		}
	}
	return job.Reply{}, last
}

// candidates are the movers that may be asked, those with the most free handles
// first.
func (f *Fleet) candidates(ctx context.Context) ([]job.Mover, error) {
	movers, err := f.Movers(ctx)
	if err == nil && !slices.ContainsFunc(movers, usable) {
		movers, _, err = f.queue.Movers(ctx) // one may have come just now
	}
	if err != nil {
		return nil, err
	}
	movers = slices.DeleteFunc(slices.Clone(movers), func(m job.Mover) bool { return !usable(m) })
	slices.SortFunc(movers, func(a, b job.Mover) int { return cmp.Compare(b.Free, a.Free) })
	return movers, nil
}

func noMover(q job.Request, err error) error {
	return &ivd.Error{Kind: ivd.Transient, Op: fmt.Sprintf("ask a mover to %s disk %s", q.Op, q.Disk.Ref.ID()), Err: err, Remedy: "start ivd-mover, or look at `ivd movers`"}
}

func onMover(q job.Request, m job.Mover, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s on mover %s: %w", q.Op, m.Name, err)
}
