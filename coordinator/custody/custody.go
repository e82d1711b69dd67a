// Package custody gives movers what they need of an encrypted repository's keys, and
// no more.
//
// What it promises: it answers only processes whose heartbeat is known to be their own,
// and whatever is secret travels sealed to the key by which that process has been known
// from its first question on; no key is stored in the queue. Any such mover gets a grant:
// how contents are named, and what nodes, pages and lists are sealed with. A writer's
// record is signed for the mover that works under the writer's lease. The key of a data
// pack is given for a job that reads a point which needs the pack, and for nothing else.
// Its memory is bounded. The sealing is the queue's work.
package custody

import (
	"context"
	"fmt"
	"log/slog"

	"ivdmover/coordinator/engine"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/queue"
	"ivdmover/shared/repo"
	"ivdmover/shared/telemetry"
)

// Fleet knows movers.
type Fleet interface {
	Know(ctx context.Context, m job.Mover) error // refuses a process that had other keys (kind Denied)
}

// Runs know which disks are theirs, who works on them, and what for.
type Runs interface {
	Entitled(ctx context.Context, run ivd.RunID, disk ivd.DiskRef) error   // refuses a disk that is none of a run's that is under way (kind Denied)
	Claimed(ctx context.Context, q job.LoginRequest) error                 // refuses a job that is not claimed by who asks (kind Transient)
	Reads(ctx context.Context, q job.LoginRequest) (engine.Reading, error) // likewise, and one that reads no point (kind Denied)
}

// Desk is where movers ask. Its methods are safe for concurrent use.
type Desk struct {
	Repo  *repo.Repository
	Fleet Fleet
	Runs  Runs
	Log   *slog.Logger

	sets  sets
	pace  pace
	given given
}

// Serve answers movers until stop is called.
func (d *Desk) Serve(ctx context.Context, q *queue.Queue) (stop func(), err error) {
	var stops []func()
	stop = func() {
		for _, end := range stops {
			end()
		}
	}
	for _, serve := range []func() (func(), error){
		func() (func(), error) { return q.ServeGrants(ctx, d.Repo.ID(), d.Grant) },
		func() (func(), error) { return q.ServeWriters(ctx, d.Repo.ID(), d.Register) },
		func() (func(), error) {
			return q.ServePackKeys(ctx, d.Repo.ID(), d.Repo.OpensChunks() == nil, d.PackKeys)
		},
	} {
		end, err := serve()
		if err != nil {
			stop()
			return nil, err
		}
		stops = append(stops, end)
	}
	return stop, nil
}

// Grant answers the mover with that heartbeat.
func (d *Desk) Grant(ctx context.Context, q job.GrantRequest, m job.Mover) ([]byte, error) {
	if err := d.known(ctx, m); err != nil {
		return nil, err
	}
	g := d.Repo.Grant()
	if g == nil {
		return nil, d.plain()
	}
	b, err := g.Encode()
	if err == nil {
		d.Log.Info("a mover gets the keys that movers have", telemetry.Mover(q.Mover), "process", q.Process)
	}
	return b, err
}

// plain is why there are no keys to give.
func (d *Desk) plain() error {
	return &ivd.Error{
		Kind: ivd.Denied, Err: fmt.Errorf("this coordinator's repository %s is plain: there are no keys to it", d.Repo.ID()),
		Remedy: "compare repository.url of mover and coordinator; where they are the same, find out who changed repo.json",
	}
}

// known refuses whoever is no mover, or not the one that it was.
func (d *Desk) known(ctx context.Context, m job.Mover) error {
	err := d.Fleet.Know(ctx, m)
	if err == nil && m.Doctor {
		err = ivd.Errorf(ivd.Denied, "a doctor works with no keys")
	}
	return d.refuse(m, err)
}

// refuse logs what no honest mover asks.
func (d *Desk) refuse(m job.Mover, err error) error {
	if kind := ivd.KindOf(err); kind == ivd.Denied || kind == ivd.Exists {
		d.Log.Warn("keys are refused", telemetry.Mover(m.Name), "err", err)
	}
	return err
}
