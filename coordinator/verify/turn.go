package verify

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"time"

	"ivdmover/coordinator/engine"
	"ivdmover/shared/ivd"
	"ivdmover/shared/telemetry"
)

// Engine drives the runs that a turn begins.
type Engine interface {
	Begin(ctx context.Context, s engine.Spec) (engine.View, error)
	Runs(ctx context.Context) (runs []engine.Run, unread map[ivd.RunID]error, err error)
	Run(ctx context.Context, id ivd.RunID) (engine.Run, error)
	Watch(ctx context.Context, id ivd.RunID) iter.Seq2[engine.Change, error]
}

// lately is how long ago folders were read so that none have their turn again: a turn that
// is taken again, since its coordinator ended, reads no second share.
const lately = 12 * time.Hour

// Turn is what is done by a schedule: new packs are proven, then those are read whose turn
// it is. It begins once no verification is under way, and lasts until its runs are over. A
// coordinator without the keys proves nothing, and reads all the same. To take a turn again
// is safe.
func (w *Workflow) Turn(ctx context.Context, e Engine) error {
	runs, _, err := e.Runs(ctx)
	if err != nil {
		return err
	}
	for _, r := range runs {
		if r.Kind == Kind && !r.State.Ended() {
			if _, err := follow(ctx, e, r.ID); err != nil {
				return err
			}
		}
	}
	var failed []error
	for _, which := range []Packs{NewPacks, DuePacks} {
		if err := w.turn(ctx, e, which); err != nil {
			failed = append(failed, err)
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(failed...)
}

func (w *Workflow) turn(ctx context.Context, e Engine, which Packs) error {
	if which == DuePacks {
		last, err := w.lastRead(ctx)
		if err != nil || w.Repo.Now().Sub(last) < lately {
			return err
		}
	}
	s, err := w.packs(ctx, which)
	switch kind := ivd.KindOf(err); {
	case kind == ivd.NotFound: // there are none
		return nil
	case kind == ivd.Denied && which == NewPacks:
		w.Log.Info("new packs are not proven here", "why", err)
		return nil
	case err != nil:
		return err
	}
	v, err := e.Begin(ctx, s)
	if err != nil {
		return err
	}
	w.Log.Info("packs are verified by the schedule", slog.String("packs", string(which)), telemetry.Run(v.ID))
	r, err := follow(ctx, e, v.ID)
	if err == nil && r.State != engine.Done {
		err = &ivd.Error{Kind: ivd.Permanent, Err: fmt.Errorf("run %s, which verified packs, ended %s", v.ID, r.State), Remedy: fmt.Sprintf("see `ivd run show %s`", v.ID)}
	}
	return err
}

// follow waits until a run is over.
func follow(ctx context.Context, e Engine, id ivd.RunID) (engine.Run, error) {
	for _, err := range e.Watch(ctx, id) {
		if err != nil {
			return engine.Run{}, err
		}
	}
	if err := ctx.Err(); err != nil {
		return engine.Run{}, context.Cause(ctx)
	}
	return e.Run(ctx, id)
}
