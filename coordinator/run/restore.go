package run

import (
	"context"
	"fmt"
	"time"

	"ivdmover/coordinator/plan"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// restoring is what is a restore's own in a disk's course.
type restoring struct{ *task }

// prepare makes the new disk under its working name, or finds the one that was made
// before a restart.
func (t restoring) prepare(ctx context.Context) error {
	if t.rec.Ref.ID() != "" {
		return nil
	}
	ref, err := t.newDisk(ctx)
	if err != nil {
		return err
	}
	return t.save(ctx, func(d *Disk) { d.Ref = ref })
}

func (t restoring) newDisk(ctx context.Context) (ivd.DiskRef, error) {
	l := t.ledger()
	before, err := t.s.open(ctx, l)
	if err != nil {
		return l.Ref, err
	}
	if before {
		d, err := findByName(ctx, t.vc, l.Ref.Datastore(), l.Working)
		if err != nil {
			return l.Ref, err
		}
		if d != nil {
			t.asked = false
			return d.Ref, nil
		}
	}
	mib := max(1, (t.rec.Geometry.Capacity+1<<20-1)>>20) // vSphere makes disks of whole MiB
	t.asked = true
	ref, err := t.vc.CreateDisk(ctx, l.Ref.Datastore(), l.Working, mib)
	t.asked = unanswered(err)
	return ref, err
}

func (t restoring) ledger() Ledger {
	return Ledger{
		Version: Version, Run: t.rec.Run, Kind: job.Restore, Key: t.rec.Key(),
		Ref:     ivd.NewDiskRef(t.rec.Ref.Source(), t.rec.Ref.Datastore(), ""),
		Working: working(t.rec.Run, t.rec.Key()), Opened: time.Now().UTC(),
	}
}

// working is the name of a restore's disk until it is done.
func working(id ivd.RunID, disk ivd.DiskID) string {
	return fmt.Sprintf("%s%s-%.8s", workingPrefix, id, disk)
}

// workingPrefix is what no restored disk may be called by: a disk of such a name is
// unfinished, and is deleted.
const workingPrefix = "ivdmover-restore-"

// plan reads the point under the run's lease (COLLECT R1).
func (t restoring) plan(ctx context.Context) error {
	p, err := t.s.Repo.PointForReading(ctx, t.run.lease.ID, t.rec.From)
	if err != nil {
		return err
	}
	jobs, err := plan.Restore(t.template(ctx, job.Restore), plan.Target{Point: p.ID, Geometry: p.Geometry, Pages: p.Pages, Blank: true})
	if err != nil {
		return err
	}
	return t.setJobs(ctx, jobs)
}

// close gives the disk its name: from now on it is the user's.
func (t restoring) close(ctx context.Context) error {
	d, err := t.vc.Disk(ctx, t.rec.Ref)
	if err != nil {
		return err
	}
	if d.Name != t.rec.Target { // else it was done before a restart
		if err := t.vc.Rename(ctx, t.rec.Ref, t.rec.Target); err != nil {
			return err
		}
	}
	_, stats, err := t.records(ctx)
	if err != nil {
		return err
	}
	return t.save(ctx, func(d *Disk) { d.Stats = stats })
}
