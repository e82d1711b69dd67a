package pipeline

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"ivdmover/shared/budget"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/repo"
)

// Restore is one job's part of a restore point on its way back to a disk. The
// disk may be larger than the point: what lies beyond stays as it is.
type Restore struct {
	Job    job.Job
	From   job.Record // the checkpoint to go on from
	Target Target
	Reader *repo.Reader
	Memory *budget.Memory
	Meter  *Meter
	Limits Limits // Bytes are those written: 4 GiB

	InFlight int   // requests on the one handle; 0: 8
	Request  int64 // bytes of one at most; 0: 1 MiB

	// Checkpoint stores what the restore has come to. Its error ends the job.
	Checkpoint func(context.Context, Batch) error
	// Stop, closed, asks for the end: what is under way is finished and flushed.
	Stop <-chan struct{}
}

const (
	restoreBytes = 4 << 30
	ownUnits     = 3 // reserved
	extraUnits   = 8 // taken from what is free
)

// RestoreMemory is what a restore to a disk that is cut so reserves.
func RestoreMemory(g ivd.Geometry) int64 { return ownUnits * unitCost(g) }

// NeedMemory is what a job of either kind reserves, with requests and packs of that
// size.
func NeedMemory(g ivd.Geometry, request int64, packSize int) int64 {
	return max(BackupMemory(g, request, packSize), RestoreMemory(g))
}

// reserve takes a job's memory.
func reserve(ctx context.Context, m *budget.Memory, need int64) error {
	err := m.Reserve(ctx, need)
	if ivd.KindOf(err) == ivd.Invalid {
		return &ivd.Error{
			Kind: ivd.Invalid, Op: "one disk with chunks of this size", Err: err,
			Remedy: fmt.Sprintf("set mover.memory to %d MiB for each of mover.handles", (need+1<<20-1)>>20),
		}
	}
	return err
}

// Run does the job, or what is left of it. It returns nil when all is written,
// flushed and the last checkpoint says so, and ErrStopped when it was asked to
// stop.
func (r Restore) Run(ctx context.Context) error {
	if err := r.check(); err != nil {
		return &ivd.Error{Kind: ivd.Invalid, Op: fmt.Sprintf("restore to disk %s", r.Job.Disk.ID()), Err: err}
	}
	if r.Limits.Bytes <= 0 {
		r.Limits.Bytes = restoreBytes
	}
	r.Limits.defaults(0)
	need := RestoreMemory(r.Job.Geometry)
	if err := reserve(ctx, r.Memory, need); err != nil {
		return err
	}
	defer r.Memory.Release(need)

	w := newRestore(r)
	defer w.scratch.Close()
	g, ctx := errgroup.WithContext(ctx)
	w.group = g
	nodes := make(chan chan spanNode, decideAhead)
	g.Go(func() error { return closing(nodes, w.readNodes(ctx, nodes)) })
	g.Go(func() error { return w.fetchAll(ctx, nodes) })
	return g.Wait()
}

func (r *Restore) check() error {
	if err := r.Job.Geometry.Validate(); err != nil {
		return err
	}
	if r.Job.Restore == nil || len(r.Job.Restore.Pages) == 0 {
		return errors.New("a restore job without pages")
	}
	last := ivd.PageIndex(-1)
	for _, p := range r.Job.Restore.Pages {
		if p.Page <= last || p.Page >= r.Job.Geometry.Pages() {
			return fmt.Errorf("page %d after page %d of %d", p.Page, last, r.Job.Geometry.Pages())
		}
		last = p.Page
	}
	return nil
}

// restore is a Restore under way.
type restore struct {
	Restore
	job      *job.Job
	group    *errgroup.Group
	scratch  *budget.Lane[scratch]
	requests requests

	underway sync.WaitGroup // units between their beginning and their last write
	failed   atomic.Bool    // set before a unit that failed is no longer under way
	begun    time.Time      // of the batch
	sealed   ivd.Stats
}

// spanNode is a span with its node; nil: zeros.
type spanNode struct {
	span ivd.SpanIndex
	node *format.Node
}

func newRestore(r Restore) *restore {
	w := &restore{Restore: r, job: &r.Job, requests: newRequests(r.InFlight, r.Request), begun: time.Now()}
	w.scratch = budget.NewLane(r.Memory, unitCost(r.Job.Geometry), ownUnits, extraUnits,
		func() scratch { return newScratch(r.Memory, r.Job.Geometry) }, dropScratch)
	return w
}

// readNodes reads pages and, ahead of their turn, nodes.
func (r *restore) readNodes(ctx context.Context, nodes chan<- chan spanNode) error {
	g := r.job.Geometry
	for _, ref := range r.job.Restore.Pages {
		if pageEnd(g, ref.Page) <= r.From.Next {
			continue
		}
		page := format.NewPage(g, ref.Page)
		if !ref.ID.IsZero() {
			var err error
			if page, err = r.Reader.Page(ctx, ref); err != nil {
				return err
			}
			r.Meter.tick()
		}
		for span := max(ref.Page.FirstSpan(), r.From.Next); span < pageEnd(g, ref.Page); span++ {
			if err := r.readNode(ctx, page, span, nodes); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *restore) readNode(ctx context.Context, page *format.Page, span ivd.SpanIndex, nodes chan<- chan spanNode) error {
	answer := make(chan spanNode, 1)
	select {
	case nodes <- answer:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if page.Entry(span).State == format.SpanZero {
		answer <- spanNode{span: span}
		return nil
	}
	r.group.Go(func() error {
		node, err := r.Reader.Node(ctx, page, span)
		if err != nil {
			return err
		}
		r.Meter.tick()
		answer <- spanNode{span: span, node: node}
		return nil
	})
	return nil
}

// fetchAll fetches and writes span by span, many units at once, and says now and
// then how far everything is written.
func (r *restore) fetchAll(ctx context.Context, nodes <-chan chan spanNode) error {
	end := pageEnd(r.job.Geometry, r.job.Restore.Pages[len(r.job.Restore.Pages)-1].Page)
	for {
		answer, more, err := next(ctx, nodes)
		if err != nil {
			return err
		}
		if !more {
			return r.seal(ctx, end, true)
		}
		s, _, err := next(ctx, answer)
		if err != nil {
			return err
		}
		for _, u := range r.units(s) {
			if err := r.begin(ctx, u); err != nil {
				return err
			}
		}
		r.Meter.add(ivd.Stats{DiskBytes: r.job.Geometry.Span(s.span).Length})
		stop := r.stopped() && s.span+1 < end
		if !stop && !r.due() {
			continue
		}
		if err := r.seal(ctx, s.span+1, false); err != nil {
			return err
		}
		if stop {
			return ErrStopped
		}
	}
}

// begin starts a unit when there is memory for it.
func (r *restore) begin(ctx context.Context, u *unit) error {
	slot, err := r.scratch.Get(ctx)
	if err != nil {
		return err
	}
	r.underway.Add(1)
	r.group.Go(func() error {
		defer r.underway.Done()
		if err := r.move(ctx, u, slot.Value); err != nil {
			r.failed.Store(true)
			return err
		}
		r.scratch.Put(slot)
		return nil
	})
	return nil
}

// seal waits until everything before upTo is written and durable, then says so.
func (r *restore) seal(ctx context.Context, upTo ivd.SpanIndex, done bool) error {
	r.underway.Wait()
	if r.failed.Load() {
		<-ctx.Done() // the group is about to hear of it
		return context.Cause(ctx)
	}
	if err := r.Target.Flush(ctx); err != nil {
		return err
	}
	r.Meter.tick()
	total := r.Meter.Total()
	if err := r.Checkpoint(ctx, Batch{Next: upTo, Stats: less(total, r.sealed), Done: done}); err != nil {
		return err
	}
	r.Meter.seal()
	r.sealed, r.begun = total, time.Now()
	return nil
}

func (r *restore) due() bool {
	return time.Since(r.begun) >= r.Limits.Time || r.Meter.Total().WrittenBytes-r.sealed.WrittenBytes >= r.Limits.Bytes
}

func (r *restore) stopped() bool {
	select {
	case <-r.Stop:
		return true
	default:
		return false
	}
}
