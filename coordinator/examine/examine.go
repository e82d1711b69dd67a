// Package examine answers doctors: processes that try how their host reaches one
// disk. It finds the disk, makes a snapshot to read from, gives a login, and
// deletes the snapshot when the doctor says so, or falls silent, or takes too long.
//
// What it promises: no snapshot of an examination outlives it, since an obligation
// is stored before the snapshot is asked for. The snapshot's mark names the repository
// where the examination has a lease there: so whoever finds it knows when it is nobody's
// any more, though the obligation be lost. An examination is no run.
package examine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"ivdmover/coordinator/inventory"
	"ivdmover/coordinator/ledger"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/queue"
	"ivdmover/shared/repo"
)

const (
	// examination begins the names of examinations, as the ledger has them and their
	// snapshots' descriptions.
	examination = "examination-"
	markPrefix  = "ivdmover " + examination
	// limit is how long an examination may take before its snapshot is deleted, done
	// or not, unless the disk's vCenter wants snapshots to be younger.
	limit = 30 * time.Minute
)

// Ours reports whether a snapshot with this description was made for an
// examination.
func Ours(description string) bool { return strings.HasPrefix(description, markPrefix) }

// Fleet tells of a doctor by its heartbeat. Kind NotFound: it has none.
type Fleet interface {
	Mover(ctx context.Context, name string) (job.Mover, error)
}

// Leases opens and ends leases; a repository does.
type Leases interface {
	OpenLease(ctx context.Context, s repo.LeaseSpec) (repo.Lease, error)
	EndLease(ctx context.Context, id ivd.LeaseID) error
}

// Deps are what a Room works with. It owns none of them.
type Deps struct {
	Sources  *inventory.Sources
	Ledger   *ledger.Ledger
	Fleet    Fleet
	Leases   Leases
	Here     string        // what marks call the repository that the leases are of
	Silent   time.Duration // without a heartbeat since this start, a doctor is gone
	Instance string        // names this coordinator; the same after a restart
	Log      *slog.Logger

	SnapshotAge func(ivd.SourceID) time.Duration // how old snapshots may grow; 0, and nil: as they like

	Now func() time.Time // nil: time.Now
}

// Room is where disks are examined. Its methods are safe for concurrent use.
type Room struct {
	Deps
	born time.Time // when it began
}

// New makes a Room, and has its ledger know how to undo what it does.
func New(d Deps) *Room {
	if d.Now == nil {
		d.Now = time.Now
	}
	r := &Room{Deps: d, born: d.Now()}
	r.Ledger.Register(kind, ledger.Behaviour{Looks: true, Undo: r.undo, Over: r.over})
	return r
}

// Serve answers doctors until stop is called.
func (r *Room) Serve(ctx context.Context, q *queue.Queue) (stop func(), err error) {
	return q.ServeExaminations(ctx, r.answer)
}

func (r *Room) answer(ctx context.Context, q job.ExamineRequest, doctor job.Mover) (job.Examination, error) {
	if _, err := uuid.Parse(q.Process); err != nil {
		return job.Examination{}, ivd.Errorf(ivd.Invalid, "the process of doctor %s: %w", q.Doctor, err)
	}
	switch q.Op {
	case job.ExamineBegin:
		return r.begin(ctx, q, doctor)
	case job.ExamineEnd:
		return job.Examination{}, r.end(ctx, q)
	}
	return job.Examination{}, ivd.Errorf(ivd.Unsupported, "a doctor asks to %q", q.Op)
}

// begin looks the disk up and gives what a doctor needs to read it. Other than for
// a backup the disk's relocation is not disabled: no mover need be there, and a
// disk that is relocated meanwhile fails its examination and nothing else.
func (r *Room) begin(ctx context.Context, q job.ExamineRequest, doctor job.Mover) (job.Examination, error) {
	v, disk, err := r.Sources.Meant(ctx, q.Disk)
	if err != nil {
		return job.Examination{}, err
	}
	x := r.describe(q, v, disk)
	if x.Disk, err = v.Opens(disk.Ref); err != nil {
		return job.Examination{}, err
	}
	if q.Snapshot != "" {
		err = hasSnapshot(ctx, v, disk.Ref, q.Snapshot)
	} else {
		x.Made, x.Deadline = true, r.Now().UTC().Add(r.limit(disk.Ref.Source()))
		x.Snapshot, err = r.snapshot(ctx, v, x.Run, made{
			Disk: disk.Ref, Doctor: q.Doctor, Process: q.Process, Host: doctor.Host, Coordinator: r.Instance,
		})
	}
	if err != nil {
		return x, err
	}
	x.Login, err = v.LoginFor(ctx, disk.Ref, doctor)
	if err != nil {
		if x.Made {
			err = errors.Join(err, r.end(ctx, job.ExamineRequest{Process: q.Process, Disk: string(disk.Ref.ID())}))
		}
		return x, err
	}
	r.Log.Info("a disk is examined, and a login for it is given", "host", doctor.Host, "doctor", q.Doctor, "disk", disk.Ref.ID(),
		"name", disk.Name, "vcenter", v.Name(), "user", x.Login.User, "snapshot", x.Snapshot, "made", x.Made)
	return x, nil
}

// limit is how long an examination of a disk of a vCenter may take.
func (r *Room) limit(source ivd.SourceID) time.Duration {
	if r.SnapshotAge == nil || r.SnapshotAge(source) <= 0 {
		return limit
	}
	return min(limit, r.SnapshotAge(source))
}

func (r *Room) describe(q job.ExamineRequest, v *inventory.VCenter, d inventory.Disk) job.Examination {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	x := job.Examination{
		Run: ivd.RunID(examination + q.Process), Name: d.Name, Datastore: d.DatastoreName, Capacity: d.Capacity,
		Snapshot: q.Snapshot, VCenter: v.Name() + " " + v.Version(), Coordinator: host + ", " + r.Instance,
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
		Kind: ivd.NotFound, Err: fmt.Errorf("disk %s has no snapshot %s, but %d others", ref.ID(), id, len(snaps)),
		Remedy: "leave --snapshot out, and one is made and deleted",
	}
}
