package estate

import (
	"fmt"
	"os"
	"slices"
	"time"

	"ivdmover/deploy/lab/attached"
	"ivdmover/deploy/lab/script"
	"ivdmover/shared/ivd"
)

// Access is a PrepareForAccess whose EndAccess has not come yet, whether a machine
// has the disk or not: to a disk, or to a machine.
type Access struct {
	Disk     ivd.DiskID `json:"disk,omitzero"`
	Machine  string     `json:"machine,omitempty"`
	Identity string     `json:"identity"`
}

func (a Access) String() string {
	if a.Machine != "" {
		return fmt.Sprintf("machine %s by %q", a.Machine, a.Identity)
	}
	return fmt.Sprintf("disk %s by %q", a.Disk, a.Identity)
}

// Prepared lists what was prepared and not ended.
func (e *Estate) Prepared() []Access {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.state.Prepared)
}

func (s *state) prepared(a Access) {
	if !slices.Contains(s.Prepared, a) {
		s.Prepared = append(s.Prepared, a)
	}
}

func (s *state) ended(a Access) {
	s.Prepared = slices.DeleteFunc(s.Prepared, func(x Access) bool { return x == a })
}

// reportUnended is called with the estate locked, when it ends: who has prepared
// access cannot end it any more, unless the laboratory is started again, which
// takes the report back.
func (e *Estate) reportUnended() error {
	var list []script.Misuse
	for _, a := range e.state.Prepared {
		list = append(list, script.Misuse{
			Time: time.Now().UTC(), PID: os.Getpid(), Rule: script.EndAccess,
			Detail: fmt.Sprintf("PrepareForAccess of %s, and no EndAccess", a),
		})
	}
	return script.WriteUnended(e.o.Dir, list)
}

// outside are the handles of proxies that hold disks without the data port: over
// HotAdd and SAN.
func (e *Estate) outside() []*Handle {
	var list []*Handle
	for _, a := range attached.List(e.o.Dir) {
		list = append(list, &Handle{record: Disk{ID: a.ID}, snapshot: a.Snapshot, write: a.Write, peer: a.Place})
	}
	return list
}
