// Package custody gives movers what they need of an encrypted repository's keys, and
// no more.
//
// What it promises: a grant (how contents are named, and what nodes, pages and lists
// are sealed with) is given only to a process whose heartbeat is known to be its own,
// and travels sealed to the key by which that process has been known from its first
// question on; no key is stored in the queue. It opens no chunk. The sealing is the
// queue's work.
package custody

import (
	"context"
	"fmt"
	"log/slog"

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

// Desk is where movers ask. Its methods are safe for concurrent use.
type Desk struct {
	Repo  *repo.Repository
	Fleet Fleet
	Log   *slog.Logger
}

// Serve answers movers until stop is called.
func (d *Desk) Serve(ctx context.Context, q *queue.Queue) (stop func(), err error) {
	return q.ServeGrants(ctx, d.Repo.ID(), d.Grant)
}

// Grant answers the mover with that heartbeat.
func (d *Desk) Grant(ctx context.Context, q job.GrantRequest, m job.Mover) ([]byte, error) {
	if err := d.known(ctx, m); err != nil {
		return nil, err
	}
	g := d.Repo.Grant()
	if g == nil {
		return nil, &ivd.Error{
			Kind: ivd.Denied, Err: fmt.Errorf("this coordinator's repository %s is plain: there are no keys to it", d.Repo.ID()),
			Remedy: "compare repository.url of mover and coordinator; where they are the same, find out who changed repo.json",
		}
	}
	b, err := g.Encode()
	if err == nil {
		d.Log.Info("a mover gets the keys that movers have", telemetry.Mover(q.Mover), "process", q.Process)
	}
	return b, err
}

// known refuses whoever is no mover, or not the one that it was.
func (d *Desk) known(ctx context.Context, m job.Mover) error {
	err := d.Fleet.Know(ctx, m)
	if err == nil && m.Doctor {
		err = ivd.Errorf(ivd.Denied, "a doctor works with no keys")
	}
	if ivd.KindOf(err) == ivd.Denied {
		d.Log.Warn("keys are refused", telemetry.Mover(m.Name), "err", err)
	}
	return err
}
