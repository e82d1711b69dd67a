package backup

import (
	"ivdmover/coordinator/inventory"
	"ivdmover/shared/ivd"
)

// untold is a fact that a source did not tell in a run.
type untold struct {
	run    ivd.RunID
	source ivd.SourceID
	fact   inventory.Fact
}

// warn says once for a run and a source which facts its points will be without: no
// disk's backup fails for want of them, and a line for each disk would say the same.
func (w *Workflow) warn(run ivd.RunID, vc *inventory.VCenter, facts []inventory.Untold) {
	for _, f := range facts {
		key := untold{run, vc.Source(), f.Fact}
		w.mu.Lock()
		again := w.warned[key]
		w.warned[key] = true
		w.mu.Unlock()
		if !again {
			w.Log.Warn("asking for a fact failed: restore points of this run may be without it",
				"run", run, "vcenter", vc.Name(), "fact", f.Fact, "err", f.Err, "remedy", ivd.RemedyOf(f.Err))
		}
	}
}
