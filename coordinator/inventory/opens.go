package inventory

import (
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// Opens is a disk with what a mover opens it by. Kind Unsupported: a VM's own disk.
func (v *VCenter) Opens(ref ivd.DiskRef) (job.Disk, error) {
	if k := ref.ID().Kind(); k != ivd.IVD {
		return job.Disk{}, ivd.Errorf(ivd.Unsupported, "disk %s of %s is a %s: only IVDs are moved", ref.ID(), v.Name(), k)
	}
	return job.IVD(ref), nil
}
