package heads

import (
	"context"
	"fmt"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/pause"
	"ivdmover/shared/store"
)

// putAgain is the back-off of a record's creation.
var putAgain = pause.Backoff{First: 100 * time.Millisecond, Cap: 5 * time.Second, Factor: 4, Attempts: 5}

// PutRun stores the record of a run that is over, as the next one of this coordinator's.
// One that has a record already, whoever stored it, gets no other. Kind Permanent, with
// ErrEarlier: the record that it is to continue is gone.
func (k *Keeper) PutRun(ctx context.Context, run format.Run) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.unread != nil {
		return k.unread
	}
	if err := k.settle(ctx); err != nil {
		return err
	}
	if has, err := k.repo.HasRun(ctx, run.ID); has || err != nil {
		return err
	}
	if k.noted.Incarnation != k.repo.Incarnation() {
		if err := k.check(ctx); err != nil {
			k.report(err)
			return err
		}
	}
	last, known := k.noted.of(k.own)
	run.Coordinator, run.Sequence, run.Previous = k.own.Coordinator, last.Sequence+1, nil
	if known {
		if err := Compare(ctx, k.repo, []Head{last}); err != nil {
			k.report(err)
			return err
		}
		run.Previous = &format.RunLink{Run: last.Run, Sum: last.Sum}
	}
	object, err := k.repo.EncodeRun(run)
	if err != nil {
		return err
	}
	k.noted.Pending = &pending{Head{k.own, run.Sequence, run.ID, format.Sum(object)}, object}
	if err := k.noted.write(k.file); err != nil {
		k.noted.Pending = nil
		return fmt.Errorf("write down the record of run %s before it is stored: %w", run.ID, err)
	}
	return k.settle(ctx)
}

// settle stores the record that was written down to be stored, if there is one. It is the
// same however often it is stored, and nothing is stored behind it before it is known
// what became of it.
func (k *Keeper) settle(ctx context.Context) error {
	p := k.noted.Pending
	if p == nil {
		return nil
	}
	doubt := false
	err := putAgain.Do(ctx, func(ctx context.Context) error {
		err := k.repo.CreateRun(ctx, p.Head.Run, p.Object)
		doubt = doubt || store.InDoubt(err)
		return err
	})
	switch {
	case err == nil:
		k.noted.set(p.Head)
		k.seen[p.Head.Run] = true
	case ivd.KindOf(err) == ivd.Exists:
		// Another coordinator has stored the run's record: this one never was, nor will be.
		k.log.Info("the run has a record of another coordinator", "run", p.Head.Run)
	case doubt:
		return err
	default: // it was refused
		k.noted.Pending = nil
		_ = k.noted.write(k.file) // or it is tried, and refused, once more
		return err
	}
	k.noted.Pending = nil
	if err := k.noted.write(k.file); err != nil {
		k.log.Warn("writing down that a run's record was stored failed", "run", p.Head.Run, "file", k.file, "err", err)
	}
	return nil
}
