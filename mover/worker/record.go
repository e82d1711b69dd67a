package worker

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"time"

	"ivdmover/mover/disk"
	"ivdmover/mover/pipeline"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/queue"
)

// maxLost is how many attempts in a row may be lost, with their movers, before a
// job is given up.
const maxLost = 5

// What the record may say to a worker.
var (
	// errForget: the job is done, or its run is over; the delivery is a leftover.
	errForget = errors.New("the job needs nothing any more")
	// errOver: the lease that the record names is over, or gone; the record says so.
	errOver = errors.New("the job's lease is over")
	// errLost: the record was changed by somebody else, whose job it is now.
	errLost = errors.New("the job is somebody else's now")
	// errSucceeded: the run goes on under another lease, and so does the job, from its
	// last batch.
	errSucceeded = errors.New("the run goes on under another lease")
	// errElsewhere: this process has tried the job and lacks what it needs.
	errElsewhere = errors.New("this mover cannot do the job, and another one may")
)

// signer vouches for what this process has sealed.
type signer struct {
	mover, process string
	key            ed25519.PrivateKey
}

func (s signer) public() []byte { return s.key.Public().(ed25519.PublicKey) }

func (s signer) sign(r *job.Record) error { return r.Sign(s.mover, s.process, s.key) }

// record is a job's record in the hands of the attempt that owns it.
type record struct {
	queue  *queue.Queue
	signer signer
	rec    job.Record
	stored job.Record // as it is in the bucket, as far as we know
	rev    uint64
}

// claim reads the record and counts an attempt in it, before it starts. ready is
// asked before, of a job that is to be done; it reports whether it had to wait.
func claim(ctx context.Context, q *queue.Queue, j *job.Job, by signer, ready func(job.Record) (waited bool, err error)) (*record, error) {
	rec, rev, err := q.JobRecord(ctx, j.Run, j.Key(), j.ID)
	if err == nil && (rec.State == job.Queued || rec.State == job.Running) {
		waited, notNow := ready(rec)
		if errors.Is(notNow, errOver) {
			r := &record{queue: q, rec: rec, stored: rec, rev: rev}
			r.rec.Attempt++ // the next message is another one than this, which is still on the queue
			if err := r.fail(ctx, &ivd.Error{Kind: ivd.Expired, Err: notNow}); err != nil {
				return nil, fmt.Errorf("%w: %w", errLater, err)
			}
		}
		if notNow != nil {
			return nil, notNow
		}
		if waited {
			rec, rev, err = q.JobRecord(ctx, j.Run, j.Key(), j.ID)
		}
	}
	switch {
	case ivd.KindOf(err) == ivd.NotFound:
		return nil, errForget
	case err != nil:
		return nil, err
	case rec.State == job.Done, rec.State == job.Failed:
		return nil, errForget // who wants another attempt sets it queued and publishes anew
	}
	r := &record{queue: q, signer: by, rec: rec, stored: rec, rev: rev}
	if rec.Lost >= maxLost {
		return r, &ivd.Error{
			Kind:   ivd.Permanent,
			Op:     fmt.Sprintf("job %s of disk %s", j.ID, j.Disk.Ref.ID()),
			Err:    fmt.Errorf("its last %d attempts ended with their movers, the last one on %s", rec.Lost, rec.Mover),
			Remedy: "look at that mover's log for VDDK's last lines",
		}
	}
	if rec.State == job.Running {
		r.rec.Holder = rec.Mover
	}
	r.rec.Attempt++
	r.rec.Lost++
	r.rec.State = job.Running
	r.rec.Mover, r.rec.Process = by.mover, by.process
	r.rec.Failure = nil
	return r, r.write(ctx)
}

// write stores the record as it is now; errLost when somebody else changed it. That
// the run has another lease now is taken into it.
func (r *record) write(ctx context.Context) error {
	for {
		rev, err := r.queue.UpdateJobRecord(ctx, r.rec, r.rev)
		if err == nil {
			r.rev, r.stored = rev, r.rec
			return nil
		}
		kind := ivd.KindOf(err)
		if kind != ivd.Conflict && kind != ivd.NotFound {
			return err
		}
		if kind == ivd.NotFound || !r.succeeded(ctx) {
			return fmt.Errorf("%w: %w", errLost, err)
		}
	}
}

// succeeded reports whether all that somebody else has changed is the lease.
func (r *record) succeeded(ctx context.Context) bool {
	there, rev, err := r.queue.JobRecord(ctx, r.rec.Run, r.rec.Disk, r.rec.ID)
	was := r.stored
	if err != nil || there.Lease == was.Lease || there.State != was.State || there.Attempt != was.Attempt || there.Process != was.Process || there.Batches != was.Batches {
		return false
	}
	r.rec.Lease, r.stored, r.rev = there.Lease, there, rev
	return true
}

// opened notes how the attempt moves the disk; it is stored with what comes next.
func (r *record) opened(transport string, refused []job.Refusal) {
	r.rec.Holder = ""
	if !slices.Contains(r.rec.Transports, transport) {
		r.rec.Transports = append(slices.Clone(r.rec.Transports), transport)
	}
	r.rec.Refused = refused
}

// seal stores a checkpoint. The attempt counts as lost no longer.
func (r *record) seal(ctx context.Context, lease ivd.LeaseID, b pipeline.Batch) error {
	r.rec.SealedUnder, r.rec.Lost = lease, 0
	r.rec.Next, r.rec.Pages, r.rec.Nodes = b.Next, slices.Clone(b.Pages), slices.Clone(b.Nodes)
	if !b.SealedAt.IsZero() {
		r.rec.SealedAt, r.rec.Incarnation = b.SealedAt, b.Incarnation
	}
	r.rec.Batches++
	r.rec.Stats.Add(b.Stats)
	r.rec.Unproven = append(slices.Clip(r.rec.Unproven), b.Unproven...)
	r.found(b.Damaged)
	if b.Done {
		r.rec.State = job.Done
	}
	if err := r.signer.sign(&r.rec); err != nil {
		return err
	}
	return r.write(ctx)
}

// found notes packs that the attempt has found damaged.
func (r *record) found(damaged []ivd.Damage) {
	for _, d := range damaged {
		if len(r.rec.Damaged) < maxDamaged && !slices.ContainsFunc(r.rec.Damaged, func(o ivd.Damage) bool { return o.Pack == d.Pack }) {
			r.rec.Damaged = append(slices.Clip(r.rec.Damaged), d)
		}
	}
}

// maxDamaged bounds what a record tells of damage: a record is one message.
const maxDamaged = 1000

// fail says why the attempt ended. Whether there is another one is decided by who
// reads it.
func (r *record) fail(ctx context.Context, err error) error {
	r.rec.State, r.rec.Lost, r.rec.Failure = job.Failed, 0, ivd.FailureOf(err)
	if f := r.rec.Failure; f.Kind == ivd.Unsupported {
		r.rec.Unable = append(slices.Clip(r.rec.Unable), job.Unable{Mover: r.signer.mover, Process: r.signer.process, Reason: f.Message})
	}
	if disk.MayHold(err) {
		r.rec.Holder = r.rec.Mover
	}
	return r.write(ctx)
}

// held says that the attempt could not begin, since one before holds the disk: it does
// not count as lost.
func (r *record) held(ctx context.Context) error {
	r.rec.State = job.Queued
	r.rec.Lost--
	return r.write(ctx)
}

// back says that the attempt ended in order before the job did.
func (r *record) back(ctx context.Context) error {
	r.rec.State, r.rec.Lost = job.Queued, 0
	return r.write(ctx)
}

// elsewhere is how long a job waits that this mover never can do, so that another one
// takes it.
const elsewhere = 3 * time.Second

// later is how long a job waits that this mover cannot do now and another one may.
const later = 30 * time.Second
