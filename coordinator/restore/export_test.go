package restore

import (
	"ivdmover/coordinator/engine"
	"ivdmover/coordinator/inventory"
	"ivdmover/shared/ivd"
)

// WorkingPrefix and Working are the names of unfinished disks.
const WorkingPrefix = inventory.WorkingPrefix

// Working is the name of a restore's disk until it is done.
func Working(run ivd.RunID, item engine.ItemKey) string { return claim{run, item}.name() }

// Marks are a restore's disk's.
func Marks(run ivd.RunID, item engine.ItemKey) []inventory.Mark { return claim{run, item}.marks() }
