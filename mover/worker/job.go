package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"ivdmover/mover/disk"
	"ivdmover/mover/pipeline"
	"ivdmover/shared/format"
	"ivdmover/shared/image"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/pause"
	"ivdmover/shared/queue"
	"ivdmover/shared/repo"
	"ivdmover/shared/telemetry"
)

const (
	// leaseNeed is how much of its lease a job needs, before the margin, to be worth
	// the beginning.
	leaseNeed = 10 * time.Minute
	// loginPatience is how long a login is asked for while no coordinator answers.
	loginPatience = 2 * time.Minute
	// settleTime is how long a job that ended may take to say so.
	settleTime = 30 * time.Second
)

// errLater: this mover cannot do the job now; it goes back and waits.
var errLater = errors.New("not now, or not here")

// errHeld: a process of ours holds the disk, which has made the attempt before and hangs,
// or has died and its host does not know yet.
var errHeld = errors.New("the disk is locked by an earlier attempt at this job")

// attempt is one attempt at a job.
type attempt struct {
	w      *Worker
	a      *active
	job    *job.Job
	log    *slog.Logger
	record *record
}

// do does a job from its delivery to its acknowledgement.
func (w *Worker) do(ctx context.Context, a *active) {
	own := a.delivery.Job // the attempt changes it, and heartbeats read the delivery's
	j := &own
	t := &attempt{w: w, a: a, job: j, log: w.Log.With(telemetry.Run(j.Run), telemetry.Disk(j.Disk.Ref.ID()), telemetry.Job(j.ID))}
	attemptCtx, lose := context.WithCancelCause(ctx)
	defer lose(nil)
	a.lose = lose

	err := t.run(attemptCtx)
	// Whatever the end of the context made of it:
	switch cause := context.Cause(attemptCtx); {
	case err == nil, errors.Is(err, pipeline.ErrStopped):
	case ctx.Err() != nil:
		err = errEnded
	case cause != nil:
		err = cause
	}
	// Ended or not, the outcome is worth some seconds more.
	settle, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTime)
	defer cancel()
	t.settle(settle, err)
	w.give(a)
	if err := w.beat(settle); err != nil {
		t.log.Debug("sending a heartbeat failed", "err", err)
	}
}

// run is the attempt itself. When it returns, the disk is closed.
func (t *attempt) run(ctx context.Context) error {
	if err := t.w.beat(ctx); err != nil { // the disk is seen as held before it is
		return fmt.Errorf("%w: %w", errLater, err)
	}
	heart := t.a.delivery.Heart(ctx)
	defer heart.Stop()
	t.a.setHeart(heart)
	defer t.a.setHeart(nil)

	if t.w.stopping() {
		return pipeline.ErrStopped
	}
	err := t.ours()
	if err != nil {
		return err
	}
	if t.record, err = claim(ctx, t.w.Queue, t.job, t.w.signer, func(rec job.Record) (bool, error) { return t.ready(ctx, rec) }); err != nil {
		return err
	}
	t.job.Lease = t.record.rec.Lease
	t.a.hold(true)
	defer t.a.hold(false)
	t.log = t.log.With(telemetry.Attempt(t.record.rec.Attempt))
	t.log.Info("job started", "kind", t.job.Kind, "name", t.job.Name, "from_span", t.record.rec.Next)

	if t.job.Kind == job.Verify {
		suspects, err := t.verify(ctx)
		t.a.hold(false)
		return t.examine(ctx, suspects, err)
	}
	d, err := t.open(ctx)
	if holder := t.record.rec.Holder; holder != "" && ivd.KindOf(err) == ivd.Locked {
		return fmt.Errorf("%w, mover %s: %w", errHeld, holder, err)
	}
	if err != nil {
		return err
	}
	t.a.opened(d)
	t.record.opened(d.Transport(), d.Refused())
	t.tellRefused(ctx, d)
	var suspects []image.Suspect
	if t.job.Kind == job.Restore {
		suspects, err = t.restore(ctx, d)
	} else {
		err = t.backup(ctx, d)
	}
	if closeErr := d.Close(); err == nil {
		err = closeErr
	}
	t.a.hold(false)
	return t.examine(ctx, suspects, err)
}

// ours refuses a job for another repository than this mover's, and one for an encrypted
// repository where this mover's is plain, or has another root: nothing is written to that.
func (t *attempt) ours() error {
	r := t.w.Repository
	switch {
	case t.job.Repository != r.ID():
		return fmt.Errorf("%w: it is for repository %s, this mover has %s", errLater, t.job.Repository, r.ID())
	case t.job.Root != r.Root():
		return &ivd.Error{
			Kind: ivd.Denied, Err: fmt.Errorf("%w: for its coordinator %s, and for this mover %s", errLater, rooted(t.job.Root), rooted(r.Root())),
			Remedy: "find out who changed repo.json; then restart this mover",
		}
	}
	return nil
}

// rooted says what a repository is by its root key.
func rooted(root ivd.KeyID) string {
	if root.IsZero() {
		return "the repository is plain"
	}
	return "the repository has root key " + root.String()
}

// ready refuses a job that this process cannot do, and one whose lease ends too soon, unless it is a restore that reads
// without one, and waits where a job is to have no neighbours.
func (t *attempt) ready(ctx context.Context, rec job.Record) (waited bool, err error) {
	if rec.CannotBy(t.w.Name, t.w.process) || t.w.passes.leaves(t.w.Name, t.job) {
		return false, errElsewhere
	}
	if r := t.job.Restore; r == nil || !r.WithoutLease {
		if err := t.leased(ctx, rec.Lease); err != nil {
			return false, err
		}
	}
	if rec.Lost < aloneFrom || rec.Lost >= maxLost {
		return false, nil
	}
	return true, t.w.beAlone(ctx, t.a)
}

// leased tells a lease that lasts too short for the job, which the run will follow by
// another one, from one that is over.
func (t *attempt) leased(ctx context.Context, lease ivd.LeaseID) error {
	err := t.w.Repository.CheckLease(ctx, lease, leaseNeed)
	if ivd.KindOf(err) == ivd.Expired {
		if over := t.w.Repository.CheckLease(ctx, lease, 0); ivd.KindOf(over) == ivd.Expired {
			return fmt.Errorf("%w: %w", errOver, over)
		}
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errLater, err)
	}
	return nil
}

// open opens the job's disk: read-only at its snapshot for a backup, to be written
// for a restore.
func (t *attempt) open(ctx context.Context) (*disk.Disk, error) {
	question := job.LoginRequest{Run: t.job.Run, Disk: t.job.Disk.Ref, Job: t.job.ID}
	login, err := t.w.login(ctx, question, t.a.touch)
	if err != nil {
		return nil, err
	}
	s := disk.Spec{
		Run: t.job.Run, Disk: t.job.Disk, Login: login, Write: t.job.Kind == job.Restore,
		Identity: t.job.Identity, Allows: bearing(login, t.job.Allows),
	}
	if t.job.Backup != nil {
		s.Snapshot = t.job.Backup.Snapshot
	}
	d, err := t.w.Disks.Open(ctx, s)
	if ivd.KindOf(err) == ivd.Expired { // between the answer and its use
		t.a.touch()
		if s.Login, err = t.w.login(ctx, question, t.a.touch); err == nil {
			s.Allows = bearing(s.Login, t.job.Allows)
			d, err = t.w.Disks.Open(ctx, s)
		}
	}
	if err != nil {
		return nil, err
	}
	t.a.touch()
	if err := d.CheckCapacity(t.job.Geometry.Capacity, s.Write); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// login asks for a disk's login, for a job or with a warrant, for a while where no
// coordinator answers: it may be starting again.
func (w *Worker) login(ctx context.Context, req job.LoginRequest, touch func()) (job.Login, error) {
	req.Version, req.Mover, req.Process = job.Version, w.Name, w.process
	var l job.Login
	err := patiently(ctx, touch, func(ctx context.Context) (err error) {
		l, err = w.Queue.AskLogin(ctx, req, w.key)
		return err
	})
	return l, err
}

// patiently asks a coordinator for a while where none answers: it may be starting again.
func patiently(ctx context.Context, touch func(), ask func(context.Context) error) error {
	again := pause.Backoff{
		First: 250 * time.Millisecond, Cap: 5 * time.Second, Patience: loginPatience,
		Retry: func(err error, _ int) bool { return ivd.KindOf(err) == ivd.Transient },
	}
	return again.Do(ctx, func(ctx context.Context) error {
		err := ask(ctx)
		touch()
		return err
	})
}

func (t *attempt) backup(ctx context.Context, d *disk.Disk) error {
	l, release, err := t.w.writers.get(ctx, t.job.Lease, t.claim())
	if err != nil {
		return err
	}
	defer release()
	return pipeline.Backup{
		Job: *t.job, From: t.record.rec, Source: d, Repository: t.w.Repository,
		Writer: l.writer, Trust: l.trust, Index: l.index,
		Memory: t.w.Memory, Meter: &t.a.meter, Limits: t.w.Limits, Stop: t.w.stop, InFlight: d.Tuning().Depth, Request: d.Tuning().Request,
		Checkpoint: func(ctx context.Context, b pipeline.Batch) error { return t.seal(ctx, d, b) },
	}.Run(ctx)
}

// restore writes the job's part of the point. Suspects are the packs of which it could not
// read something.
func (t *attempt) restore(ctx context.Context, d *disk.Disk) (suspects []image.Suspect, err error) {
	im, err := pipeline.OpenImage(ctx, t.w.Repository, *t.job, t.reading(d.Tuning().Request))
	if err != nil {
		return nil, err
	}
	defer im.Close(ctx)
	err = pipeline.Restore{
		Job: *t.job, From: t.record.rec, Target: d, Image: im,
		Meter: &t.a.meter, Limits: t.w.Limits, Stop: t.w.stop, InFlight: d.Tuning().Depth, Request: d.Tuning().Request,
		Checkpoint: func(ctx context.Context, b pipeline.Batch) error { return t.seal(ctx, d, b) },
	}.Run(ctx)
	return im.Suspects(), err
}

// claim names the job as this process's.
func (t *attempt) claim() job.Claim {
	return job.Claim{Mover: t.w.Name, Process: t.w.process, Run: t.job.Run, Disk: t.job.Disk.Ref, Job: t.job.ID}
}

// reading is how a restore reads. In an encrypted repository this process can neither read
// points, nor sign leases, nor open packs: what is in the point the job says, and for the
// rest the coordinator is asked.
func (t *attempt) reading(request int64) pipeline.Reading {
	how := pipeline.Reading{
		Memory: t.w.Memory, Request: request, Mover: t.w.Name,
		Open: func(ctx context.Context, lease ivd.LeaseID, point ivd.PointID) (repo.Lease, format.Point, error) {
			return t.w.readers.get(ctx, lease, point, t.job)
		},
	}
	if !t.w.Repository.ReadsPoints() {
		how.Renew = t.nextLease()
	}
	if t.w.Repository.OpensChunks() != nil {
		how.Keys = &keychain{w: t.w, claim: t.claim(), touch: t.a.touch}
	}
	return how
}

// nextLease tells the lease that the run goes on under, once it is another one than before:
// the job's record has it.
func (t *attempt) nextLease() func(context.Context) (ivd.LeaseID, error) {
	last := t.job.Lease
	return func(ctx context.Context) (ivd.LeaseID, error) {
		rec, _, err := t.w.Queue.JobRecord(ctx, t.job.Run, t.job.Key(), t.job.ID)
		if err == nil && rec.Lease == last {
			err = ivd.Errorf(ivd.Transient, "the run has no other lease yet")
		}
		if err != nil {
			return "", err
		}
		last = rec.Lease
		return last, nil
	}
}

// seal stores a checkpoint. With the last one the job is done, and its snapshot may
// go at once: so the disk is closed before.
func (t *attempt) seal(ctx context.Context, d *disk.Disk, b pipeline.Batch) error {
	if b.Done {
		if err := d.Close(); err != nil {
			return err
		}
		t.a.hold(false)
	}
	return t.store(ctx, b)
}

// store stores a checkpoint of a job whose disk may be closed.
func (t *attempt) store(ctx context.Context, b pipeline.Batch) error {
	if err := t.record.seal(ctx, t.job.Lease, b); err != nil {
		return err
	}
	t.log.Debug("batch sealed", "next_span", b.Next, "stored_bytes", b.Stats.StoredBytes)
	if !b.Done && t.record.rec.Lease != t.job.Lease {
		return errSucceeded
	}
	return nil
}

func (a *active) setHeart(h *queue.Heart) {
	a.mu.Lock()
	a.heart = h
	a.mu.Unlock()
}

func (a *active) hold(held bool) {
	a.mu.Lock()
	a.held = held
	a.mu.Unlock()
}
