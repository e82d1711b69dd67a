package backup

import (
	"context"
	"fmt"

	"ivdmover/coordinator/catalogue"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/telemetry"
)

// forgetParts gives up the partial points that the finished one makes needless (COLLECT.md,
// G4). What cannot be given up now costs space, and no more.
func (t *task) forgetParts(ctx context.Context) {
	for _, id := range t.disk.Parts {
		before, err := t.w.Repo.IsForgotten(ctx, id)
		if err == nil && !before {
			err = t.w.Repo.Forget(ctx, format.Forgotten{Point: id, Reason: fmt.Sprintf("the whole point %s came after it", t.disk.Point), Run: t.run()})
		}
		if err != nil {
			t.log.Warn("forgetting a partial point that the finished one makes needless failed", "point", id, "err", err)
		}
	}
}

// forgotten gives up what the run's policy does not keep of the disks that the run has
// backed up, and says so in the run's record. A run whose policy cannot do so ends as it
// would have.
func (w *Workflow) forgotten(ctx context.Context, r *format.Run) {
	if r.Policy == "" || w.Retention == nil {
		return
	}
	var disks []catalogue.Disk
	for _, p := range r.Points {
		disks = append(disks, catalogue.Disk{Source: p.Point.Source(), ID: p.Point.Disk()})
	}
	var err error
	if r.Forgotten, err = w.Retention.AfterRun(ctx, r.Policy, r.ID, disks); err != nil {
		r.NotForgotten = err.Error()
		if remedy := ivd.RemedyOf(err); remedy != "" {
			r.NotForgotten += "; " + remedy
		}
		w.Log.Warn("forgetting what the policy does not keep failed: all points stay until its next run, or `ivd forget`", telemetry.Run(r.ID), "policy", r.Policy, "err", err)
	}
	if n := len(r.Forgotten); n > 0 {
		w.Log.Info("restore points were forgotten", telemetry.Run(r.ID), "policy", r.Policy, "points", n)
	}
}
