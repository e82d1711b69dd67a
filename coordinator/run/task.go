package run

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"ivdmover/coordinator/admit"
	"ivdmover/coordinator/inventory"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/pause"
)

// task is one disk of a run. Everything in it is owned by its own goroutine;
// others see the copies that save publishes.
type task struct {
	s   *Service
	run *active
	log *slog.Logger
	rec Disk
	rev uint64
	vc  *inventory.VCenter

	jobs      map[ivd.JobID]job.Job // as planned; made anew after a restart
	published bool                  // all that is queued by its record is on the queue
	asked     bool                  // vSphere was asked to make something and has not answered
}

// kind is what differs between a backup and a restore.
type kind interface {
	prepare(ctx context.Context) error // Preparing
	plan(ctx context.Context) error    // Planning: fills the task's jobs
	close(ctx context.Context) error   // Closing
}

// drive takes the disk from the step that is stored to its end. Work that fails or
// is cancelled goes on to cleaning up, which only the end of life interrupts.
func (t *task) drive(life, work context.Context) {
	if t.rec.Step == Ended {
		return
	}
	t.asked = t.rec.Step == Preparing // by who drove it before
	if t.rec.Step != Cleaning {
		leave, err := t.admit(t.stoppable(life, work))
		if err == nil {
			defer leave()
			err = t.work(life, work)
		}
		if life.Err() != nil {
			return
		}
		if err = t.settle(life, err); err != nil {
			t.log.Error("store how the disk ended; the next start tries again", "err", err)
			return
		}
	}
	if err := t.finish(life); err != nil && life.Err() == nil {
		t.log.Error("clean up after the disk; the ledger keeps what is left to do", "err", err)
	}
}

// stoppable is the context of the present step. Closing is not cancelled: what it
// does may be done already, and is to be seen as done.
func (t *task) stoppable(life, work context.Context) context.Context {
	if t.rec.Step == Closing {
		return life
	}
	return work
}

// work is the main path of a disk.
func (t *task) work(life, work context.Context) (err error) {
	if t.vc, err = t.s.vcenter(t.rec.Ref.Source()); err != nil {
		return err
	}
	k := t.kind()
	for {
		ctx := t.stoppable(life, work)
		switch t.rec.Step {
		case Waiting:
			err = t.save(ctx, func(d *Disk) { d.Step, d.Started, d.Attempt = Preparing, time.Now().UTC(), d.Attempt+1 })
		case Preparing:
			err = t.advance(ctx, Planning, k.prepare)
		case Planning:
			err = t.advance(ctx, Moving, t.publishJobs)
		case Moving:
			err = t.advance(ctx, Closing, t.move)
		case Closing:
			err = t.advance(ctx, Cleaning, k.close)
		default:
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// advance does a step, again where its error may pass, and stores the next.
func (t *task) advance(ctx context.Context, to Step, step func(context.Context) error) error {
	t.log.Debug("disk", "step", t.rec.Step)
	tell := func(err error) {
		t.log.Warn("a step failed and is tried again", "step", t.rec.Step, "err", err)
		if err := t.retried(ctx, err.Error()); err != nil {
			t.log.Warn("store that a step is tried again", "err", err)
		}
	}
	if err := againTelling(ctx, func() error { return step(ctx) }, tell); err != nil {
		return err
	}
	return t.save(ctx, func(d *Disk) { d.Step = to })
}

// retried notes that something of the disk is tried again.
func (t *task) retried(ctx context.Context, why string) error {
	return t.save(ctx, func(d *Disk) { d.Retries, d.Retried = d.Retries+1, why })
}

func (t *task) kind() kind {
	if t.rec.From != "" {
		return restoring{t}
	}
	return backingUp{t}
}

// admit waits for the disk's turn. A disk that a restore has yet to make has no id
// by then, and needs none.
func (t *task) admit(ctx context.Context) (func(), error) {
	return t.s.gate.enter(ctx, admit.Want{Ref: t.rec.Ref, Restore: t.rec.From != ""})
}

// settle stores what the work came to. From here on the result does not change.
func (t *task) settle(ctx context.Context, err error) error {
	return again(ctx, func() error {
		return t.save(ctx, func(d *Disk) {
			d.Step, d.Failure = Cleaning, ivd.FailureOf(err)
			switch {
			case err == nil:
				d.Result = Done
			case errors.Is(err, errCancelled):
				d.Result = Cancelled
			default:
				d.Result = Failed
			}
		})
	})
}

// finish stops what may still run, cleans up and stores the end. What cannot be
// cleaned now is left in the ledger, which is looked at again and again.
func (t *task) finish(ctx context.Context) error {
	if t.rec.Result != Done {
		t.log.Warn("disk "+string(t.rec.Result), "err", t.rec.Failure.Message)
		t.stopJobs(ctx)
	}
	stats := t.rec.Stats
	ways := ways{t.rec.Transports, t.rec.Refused}
	if recs, sum, err := t.records(ctx); err == nil {
		if t.rec.Result != Done {
			stats = sum // of what was sealed until then
		}
		for _, rec := range recs {
			ways.add(rec.Transports, rec.Refused)
		}
	}
	err := t.undo(ctx)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if len(t.rec.Jobs) > 0 {
		if e := t.s.Queue.DeleteJobRecords(ctx, t.rec.Run, t.rec.Ref.ID()); e != nil {
			t.log.Warn("delete the disk's job records", "err", e)
		}
	}
	return errors.Join(err, again(ctx, func() error {
		return t.save(ctx, func(d *Disk) {
			d.Step, d.Ended, d.Stats = Ended, time.Now().UTC(), stats
			d.Transports, d.Refused = ways.used, ways.refused
			if err != nil {
				d.Note = noted(d.Note, uncleaned+err.Error())
			}
		})
	}))
}

// uncleaned begins the note of a disk that has ended with something to undo.
const uncleaned = "when the disk had ended, this was left to be tried again: "

// noted adds to a note.
func noted(note, more string) string { return strings.TrimPrefix(note+"; "+more, "; ") }

// records reads the records of the disk's jobs and sums up what they have sealed.
func (t *task) records(ctx context.Context) (recs []job.Record, sum ivd.Stats, err error) {
	for _, id := range t.rec.Jobs {
		rec, _, err := t.s.Queue.JobRecord(ctx, t.rec.Run, t.rec.Ref.ID(), id)
		if err != nil {
			return nil, sum, err
		}
		recs = append(recs, rec)
		sum.Add(rec.Stats)
	}
	return recs, sum, nil
}

// undo does what the ledger names for the disk; nothing where there is no entry.
// It does not wait for what is away: the ledger is looked at again and again.
func (t *task) undo(ctx context.Context) error {
	b := pause.Backoff{First: stepping.First, Cap: stepping.Cap, Jitter: stepping.Jitter, Attempts: undoAttempts}
	return b.Do(ctx, func(ctx context.Context) error {
		l, rev, err := t.s.getLedger(ctx, t.rec.Run, t.rec.Key())
		if ivd.KindOf(err) == ivd.NotFound {
			return nil
		}
		if err != nil {
			return err
		}
		return t.s.undo(ctx, l, rev, t.asked)
	})
}

// save changes the stored disk. Only the run's owner does; a conflict says that
// there is another one now.
func (t *task) save(ctx context.Context, change func(*Disk)) error {
	next := t.rec
	change(&next)
	rev, err := t.s.Queue.State().Update(ctx, diskKey(next), next, t.rev)
	if ivd.KindOf(err) == ivd.Conflict {
		return ivd.Errorf(ivd.Permanent, "store disk %s of run %s: %w", next.Key(), next.Run, errTakenOver)
	}
	if err != nil {
		return fmt.Errorf("store disk %s of run %s: %w", next.Key(), next.Run, err)
	}
	t.rec, t.rev = next, rev
	t.run.publish(next)
	return nil
}
