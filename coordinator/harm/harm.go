// Package harm is what a coordinator makes of the damage that movers find while they
// read restore points: packs are retired that it finds damaged itself, and the failure
// says what of the point is lost, by disk and byte range.
//
// It promises to retire nothing on a mover's word alone: the coordinator, another host,
// reads each pack whole, and what only the mover finds wrong is the mover's trouble. It
// knows the repository, and nothing of runs.
package harm

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"ivdmover/coordinator/catalogue"
	"ivdmover/shared/damage"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/repo"
	"ivdmover/shared/telemetry"
)

// Explain has the packs retired that a job has found damaged, and says what of the point
// that it read is lost. It returns the item's failure: the one it is given, or one that
// says more.
func Explain(ctx context.Context, r *repo.Repository, log *slog.Logger, point ivd.PointID, rec job.Record, failure error) error {
	if len(rec.Damaged) == 0 {
		return failure
	}
	c, err := damage.Retire(ctx, r, "mover "+rec.Mover+", in run "+string(rec.Run), rec.Damaged)
	Tell(r, log, c.Damaged)
	if err != nil {
		log.Warn("storing which packs are damaged failed: backups may still build on them", telemetry.Err(err))
	} else if len(c.Damaged) == 0 {
		return &ivd.Error{
			Kind: ivd.Permanent, Err: fmt.Errorf("mover %s reads packs as damaged that are whole when the coordinator reads them: %w", rec.Mover, failure),
			Remedy: "run it again on another mover, and look at this one's memory and network",
		}
	}
	err = Lost(ctx, r, point, c.Damaged, rec.Unread)
	if err != nil && ivd.KindOf(err) == ivd.Corrupt {
		return err
	}
	if err != nil {
		log.Warn("finding out what of the restore point is lost failed", telemetry.Err(err))
	}
	return failure
}

// Tell has the log say which packs are damaged.
func Tell(r *repo.Repository, log *slog.Logger, found []ivd.Damage) {
	for _, d := range found {
		log.Error("pack is damaged: restore points that need it are, too; see `ivd points --check`", "pack", damage.Name(r, d), "why", d.Why)
	}
}

// Lost is an error of kind Corrupt where something of a point cannot be read that
// lies in packs which are retired, or in these: it says which ranges, and of how much of
// the disk nobody has looked.
func Lost(ctx context.Context, r *repo.Repository, id ivd.PointID, also []ivd.Damage, unread int64) error {
	p, _, err := r.ReadPoint(ctx, id)
	if err != nil {
		return err
	}
	bad := map[ivd.PackID]bool{}
	for _, d := range also {
		bad[d.Pack] = true
	}
	retired, err := r.Retired(ctx)
	if err != nil {
		return err
	}
	for _, pack := range retired.Packs() {
		bad[pack] = true
	}
	if len(bad) == 0 {
		return nil
	}
	loss, err := damage.Of(ctx, r, p, func(pack ivd.PackID) bool { return bad[pack] })
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

// Hurt says which restore points need packs that are retired, and what each has lost.
func Hurt(ctx context.Context, r *repo.Repository, c *catalogue.Catalogue, found []ivd.Damage) (string, error) {
	points, err := c.Points(ctx, catalogue.Disk{})
	if err == nil {
		err = c.Mark(ctx, points, true)
	}
	if err != nil {
		return "see `ivd points`", err
	}
	bad := map[ivd.PackID]bool{}
	for _, d := range found {
		bad[d.Pack] = true
	}
	var told []string
	n := 0
	for _, p := range points {
		if !slices.ContainsFunc(p.Damaged, func(id ivd.PackID) bool { return bad[id] }) {
			continue
		}
		if n++; n > hurtTold {
			continue
		}
		stored, _, err := r.ReadPoint(ctx, p.ID)
		if err != nil {
			return "see `ivd points`", err
		}
		loss, err := damage.Of(ctx, r, stored, func(id ivd.PackID) bool { return bad[id] })
		if err != nil {
			return "see `ivd points`", err
		}
		told = append(told, fmt.Sprintf("point %s of %s has lost bytes %s", p.Short, p.Name, loss))
	}
	switch {
	case n == 0:
		return "no restore point needs them", nil
	case n > hurtTold:
		told = append(told, fmt.Sprintf("and %d more, see `ivd points`", n-hurtTold))
	}
	return strings.Join(told, "; "), nil
}

// hurtTold is of how many points it is said what they have lost.
const hurtTold = 10
