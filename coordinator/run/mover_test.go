package run

import (
	"context"
	"slices"
	"sync"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/pause"
	"ivdmover/shared/queue"
)

// puppet is a mover without VDDK: it answers every question, and of each job it
// stores one chunk, a node and a page.
type puppet struct {
	b    *bench
	q    *queue.Queue
	name string

	mu     sync.Mutex
	asked  []job.Op                                // guarded by mu, like all below
	jobs   []job.Job                               // in the order of their attempts
	answer func(job.Request) error                 // nil: success
	work   func(context.Context, job.Record) error // before the job is done; nil: nothing
	active []job.Active
}

func (b *bench) mover(name string) *puppet {
	b.Helper()
	p := &puppet{b: b, q: b.connect(), name: name}
	ctx, cancel := context.WithCancel(context.Background())
	p.beat(ctx, 1)
	stop, err := p.q.ServeRequests(ctx, name, p.serve)
	b.must(err)
	var group sync.WaitGroup
	group.Go(func() {
		for n := uint64(2); pause.For(ctx, time.Second/2) == nil; n++ {
			p.beat(ctx, n)
		}
	})
	group.Go(func() { p.pull(ctx) })
	b.Cleanup(func() { stop(); cancel(); group.Wait() })
	return p
}

func (p *puppet) beat(ctx context.Context, n uint64) {
	p.mu.Lock()
	active := p.active
	p.mu.Unlock()
	_ = p.q.Beat(ctx, job.Mover{Version: job.Version, Name: p.name, Process: "p", Beat: n, Handles: 2, Free: 2, Active: active})
}

func (p *puppet) set(change func(*puppet)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(p)
}

func (p *puppet) times(op job.Op) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, o := range p.asked {
		if o == op {
			n++
		}
	}
	return n
}

// began are the attempts so far.
func (p *puppet) began() []job.Job {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.jobs)
}

func (p *puppet) serve(ctx context.Context, r job.Request) job.Reply {
	p.mu.Lock()
	p.asked = append(p.asked, r.Op)
	answer := p.answer
	p.mu.Unlock()
	reply := job.Reply{Version: job.Version, Capacity: 1 << 20}
	if r.Op == job.Inspect {
		if d, err := p.b.vc.Disk(ctx, r.Disk); err == nil {
			reply.Capacity = d.Capacity
		}
	}
	if answer != nil {
		reply.Failure = ivd.FailureOf(answer(r))
	}
	return reply
}

func (p *puppet) pull(ctx context.Context) {
	jobs := p.q.Jobs(job.Backup)
	var group sync.WaitGroup
	defer group.Wait()
	for ctx.Err() == nil {
		got, err := jobs.Fetch(ctx, 1)
		if err != nil {
			return
		}
		for _, d := range got {
			group.Go(func() {
				if p.do(ctx, d.Job) == nil {
					_ = d.Ack(ctx)
				}
			})
		}
	}
}

// do does a job as a mover does: it counts the attempt, and stores how it ended.
func (p *puppet) do(ctx context.Context, j job.Job) error {
	rec, rev, err := p.q.JobRecord(ctx, j.Run, j.Disk.ID(), j.ID)
	if err != nil || rec.State == job.Done || rec.State == job.Failed {
		return nil
	}
	rec.Attempt++
	rec.State, rec.Mover, rec.Process = job.Running, p.name, "p"
	if rev, err = p.q.UpdateJobRecord(ctx, rec, rev); err != nil {
		return err
	}
	p.mu.Lock()
	p.jobs = append(p.jobs, j)
	work := p.work
	p.mu.Unlock()
	if work != nil {
		err = work(ctx, rec)
	}
	if err == nil {
		err = p.store(ctx, j, &rec)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		rec.State, rec.Failure = job.Failed, ivd.FailureOf(err)
	}
	_, err = p.q.UpdateJobRecord(ctx, rec, rev)
	return err
}

// store makes the job's first page of one span with one chunk, and seals it.
func (p *puppet) store(ctx context.Context, j job.Job, rec *job.Record) error {
	lease, err := p.b.repo.Begin(ctx, j.Lease)
	if err != nil {
		return err
	}
	w := p.b.repo.NewWriter(lease, ivd.NewWriterID(), "")
	g, page := j.Geometry, j.Backup.Pages[0]
	put := func(pk format.PackKind, fk format.FrameKind, plain []byte) (id ivd.ContentID, place ivd.Place, at time.Time, err error) {
		pack := format.NewPack(w.PackHeader(pk))
		id = format.Sum(plain)
		stored, how := format.Compress(nil, plain, 1)
		place.Offset, place.Length = pack.Add(fk, id, len(plain), how, stored)
		place.PackRef, _, at, err = w.PutPack(ctx, pack)
		return id, place, at, err
	}
	chunk := make([]byte, min(g.ChunkSize, g.Capacity))
	copy(chunk, string(j.Run)+string(j.ID))
	id, place, _, err := put(format.DataPack, format.ChunkFrame, chunk)
	if err != nil {
		return err
	}
	node := format.NewNode(g, page.FirstSpan())
	node.Set(0, id, place)
	body, err := node.Encode()
	if err != nil {
		return err
	}
	if id, place, _, err = put(format.IndexPack, format.NodeFrame, body); err != nil {
		return err
	}
	pg := format.NewPage(g, page)
	pg.SetNode(ivd.NodeRef{Span: page.FirstSpan(), ID: id, Place: place}, node.Packs)
	if body, err = pg.Encode(); err != nil {
		return err
	}
	id, place, at, err := put(format.IndexPack, format.PageFrame, body)
	if err != nil {
		return err
	}
	rec.State, rec.Lease, rec.SealedAt, rec.Batches = job.Done, j.Lease, at, rec.Batches+1
	rec.Pages = []ivd.PageRef{{Page: page, ID: id, Place: place}}
	rec.Stats = ivd.Stats{DiskBytes: g.Capacity, ReadBytes: int64(len(chunk)), StoredBytes: 1, Packs: 3}
	return nil
}
