// Package login answers movers that ask for a login to a disk's vCenter.
//
// What it promises: a login is given only for a disk of a run that is under way, or
// for which something is left to undo; it says what bears on the transports for the
// mover that asks, now; and it travels sealed to that mover's key, which is the
// queue's work.
package login

import (
	"context"
	"log/slog"
	"maps"
	"slices"

	"ivdmover/coordinator/inventory"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/queue"
)

// Runs refuses a disk that is none of a run's that is under way (kind Denied).
type Runs interface {
	Entitled(ctx context.Context, run ivd.RunID, disk ivd.DiskRef) error
}

// Fleet tells of the mover that asks, by its heartbeat.
type Fleet interface {
	Mover(ctx context.Context, name string) (job.Mover, error)
}

// Desk is where logins are given. Its methods are safe for concurrent use.
type Desk struct {
	Sources inventory.Sources
	Runs    Runs
	Fleet   Fleet
	Log     *slog.Logger
}

// Serve answers movers until stop is called.
func (d *Desk) Serve(ctx context.Context, q *queue.Queue) (stop func(), err error) {
	return q.ServeLogins(ctx, d.Answer, slices.Collect(maps.Keys(d.Sources))...)
}

// Answer answers one question.
func (d *Desk) Answer(ctx context.Context, q job.LoginRequest) (job.Login, error) {
	if err := d.Runs.Entitled(ctx, q.Run, q.Disk); err != nil {
		return job.Login{}, err
	}
	v, err := d.Sources.Of(q.Disk.Source())
	if err != nil {
		return job.Login{}, err
	}
	m, err := d.Fleet.Mover(ctx, q.Mover)
	if err != nil {
		d.Log.Warn("what the mover's host can do is not known", "mover", q.Mover, "err", err)
	}
	return v.LoginFor(ctx, q.Disk, m)
}
