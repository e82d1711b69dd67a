package backup

import (
	"context"

	"ivdmover/coordinator/engine"
	"ivdmover/shared/damage"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/telemetry"
)

// retire has the packs retired that the jobs have found damaged. They were not built
// on; where the list cannot be stored the next backup finds them again.
func (w *Workflow) retire(ctx context.Context, run ivd.RunID, done map[engine.ItemKey][]job.Record) {
	for _, recs := range done {
		for _, rec := range recs {
			if len(rec.Damaged) == 0 {
				continue
			}
			log := w.Log.With(telemetry.Run(run), telemetry.Disk(rec.Disk))
			c, err := damage.Retire(ctx, w.Repo, "mover "+rec.Mover+", in run "+string(run), rec.Damaged)
			for _, d := range c.Damaged {
				log.Error("pack is damaged: restore points that need it are, too; see `ivd points --check`", "pack", damage.Name(w.Repo, d), "why", d.Why)
			}
			for _, pack := range c.Whole {
				log.Warn("pack was found damaged by a mover, and is whole: look at the mover's memory and network", "pack", pack, "mover", rec.Mover)
			}
			if err != nil {
				log.Warn("storing which packs are damaged failed: the next backup finds them again", telemetry.Err(err))
			}
		}
	}
}
