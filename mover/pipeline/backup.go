package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"ivdmover/shared/budget"
	"ivdmover/shared/format"
	"ivdmover/shared/index"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/repo"
	"ivdmover/shared/trust"
)

// Backup is one job's part of a disk on its way into a repository.
type Backup struct {
	Job        job.Job
	From       job.Record // the checkpoint to go on from
	Source     Source
	Repository *repo.Repository
	Writer     *repo.Writer
	Trust      *trust.Trust // of the writer's lease
	Index      *index.Index // likewise
	Memory     *budget.Memory
	Meter      *Meter
	Limits     Limits
	InFlight   int   // requests on the one handle; 0: 8
	Request    int64 // bytes of one at most; 0: 1 MiB

	// Checkpoint stores what a batch has come to. Its error ends the job.
	Checkpoint func(context.Context, Batch) error
	// Stop, closed, asks for the end: the span under way is finished and its batch
	// sealed.
	Stop <-chan struct{}
}

// What one disk has in flight, beside what it reserves.
const (
	ownPieces    = 2       // reserved
	extraPieces  = 14      // taken from what is free
	extraPacks   = 4       // likewise: being stored while the next one is filled
	extraIndexes = 3       // likewise: a batch of more spans
	indexCost    = 7 << 20 // of indexSpans: their entries, and their nodes when they are sealed
	indexSpans   = 256
	packFrames   = 1 << 15 // of a pack at most, so that its directory stays small
	level        = 3       // of zstd
	decideAhead  = 32      // spans whose parent's nodes are asked for before it is their turn
	allocatedFor = 128     // spans whose allocated map is asked for at once
)

// packCost is what a pack that is being filled or stored counts, its directory
// included.
func packCost(packSize int) int64 { return int64(packSize) + 2<<20 }

// BackupMemory is what a backup of a disk that is cut so, and read with such
// requests, reserves where packs are of that size.
func BackupMemory(g ivd.Geometry, request int64, packSize int) int64 {
	return packCost(packSize) + indexCost + ownPieces*pieceCost(g, request)
}

// Run does the job, or what is left of it. It returns nil when all is stored and
// the last checkpoint says so, and ErrStopped when it was asked to stop.
func (b Backup) Run(ctx context.Context) error {
	if err := b.check(); err != nil {
		return &ivd.Error{Kind: ivd.Invalid, Op: fmt.Sprintf("back up disk %s", b.Job.Disk.Ref.ID()), Err: err}
	}
	packSize := b.Repository.PackSize()
	b.Limits.defaults(packSize)
	need := BackupMemory(b.Job.Geometry, b.Request, packSize)
	if err := reserve(ctx, b.Memory, need); err != nil {
		return err
	}
	defer b.Memory.Release(need)

	r := newBackup(b)
	defer r.workspaces.Close()
	defer r.packs.Close()
	defer r.indexes.Close()
	if err := r.resume(ctx); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	r.group = g
	decided := make(chan chan *span, decideAhead)
	spans := make(chan *span, decideAhead)
	g.Go(func() error { return closing(decided, r.decideAll(ctx, decided)) })
	g.Go(func() error { return closing(spans, r.readAhead(ctx, decided, spans)) })
	g.Go(func() error { return r.storeAll(ctx, spans) })
	return g.Wait()
}

// check refuses a job that no plan makes, before its figures are used.
func (b *Backup) check() error {
	g, spec := b.Job.Geometry, b.Job.Backup
	if err := g.Validate(); err != nil {
		return err
	}
	if spec == nil || len(spec.Pages) == 0 {
		return errors.New("a backup job without pages")
	}
	last := ivd.PageIndex(-1)
	for _, p := range spec.Pages {
		if p <= last || p >= g.Pages() {
			return fmt.Errorf("page %d after page %d of %d", p, last, g.Pages())
		}
		last = p
	}
	if spec.Unread == job.UnreadParent && (spec.Parent == nil || spec.Allocated) {
		return errors.New("chunks that are not read are the parent's, and there is none")
	}
	if p := spec.Parent; p != nil {
		if err := p.Geometry.Validate(); err != nil {
			return fmt.Errorf("parent: %w", err)
		}
		if p.Geometry.ChunkSize != g.ChunkSize {
			return fmt.Errorf("chunks of %d bytes on a parent's of %d", g.ChunkSize, p.Geometry.ChunkSize)
		}
	}
	return nil
}

// backup is a Backup under way.
type backup struct {
	Backup
	job   *job.Job
	group *errgroup.Group

	workspaces *budget.Lane[workspace]
	packs      *budget.Lane[*format.Pack]
	indexes    *budget.Lane[struct{}] // slots are held until the batch is sealed
	requests   requests
	uploads    chan struct{} // a token for each pack that is being stored
	parent     *parent
	pending    *pending

	next ivd.SpanIndex // where to begin

	// owned by storeAll
	batch   batchState
	known   map[ivd.PackID]*pack
	filling *pack
	page    *pageState
	pages   []ivd.PageRef
}

func newBackup(b Backup) *backup {
	g := b.Job.Geometry
	b.Trust = b.Trust.ForJob()
	r := &backup{
		Backup: b, job: &b.Job,
		requests: newRequests(b.InFlight, b.Request),
		uploads:  make(chan struct{}, extraPacks),
		parent:   &parent{repository: b.Repository, trust: b.Trust, of: b.Job.Backup.Parent, tick: b.Meter.tick},
		pending:  &pending{entries: map[ivd.ContentID]entry{}},
		known:    map[ivd.PackID]*pack{},
		batch:    batchState{begun: time.Now()},
	}
	r.workspaces = budget.NewLane(b.Memory, pieceCost(g, b.Request), ownPieces, extraPieces,
		func() workspace { return newWorkspace(b.Memory, g, b.Request) }, dropWorkspace)
	pack := packCost(b.Repository.PackSize())
	r.packs = budget.NewLane(b.Memory, pack, 1, extraPacks, func() *format.Pack { return newPack(pack) }, func(*format.Pack) {})
	r.indexes = budget.NewLane(b.Memory, indexCost, 1, extraIndexes, func() struct{} { return struct{}{} }, func(struct{}) {})
	return r
}

// newPack makes a pack's memory at once: it is what a slot counts.
func newPack(bytes int64) *format.Pack {
	p := new(format.Pack)
	p.Grow(int(bytes))
	return p
}

// decideAll decides, page by page and span by span, what is to be read. Spans
// that need the parent's node wait for it beside each other.
func (b *backup) decideAll(ctx context.Context, decided chan<- chan *span) error {
	work := newWork(b.job, b.Source, b.Meter)
	g := b.job.Geometry
	for _, index := range b.job.Backup.Pages {
		first := index.FirstSpan()
		if pageEnd(g, index) <= b.next {
			continue
		}
		page, err := b.parent.page(ctx, index, g, work.builds(index))
		if err != nil {
			return err
		}
		for i := range g.PageSpans(index) {
			s := &span{index: first + ivd.SpanIndex(i), page: page}
			if s.index < b.next {
				continue
			}
			if s.read, err = work.read(ctx, s.index); err != nil {
				return err
			}
			if err := b.decideOne(ctx, s, decided); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *backup) decideOne(ctx context.Context, s *span, decided chan<- chan *span) error {
	answer := make(chan *span, 1)
	select {
	case decided <- answer:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if b.decideEasily(s) {
		answer <- s
		return nil
	}
	b.group.Go(func() error {
		if err := b.decide(ctx, s); err != nil {
			return err
		}
		answer <- s
		return nil
	})
	return nil
}

// readAhead reads the pieces of the spans in order, as many at once as there is
// memory for.
func (b *backup) readAhead(ctx context.Context, decided <-chan chan *span, spans chan<- *span) error {
	var before <-chan struct{} // of the last piece
	for {
		answer, more, err := next(ctx, decided)
		if err != nil || !more {
			return err
		}
		s, _, err := next(ctx, answer)
		if err != nil {
			return err
		}
		list := pieces(b.job.Geometry, b.Request, s.index, &s.read)
		s.pieces = list
		select {
		case spans <- s: // whose it is from here on
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		for _, p := range list {
			if p.slot, err = b.workspaces.Get(ctx); err != nil {
				return err
			}
			p.after, before = before, p.looked
			b.group.Go(func() error {
				defer close(p.done)
				p.err = b.process(ctx, s, p)
				return p.err
			})
		}
	}
}

// storeAll takes the spans in order: their chunks into packs, and at the end of
// a batch their nodes into an index pack.
func (b *backup) storeAll(ctx context.Context, spans <-chan *span) error {
	done := 0
	for {
		s, more, err := next(ctx, spans)
		if err != nil {
			return err
		}
		if !more {
			break
		}
		if err := b.store(ctx, s); err != nil {
			return err
		}
		done++
		stop := stopped(b.Stop)
		if !stop && !b.batch.due(b.Limits) && b.roomForSpan() {
			continue
		}
		if stop && s.index+1 == b.end() {
			break // that was the last one
		}
		if err := b.seal(ctx, s.index+1, false); err != nil {
			return err
		}
		if stop {
			return ErrStopped
		}
	}
	if want := b.todo(); done != want {
		return ivd.Errorf(ivd.Permanent, "back up disk %s: %d spans are done of %d", b.job.Disk.Ref.ID(), done, want)
	}
	return b.seal(ctx, b.end(), true)
}

// roomForSpan reports whether the batch may have one more span with chunks of its
// own; it never waits for memory to make it longer.
func (b *backup) roomForSpan() bool {
	for b.batch.own >= len(b.batch.indexes)*indexSpans {
		slot, ok := b.indexes.Try()
		if !ok {
			return false
		}
		b.batch.indexes = append(b.batch.indexes, slot)
	}
	return true
}

// end is the first span after the job.
func (b *backup) end() ivd.SpanIndex {
	pages := b.job.Backup.Pages
	return pageEnd(b.job.Geometry, pages[len(pages)-1])
}

// todo counts the job's spans from where it begins.
func (b *backup) todo() int {
	n := 0
	for _, p := range b.job.Backup.Pages {
		n += int(max(0, pageEnd(b.job.Geometry, p)-max(b.next, p.FirstSpan())))
	}
	return n
}

// pageEnd is the first span after a page.
func pageEnd(g ivd.Geometry, p ivd.PageIndex) ivd.SpanIndex {
	return p.FirstSpan() + ivd.SpanIndex(g.PageSpans(p))
}

// closing closes a channel when its sender has ended well. After an error it stays
// open: an end by error must not look like the end.
func closing[T any](c chan<- T, err error) error {
	if err == nil {
		close(c)
	}
	return err
}

// next takes the next value of a channel; more is false at its end. The end of the
// context is an error.
func next[T any](ctx context.Context, c <-chan T) (v T, more bool, err error) {
	select {
	case v, more = <-c:
		return v, more, nil
	case <-ctx.Done():
		return v, false, context.Cause(ctx)
	}
}
