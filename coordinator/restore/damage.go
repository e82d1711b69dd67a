package restore

import (
	"context"
	"fmt"

	"ivdmover/coordinator/catalogue"
	"ivdmover/coordinator/engine"
	"ivdmover/shared/damage"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/telemetry"
)

// GoesOn is so where a job has found damage: the others look at what they read, so that
// all that the point has lost is known at once.
func (w *Workflow) GoesOn(failed job.Record) bool { return len(failed.Damaged) > 0 }

// Explain has the packs retired that a job has found damaged, and says what of its
// point is lost.
func (w *Workflow) Explain(ctx context.Context, et *engine.Task, rec job.Record, failure error) error {
	if len(rec.Damaged) == 0 {
		return failure
	}
	c, err := damage.Retire(ctx, w.Repo, "mover "+rec.Mover+", in run "+string(rec.Run), rec.Damaged)
	for _, d := range c.Damaged {
		et.Log().Error("pack is damaged: restore points that need it are, too; see `ivd points --check`", "pack", damage.Name(w.Repo, d), "why", d.Why)
	}
	if err != nil {
		et.Log().Warn("storing which packs are damaged failed: backups may still build on them", telemetry.Err(err))
	} else if len(c.Damaged) == 0 {
		return &ivd.Error{
			Kind: ivd.Permanent, Err: fmt.Errorf("mover %s reads packs as damaged that are whole when the coordinator reads them: %w", rec.Mover, failure),
			Remedy: "restore again on another mover, and look at this one's memory and network",
		}
	}
	t, err := w.task(et)
	if err == nil {
		err = w.lost(ctx, t.disk.From, c.Damaged, rec.Unread)
	}
	if err != nil && ivd.KindOf(err) == ivd.Corrupt {
		return err
	}
	if err != nil {
		et.Log().Warn("finding out what of the restore point is lost failed", telemetry.Err(err))
	}
	return failure
}

// lost is an error of kind Corrupt where something of a point cannot be read that
// lies in packs which are retired, or in these: it says which ranges, and of how much of
// the disk nobody has looked.
func (w *Workflow) lost(ctx context.Context, id ivd.PointID, also []ivd.Damage, unread int64) error {
	p, _, err := w.Repo.ReadPoint(ctx, id)
	if err != nil {
		return err
	}
	bad := map[ivd.PackID]bool{}
	for _, d := range also {
		bad[d.Pack] = true
	}
	retired, err := w.Repo.Retired(ctx)
	if err != nil {
		return err
	}
	for _, pack := range retired.Packs() {
		bad[pack] = true
	}
	if len(bad) == 0 {
		return nil
	}
	loss, err := damage.Of(ctx, w.Repo, p, func(pack ivd.PackID) bool { return bad[pack] })
	if err != nil || len(loss.Ranges) == 0 {
		return err
	}
	rest := ""
	if unread > 0 {
		rest = fmt.Sprintf("; of %s of its disk it is not known, since not all was looked at", telemetry.Bytes(unread))
	}
	return &ivd.Error{Kind: ivd.Corrupt, Err: fmt.Errorf("restore point %s of %s is damaged: lost are %s of its disk, chunks: %d, bytes %s; packs that are missing or wrong: %d%s",
		catalogue.Short(p.ID), p.Disk.Name, telemetry.Bytes(loss.Bytes()), loss.Chunks(p.Geometry), loss, len(loss.Packs), rest), Remedy: elsewhere}
}

// elsewhere is the remedy where a point is damaged.
const elsewhere = "restore a point that `ivd points --check` does not call damaged; the disk's next backup stores anew what was lost, as far as the disk has it"
