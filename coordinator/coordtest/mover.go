package coordtest

import (
	"context"
	"crypto/ed25519"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"ivdmover/coordinator/plan"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/pause"
	"ivdmover/shared/queue"
	"ivdmover/shared/repo"
	"ivdmover/shared/sealed"
)

// Puppet is a mover without VDDK: it answers every question, and of each job it
// stores one chunk, a node and a page.
type Puppet struct {
	b    *Bench
	q    *queue.Queue
	name string

	process string
	login   *sealed.Key
	signer  ed25519.PrivateKey

	mu      sync.Mutex
	asked   []job.Op                                // guarded by mu, like all below
	jobs    []job.Job                               // in the order of their attempts
	Answer  func(job.Request) error                 // nil: success
	Work    func(context.Context, job.Record) error // before the job is done; nil: nothing
	Damaged func(job.Record) []ivd.Damage           // what a job has found that failed; nil: nothing
	Why     string                                  // why it takes no restores; empty: it does
	active  []job.Active
}

// Mover starts a puppet, changed before it begins.
func (b *Bench) Mover(name string, changes ...func(*Puppet)) *Puppet {
	b.Helper()
	p := &Puppet{b: b, q: b.Connect(), name: name, process: uuid.NewString()}
	for _, change := range changes {
		change(p)
	}
	var err error
	p.login, err = sealed.NewKey()
	b.Must(err)
	_, p.signer, err = ed25519.GenerateKey(nil)
	b.Must(err)
	ctx, cancel := context.WithCancel(context.Background())
	p.beat(ctx, 1)
	stop, err := p.q.ServeRequests(ctx, name, p.serve)
	b.Must(err)
	var group sync.WaitGroup
	group.Go(func() {
		for n := uint64(2); pause.For(ctx, time.Second/2) == nil; n++ {
			p.beat(ctx, n)
		}
	})
	group.Go(func() { p.pull(ctx, job.Backup) })
	group.Go(func() { p.pull(ctx, job.Verify) })
	if p.Why == "" {
		group.Go(func() { p.pull(ctx, job.Restore) })
	}
	b.Cleanup(func() { stop(); cancel(); group.Wait() })
	return p
}

func (p *Puppet) beat(ctx context.Context, n uint64) {
	p.mu.Lock()
	active, why := p.active, p.Why
	p.mu.Unlock()
	_ = p.q.Beat(ctx, job.Mover{NoRestore: why, Version: job.Version, Name: p.name, Process: p.process, Beat: n, PublicKey: p.login.Public(), VerifyKey: p.signer.Public().(ed25519.PublicKey), Handles: 2, Free: 2, Active: active})
}

// Set changes the puppet.
func (p *Puppet) Set(change func(*Puppet)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(p)
}

// Times counts how often something was asked.
func (p *Puppet) Times(op job.Op) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, o := range p.asked {
		if o == op {
			n++
		}
	}
	return n
}

// Questions are those that were asked, in order.
func (p *Puppet) Questions() []job.Op {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.asked)
}

// Began are the attempts so far.
func (p *Puppet) Began() []job.Job {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.jobs)
}

func (p *Puppet) serve(ctx context.Context, r job.Request) job.Reply {
	p.mu.Lock()
	p.asked = append(p.asked, r.Op)
	answer := p.Answer
	p.mu.Unlock()
	reply := job.Reply{Version: job.Version, Capacity: 1 << 20}
	if r.Op == job.Inspect {
		if d, err := p.b.VC.Disk(ctx, r.Disk.Ref); err == nil {
			reply.Capacity = d.Capacity
		}
	}
	if answer != nil {
		reply.Failure = ivd.FailureOf(answer(r))
	}
	return reply
}

func (p *Puppet) pull(ctx context.Context, kind job.Kind) {
	jobs := p.q.Jobs(kind)
	var group sync.WaitGroup
	defer group.Wait()
	for ctx.Err() == nil {
		got, err := jobs.Fetch(ctx, 1)
		if err != nil {
			return
		}
		for _, d := range got {
			group.Go(func() {
				err := p.do(ctx, d.Job)
				if err == nil {
					_ = d.Ack(ctx)
				} else if errors.Is(err, errElsewhere) {
					_ = d.Return(ctx, 100*time.Millisecond)
				}
			})
		}
	}
}

// errElsewhere: the puppet has found that it cannot do the job.
var errElsewhere = errors.New("another mover may do it")

// do does a job as a mover does: it counts the attempt, and stores how it ended.
func (p *Puppet) do(ctx context.Context, j job.Job) error {
	rec, rev, err := p.q.JobRecord(ctx, j.Run, j.Key(), j.ID)
	if err != nil || rec.State == job.Done || rec.State == job.Failed {
		return nil
	}
	if rec.CannotBy(p.name, p.process) {
		return errElsewhere
	}
	rec.Attempt++
	rec.State, rec.Mover, rec.Process = job.Running, p.name, p.process
	if rev, err = p.q.UpdateJobRecord(ctx, rec, rev); err != nil {
		return err
	}
	j.Lease = rec.Lease
	p.mu.Lock()
	p.jobs = append(p.jobs, j)
	work := p.Work
	p.mu.Unlock()
	if work != nil {
		err = work(ctx, rec)
	}
	switch {
	case err != nil:
	case j.Verify != nil && j.Restore == nil: // of packs: it finds all of them whole
		rec.State, rec.Next = job.Done, 1
	case j.Restore != nil: // it writes nothing
		rec.State, rec.Stats = job.Done, ivd.Stats{DiskBytes: j.Geometry.Capacity, WrittenBytes: 1}
	default:
		err = p.store(ctx, j, &rec)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		rec.State, rec.Failure = job.Failed, ivd.FailureOf(err)
		if rec.Failure.Kind == ivd.Unsupported {
			rec.Unable = append(slices.Clip(rec.Unable), job.Unable{Mover: p.name, Process: p.process, Reason: rec.Failure.Message})
		}
		p.mu.Lock()
		damaged := p.Damaged
		p.mu.Unlock()
		if damaged != nil {
			rec.Damaged = damaged(rec)
		}
	}
	if rec.State == job.Done {
		if err := rec.Sign(p.name, p.process, p.signer); err != nil {
			return err
		}
	}
	return p.end(ctx, rec, rev)
}

// end stores how a job ended, though its run has another lease meanwhile.
func (p *Puppet) end(ctx context.Context, rec job.Record, rev uint64) error {
	_, err := p.q.UpdateJobRecord(ctx, rec, rev)
	if ivd.KindOf(err) != ivd.Conflict {
		return err
	}
	there, rev, readErr := p.q.JobRecord(ctx, rec.Run, rec.Disk, rec.ID)
	if readErr != nil || there.Lease == rec.Lease || there.State != job.Running || there.Attempt != rec.Attempt {
		return errors.Join(err, readErr)
	}
	rec.Lease = there.Lease
	return p.end(ctx, rec, rev)
}

// store makes the job's first page of one span with one chunk, and seals it.
func (p *Puppet) store(ctx context.Context, j job.Job, rec *job.Record) error {
	lease, err := p.b.Repo.Begin(ctx, j.Lease, repo.Writing)
	if err != nil {
		return err
	}
	w, err := p.b.Repo.NewWriter(lease, ivd.NewWriterID(), "")
	if err != nil {
		return err
	}
	g, page := j.Geometry, j.Backup.Pages[0]
	put := func(pk format.PackKind, fk format.FrameKind, plain []byte) (id ivd.ContentID, place ivd.Place, at time.Time, err error) {
		pack := w.NewPack(pk)
		id = p.b.Repo.Suite().ID(plain)
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
	rec.State, rec.SealedUnder, rec.SealedAt, rec.Incarnation, rec.Batches = job.Done, j.Lease, at, lease.Incarnation, rec.Batches+1
	rec.Pages = []ivd.PageRef{{Page: page, ID: id, Place: place}}
	rec.Stats = ivd.Stats{DiskBytes: covered(j), ReadBytes: max(int64(len(chunk)), plan.Planned(j)), ZeroBytes: plan.Planned(j), StoredBytes: 1, Packs: 3}
	return nil
}

// covered is how much of the disk a job's pages are.
func covered(j job.Job) (n int64) {
	for _, p := range j.Backup.Pages {
		n += min(j.Geometry.PageSize(), j.Geometry.Capacity-int64(p)*j.Geometry.PageSize())
	}
	return n
}

// Last is a list's last element.
func Last[T any](list []T) T { return list[len(list)-1] }
