package pipeline

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"ivdmover/shared/budget"
	"ivdmover/shared/image"
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
	Image  *image.Image // OpenImage's, for this job alone
	Meter  *Meter
	Limits Limits // Bytes are those written: 4 GiB

	InFlight int   // requests on the one handle; 0: 8
	Request  int64 // bytes of one at most; 0: 1 MiB

	// Checkpoint stores what the restore has come to. Its error ends the job.
	Checkpoint func(context.Context, Batch) error
	// Stop, closed, asks for the end: what is under way is finished and flushed.
	Stop <-chan struct{}
}

const restoreBytes = 4 << 30

// RestoreMemory is what a restore to a disk that is cut so, and written with such
// requests, reserves.
func RestoreMemory(g ivd.Geometry, request int64) int64 {
	return image.Options{Piece: requestBytes(request)}.Need(g)
}

// NeedMemory is what a job of either kind reserves, with requests and packs of that
// size.
func NeedMemory(g ivd.Geometry, request int64, packSize int) int64 {
	return max(BackupMemory(g, request, packSize), RestoreMemory(g, request))
}

// Reading is how a restore job reads.
type Reading struct {
	Memory  *budget.Memory
	Request int64  // bytes that the disk is written with at most
	Mover   string // whose leases are its own
	// Open opens the point under the job's lease, where that was not done before; nil:
	// it is opened.
	Open image.Opener
	// Renew and Keys are of who can neither sign a lease nor open a pack; else nil.
	Renew func(context.Context) (ivd.LeaseID, error)
	Keys  image.Keys
}

// OpenImage opens what a restore job reads: under the job's lease and, when that comes
// to its end, under leases of this mover's own; or without any, where the job says so.
func OpenImage(ctx context.Context, r *repo.Repository, j job.Job, how Reading) (*image.Image, error) {
	if err := checkRestore(j); err != nil {
		return nil, restoreError(j, err)
	}
	im, err := image.Open(ctx, r, image.Options{
		Point: j.Restore.Point, Lease: j.Lease, WithoutLease: j.Restore.WithoutLease, OpenPoint: how.Open, Renew: how.Renew, Keys: how.Keys,
		Owner: how.Mover, Memory: how.Memory, Fill: !j.Restore.Blank, Piece: requestBytes(how.Request),
	})
	return im, tooLittle(err, RestoreMemory(j.Geometry, how.Request))
}

// reserve takes a job's memory.
func reserve(ctx context.Context, m *budget.Memory, need int64) error {
	return tooLittle(m.Reserve(ctx, need), need)
}

// tooLittle says what to do where a job can never have its memory.
func tooLittle(err error, need int64) error {
	if !errors.Is(err, budget.ErrTooLittle) {
		return err
	}
	return &ivd.Error{
		Kind: ivd.Invalid, Op: "one disk with chunks of this size", Err: err,
		Remedy: fmt.Sprintf("set mover.memory to %d MiB for each of mover.handles", (need+1<<20-1)>>20),
	}
}

// Run does the job, or what is left of it. It returns nil when all is written,
// flushed and the last checkpoint says so, and ErrStopped when it was asked to
// stop.
func (r Restore) Run(ctx context.Context) error {
	if err := r.check(); err != nil {
		return restoreError(r.Job, err)
	}
	if r.Limits.Bytes <= 0 {
		r.Limits.Bytes = restoreBytes
	}
	r.Limits.defaults(0)
	g, ctx := errgroup.WithContext(ctx)
	w := &restore{Restore: r, group: g, requests: newRequests(r.InFlight, r.Request), begun: time.Now()}
	g.Go(func() error { return w.moveAll(ctx) })
	return g.Wait()
}

func restoreError(j job.Job, err error) error {
	return &ivd.Error{Kind: ivd.Invalid, Op: fmt.Sprintf("restore to disk %s", j.Disk.Ref.ID()), Err: err}
}

// checkRestore refuses a job that no plan makes, before its figures are used.
func checkRestore(j job.Job) error {
	if err := j.Geometry.Validate(); err != nil {
		return err
	}
	if j.Restore == nil || len(j.Restore.Pages) == 0 {
		return errors.New("a restore job without pages")
	}
	last := ivd.PageIndex(-1)
	for _, p := range j.Restore.Pages {
		if p.Page <= last || p.Page >= j.Geometry.Pages() {
			return fmt.Errorf("page %d after page %d of %d", p.Page, last, j.Geometry.Pages())
		}
		last = p.Page
	}
	return nil
}

// check sees that the job and the image are of one point.
func (r *Restore) check() error {
	if err := checkRestore(r.Job); err != nil {
		return err
	}
	if p := r.Image.Point(); p.ID != r.Job.Restore.Point || p.Geometry != r.Job.Geometry {
		return fmt.Errorf("the job is of point %s, the image of %s", r.Job.Restore.Point, p.ID)
	}
	for _, want := range r.Job.Restore.Pages {
		got, stored := r.Image.PageRef(want.Page)
		if stored == want.ID.IsZero() || stored && got != want {
			return fmt.Errorf("page %d of the job is not the point's", want.Page)
		}
	}
	return nil
}

// restore is a Restore under way.
type restore struct {
	Restore
	group    *errgroup.Group
	requests requests

	underway sync.WaitGroup // pieces between their beginning and their end
	failed   atomic.Bool    // set before a piece that failed is no longer under way
	begun    time.Time      // of the batch
	sealed   ivd.Stats
}

// moveAll writes piece by piece, many at once, and says now and then how far
// everything is written.
func (r *restore) moveAll(ctx context.Context) error {
	g, span := r.Job.Geometry, ivd.SpanIndex(-1)
	var done, todo int64
	for e := range r.extents() {
		todo += e.Length
	}
	for p, err := range r.Image.Pieces(ctx, r.extents()) {
		if err != nil {
			return err
		}
		r.Meter.tick()
		if at := ivd.SpanIndex(p.Offset / g.SpanSize()); at != span {
			if err := r.between(ctx, span, at); err != nil {
				p.Release()
				return err
			}
			span = at
		}
		done += p.Length
		r.Meter.add(ivd.Stats{DiskBytes: p.Length})
		r.begin(ctx, p)
	}
	if done != todo {
		return ivd.Errorf(ivd.Permanent, "restore to disk %s: %d bytes are done of %d", r.Job.Disk.Ref.ID(), done, todo)
	}
	return r.seal(ctx, r.end(), true)
}

// extents yields what is left of the job's pages.
func (r *restore) extents() iter.Seq[ivd.Extent] {
	g := r.Job.Geometry
	return func(yield func(ivd.Extent) bool) {
		for _, ref := range r.Job.Restore.Pages {
			first, end := max(ref.Page.FirstSpan(), r.From.Next), pageEnd(g, ref.Page)
			if first >= end {
				continue
			}
			off := g.Span(first).Offset
			if !yield(ivd.Extent{Offset: off, Length: g.Span(end-1).End() - off}) {
				return
			}
		}
	}
}

// end is the first span after the job.
func (r *restore) end() ivd.SpanIndex {
	pages := r.Job.Restore.Pages
	return pageEnd(r.Job.Geometry, pages[len(pages)-1].Page)
}

// between is where a span has been begun whole, and the next one not.
func (r *restore) between(ctx context.Context, last, next ivd.SpanIndex) error {
	stop := stopped(r.Stop)
	if last < 0 || !stop && !r.due() {
		return nil
	}
	if err := r.seal(ctx, next, false); err != nil {
		return err
	}
	if stop {
		return ErrStopped
	}
	return nil
}

// begin writes a piece; zeros are left out where the disk reads as zeros anyway.
func (r *restore) begin(ctx context.Context, p *image.Piece) {
	if p.Data == nil {
		p.Release()
		return
	}
	r.underway.Add(1)
	r.group.Go(func() error {
		defer r.underway.Done()
		defer p.Release()
		err := r.write(ctx, p.Data, p.Offset)
		if err != nil {
			r.failed.Store(true)
		}
		return err
	})
}

func (r *restore) write(ctx context.Context, buf []byte, off int64) error {
	return r.requests.do(ctx, buf, off, func(ctx context.Context, buf []byte, off int64) error {
		if err := r.Target.WriteAt(ctx, buf, off); err != nil {
			return err
		}
		r.Meter.tick()
		r.Meter.add(ivd.Stats{WrittenBytes: int64(len(buf))})
		return nil
	})
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
