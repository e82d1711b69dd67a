package run

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/google/uuid"

	"ivdmover/coordinator/inventory"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

const (
	// examination begins the names of examinations, as the ledger has them and their
	// snapshots' descriptions.
	examination = "examination-"
	// examinationLimit is how long an examination may take before its snapshot is
	// deleted, done or not.
	examinationLimit = 30 * time.Minute
)

// Examiner is who examines a disk.
type Examiner struct {
	Doctor      string `json:"doctor"` // the name of its heartbeat, without which the examination is over
	Process     string `json:"process"`
	Host        string `json:"host"`
	Coordinator string `json:"coordinator"` // the instance that made the snapshot, and deletes it when asked to
}

// examine answers a doctor.
func (s *Service) examine(ctx context.Context, q job.ExamineRequest, doctor job.Mover) (job.Examination, error) {
	if _, err := uuid.Parse(q.Process); err != nil {
		return job.Examination{}, ivd.Errorf(ivd.Invalid, "the process of doctor %s: %w", q.Doctor, err)
	}
	switch q.Op {
	case job.ExamineBegin:
		return s.beginExamination(ctx, q, doctor)
	case job.ExamineEnd:
		return job.Examination{}, s.endExamination(ctx, q)
	}
	return job.Examination{}, ivd.Errorf(ivd.Unsupported, "a doctor asks to %q", q.Op)
}

// beginExamination looks the disk up and gives what a doctor needs to read it. Other
// than for a backup the disk's relocation is not disabled: no mover need be there,
// and a disk that is relocated meanwhile fails its examination and nothing else.
func (s *Service) beginExamination(ctx context.Context, q job.ExamineRequest, doctor job.Mover) (job.Examination, error) {
	v, disk, err := s.named(ctx, q.Disk)
	if err != nil {
		return job.Examination{}, err
	}
	x := s.describe(q, v, disk)
	l := Ledger{
		Version: Version, Run: x.Run, Ref: disk.Ref, Key: disk.Ref.ID(), Opened: s.now().UTC(),
		Examiner: &Examiner{Doctor: q.Doctor, Process: q.Process, Host: doctor.Host, Coordinator: s.Instance},
	}
	if q.Snapshot != "" {
		err = hasSnapshot(ctx, v, disk.Ref, q.Snapshot)
	} else {
		x.Made, x.Deadline = true, l.Opened.Add(examinationLimit)
		x.Snapshot, err = s.snapshotFor(ctx, v, &l)
	}
	if err != nil {
		return x, err
	}
	x.Login, err = s.loginFor(ctx, v, disk.Ref, doctor)
	if err != nil {
		if x.Made {
			err = errors.Join(err, s.endExamination(ctx, job.ExamineRequest{Process: q.Process, Disk: string(disk.Ref.ID())}))
		}
		return x, err
	}
	s.Log.Info("a disk is examined, and a login for it is given", "host", doctor.Host, "doctor", q.Doctor, "disk", disk.Ref.ID(),
		"name", disk.Name, "vcenter", v.Name(), "user", x.Login.User, "snapshot", x.Snapshot, "made", x.Made)
	return x, nil
}

func (s *Service) describe(q job.ExamineRequest, v *inventory.VCenter, d inventory.Disk) job.Examination {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	x := job.Examination{
		Run: ivd.RunID(examination + q.Process), Disk: d.Ref, Name: d.Name, Datastore: d.DatastoreName, Capacity: d.Capacity,
		Snapshot: q.Snapshot, VCenter: v.Name() + " " + v.Version(), Coordinator: host + ", " + s.Instance,
	}
	for _, vm := range d.AttachedTo {
		x.AttachedTo = append(x.AttachedTo, cmp.Or(vm.Name, vm.ID))
	}
	return x
}

// hasSnapshot refuses a snapshot that the disk has not.
func hasSnapshot(ctx context.Context, v *inventory.VCenter, ref ivd.DiskRef, id ivd.SnapshotID) error {
	snaps, err := v.Snapshots(ctx, ref)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(snaps, func(s inventory.Snapshot) bool { return s.ID == id }) {
		return nil
	}
	return &ivd.Error{
		Kind: ivd.Invalid, Err: fmt.Errorf("disk %s has no snapshot %s, but %d others", ref.ID(), id, len(snaps)),
		Remedy: "leave --snapshot out, and one is made and deleted",
	}
}

// snapshotFor makes the examination's snapshot, of which the ledger knows before
// vSphere does. Whatever goes wrong, the ledger has what is left to do.
func (s *Service) snapshotFor(ctx context.Context, v *inventory.VCenter, l *Ledger) (ivd.SnapshotID, error) {
	before, err := s.open(ctx, *l)
	if before {
		err = ivd.Errorf(ivd.Conflict, "another coordinator of this vCenter examines disk %s for %s", l.Ref.ID(), l.Examiner.Doctor)
	}
	if err != nil {
		return "", err
	}
	_, rev, err := s.getLedger(ctx, l.Run, l.Key)
	if err != nil {
		return "", err
	}
	id, err := v.CreateSnapshot(ctx, l.Ref, l.mark())
	if err != nil {
		if e := s.undo(ctx, *l, rev, unanswered(err)); e != nil && ctx.Err() == nil {
			s.Log.Warn("clean up after an examination; it is tried again", "disk", l.Ref.ID(), "err", e)
		}
		return "", &ivd.Error{
			Op: "make a snapshot to read from", Err: err,
			Remedy: cmp.Or(ivd.RemedyOf(err), "look why vSphere makes no snapshot of this disk, or name one that it has with --snapshot"),
		}
	}
	l.Snapshot = id
	if _, err := s.Queue.State().Update(ctx, ledgerKey(l.Run, l.Key), *l, rev); err != nil {
		// It was given up meanwhile, or nobody can tell: it is deleted by its mark.
		return "", errors.Join(fmt.Errorf("store the snapshot of disk %s: %w", l.Ref.ID(), err), v.DeleteSnapshot(ctx, l.Ref, id))
	}
	return id, nil
}

// endExamination deletes the snapshot that was made for an examination.
func (s *Service) endExamination(ctx context.Context, q job.ExamineRequest) error {
	l, rev, err := s.getLedger(ctx, ivd.RunID(examination+q.Process), ivd.DiskID(q.Disk))
	if ivd.KindOf(err) == ivd.NotFound {
		return nil // none was made, or it is deleted
	}
	if err != nil {
		return err
	}
	if l.Examiner == nil || l.Examiner.Coordinator != s.Instance {
		return ivd.Errorf(ivd.Conflict, "the snapshot of disk %s is another coordinator's", q.Disk)
	}
	if err := s.undo(ctx, l, rev, l.Snapshot == ""); err != nil {
		return &ivd.Error{Op: "delete the snapshot of disk " + q.Disk, Err: err, Remedy: "nothing need be done: the coordinator tries again and again"}
	}
	s.Log.Info("a disk was examined", "host", l.Examiner.Host, "doctor", l.Examiner.Doctor, "disk", l.Ref.ID())
	return nil
}

// examined tells whether an examination is over, told or not: its doctor has no
// heartbeat any more, or has taken too long. Heartbeats are lost with the embedded
// queue's process: a doctor that lives has sent another one soon after.
func (s *Service) examined(ctx context.Context, l Ledger) (bool, error) {
	if !l.Until.IsZero() || s.now().After(l.Opened.Add(examinationLimit)) {
		return true, nil
	}
	m, err := s.Queue.Mover(ctx, l.Examiner.Doctor)
	if ivd.KindOf(err) == ivd.NotFound {
		return s.now().Sub(s.born) > silentMover, nil
	}
	return err == nil && m.Process != l.Examiner.Process, err
}
