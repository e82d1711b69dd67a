// Package login answers movers that ask for a login to a disk's vCenter.
//
// What it promises: a login is given only for a disk of a run that is under way, or
// for which something is left to undo: for a job only to the process that has claimed
// it, and for anything else only to a mover that was asked to do something with the disk
// or has had a job of it; it says what bears on the transports for the mover that asks, now; and it
// travels sealed to the key by which that process has been known from its first
// question on. The sealing is the queue's work.
package login

import (
	"context"
	"log/slog"

	"ivdmover/coordinator/inventory"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/queue"
)

// Runs know which disks are theirs, and who works on them.
type Runs interface {
	Entitled(ctx context.Context, run ivd.RunID, disk ivd.DiskRef) error // refuses a disk that is none of a run's that is under way (kind Denied)
	Claimed(ctx context.Context, q job.LoginRequest) error               // refuses a job that is not claimed by who asks (kind Transient)
}

// Fleet knows movers.
type Fleet interface {
	Know(ctx context.Context, m job.Mover) error             // refuses a process that had other keys (kind Denied)
	Warranted(ctx context.Context, q job.LoginRequest) error // refuses who has no warrant (kind Denied)
	Warrant(ctx context.Context, mover string, run ivd.RunID, disk ivd.DiskRef) (job.Warrant, error)
}

// Desk is where logins are given. Its methods are safe for concurrent use.
type Desk struct {
	Sources *inventory.Sources
	Runs    Runs
	Fleet   Fleet
	Log     *slog.Logger
}

// Serve answers movers that ask for disks of these vCenters, until stop is called.
func (d *Desk) Serve(ctx context.Context, q *queue.Queue, vcenters ...*inventory.VCenter) (stop func(), err error) {
	sources := make([]ivd.SourceID, len(vcenters))
	for i, v := range vcenters {
		sources[i] = v.Source()
	}
	return q.ServeLogins(ctx, d.Answer, sources...)
}

// Answer answers one question of the mover with that heartbeat.
func (d *Desk) Answer(ctx context.Context, q job.LoginRequest, m job.Mover) (job.Login, error) {
	if err := d.Runs.Entitled(ctx, q.Run, q.Disk); err != nil {
		return job.Login{}, err
	}
	v, err := d.Sources.Of(q.Disk.Source())
	if err != nil {
		return job.Login{}, err
	}
	if err := d.Fleet.Know(ctx, m); err != nil {
		d.Log.Warn("a login is refused", "mover", q.Mover, "disk", q.Disk.ID(), "err", err)
		return job.Login{}, err
	}
	may := d.Fleet.Warranted
	if q.Job != "" {
		may = d.Runs.Claimed
	}
	if err := may(ctx, q); err != nil {
		return job.Login{}, err
	}
	l, err := v.LoginFor(ctx, q.Disk, m)
	if err != nil {
		return job.Login{}, err
	}
	l.Warrant, err = d.Fleet.Warrant(ctx, q.Mover, q.Run, q.Disk)
	return l, err
}
