package examine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"ivdmover/coordinator/inventory"
	"ivdmover/coordinator/ledger"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/repo"
)

// kind is the obligation to delete an examination's snapshot.
const kind ledger.Kind = "examination"

// made is the snapshot that is made for an examination, and whose that is.
type made struct {
	Disk        ivd.DiskRef `json:"disk"`
	Doctor      string      `json:"doctor"` // the name of its heartbeat, without which the examination is over
	Process     string      `json:"process"`
	Host        string      `json:"host"`
	Coordinator string      `json:"coordinator"` // the instance that made the snapshot, and deletes it when asked to
	Here        string      `json:"here,omitempty"`
	Lease       ivd.LeaseID `json:"lease,omitempty"` // in the repository that Here names; empty: nothing could be written to it
}

// mark is the description of an examination's snapshot. Without a lease it names no
// repository: only the ledger deletes it, or a person.
func (m made) mark(run ivd.RunID) string {
	if m.Lease == "" {
		return "ivdmover " + string(run)
	}
	return "ivdmover " + string(run) + " of " + m.Here
}

// lease opens the examination's lease, which is to last for as long as it may take.
func (r *Room) lease(ctx context.Context, run ivd.RunID, m *made) {
	l, err := r.Leases.OpenLease(ctx, repo.LeaseSpec{Kind: repo.ReadLease, Owner: "doctor " + m.Doctor, Run: run, Life: repo.Margin + limit})
	if err != nil {
		r.Log.Warn("an examination has no lease: if the queue loses its files meanwhile, its snapshot stays until somebody deletes it", "disk", m.Disk.ID(), "err", err)
		return
	}
	m.Here, m.Lease = r.Here, l.ID
}

// endLease ends the examination's lease, when its snapshot is gone, or was not made.
func (r *Room) endLease(ctx context.Context, m made) {
	if m.Lease == "" || m.Here != r.Here {
		return
	}
	if err := r.Leases.EndLease(ctx, m.Lease); err != nil {
		r.Log.Warn("ending the lease of an examination failed: it will expire", "lease", m.Lease, "err", err)
	}
}

// snapshot makes the examination's snapshot, of which the ledger knows before
// vSphere does. Whatever goes wrong, the ledger has what is left to do.
func (r *Room) snapshot(ctx context.Context, v *inventory.VCenter, run ivd.RunID, m made) (ivd.SnapshotID, error) {
	item := string(m.Disk.ID())
	r.lease(ctx, run, &m)
	e, err := r.Ledger.Open(ctx, ledger.Obligation{Run: run, Item: item, Kind: kind, Asked: true}, m)
	if err == nil && e.Before {
		err = ivd.Errorf(ivd.Conflict, "another coordinator of this vCenter examines disk %s for %s", m.Disk.ID(), m.Doctor)
	}
	if err != nil {
		r.endLease(ctx, m)
		return "", err
	}
	id, err := v.CreateSnapshot(ctx, m.Disk, m.mark(run))
	known := !inventory.Unanswered(err)
	if err != nil {
		if known {
			_ = e.Answered(ctx, nil) // else it is looked for in vain for a while
		}
		if e := r.Ledger.Undo(ctx, run, item); e != nil && ctx.Err() == nil {
			r.Log.Warn("cleaning up after an examination failed; it is tried again", "disk", m.Disk.ID(), "err", e)
		}
		return "", &ivd.Error{
			Op: "make a snapshot to read from", Err: err,
			Remedy: cmp.Or(ivd.RemedyOf(err), "look why vSphere makes no snapshot of this disk, or name one that it has with --snapshot"),
		}
	}
	if err := e.Answered(ctx, nil); err != nil {
		// It was given up meanwhile, or nobody can tell: it is deleted by its id.
		return "", errors.Join(fmt.Errorf("store the snapshot of disk %s: %w", m.Disk.ID(), err), v.DeleteSnapshot(ctx, m.Disk, id))
	}
	return id, nil
}

// end deletes the snapshot that was made for an examination.
func (r *Room) end(ctx context.Context, q job.ExamineRequest) error {
	run := ivd.RunID(examination + q.Process)
	e, err := r.Ledger.Get(ctx, run, q.Disk, kind)
	if ivd.KindOf(err) == ivd.NotFound {
		return nil // none was made, or it is deleted
	}
	if err != nil {
		return err
	}
	var m made
	if err := e.Decode(&m); err != nil {
		return err
	}
	if m.Coordinator != r.Instance {
		return ivd.Errorf(ivd.Conflict, "the snapshot of disk %s is another coordinator's", q.Disk)
	}
	if err := r.Ledger.Undo(ctx, run, q.Disk); err != nil {
		return &ivd.Error{Op: "delete the snapshot of disk " + q.Disk, Err: err, Remedy: "nothing need be done: the coordinator tries again and again"}
	}
	r.Log.Info("a disk was examined", "host", m.Host, "doctor", m.Doctor, "disk", m.Disk.ID())
	return nil
}

// undo deletes the examination's snapshot, known or not.
func (r *Room) undo(ctx context.Context, o ledger.Obligation) (found bool, err error) {
	var m made
	if err := o.Decode(&m); err != nil {
		return false, err
	}
	v, err := r.Sources.Of(m.Disk.Source())
	if err != nil {
		return false, err
	}
	found, err = v.DeleteMarked(ctx, m.Disk, m.mark(o.Run))
	if err == nil {
		r.endLease(ctx, m)
	}
	return found, err
}

// over reports whether an examination is over, told or not: its doctor has no
// heartbeat any more, or has taken too long. Heartbeats are lost with the embedded
// queue's process: a doctor that lives has sent another one soon after.
func (r *Room) over(ctx context.Context, o ledger.Obligation) (bool, error) {
	if o.Undone() {
		return true, nil
	}
	var d made
	if err := o.Decode(&d); err != nil {
		return false, err
	}
	if r.Now().After(o.Opened.Add(r.limit(d.Disk.Source()))) {
		return true, nil
	}
	m, err := r.Fleet.Mover(ctx, d.Doctor)
	if ivd.KindOf(err) == ivd.NotFound {
		return r.Now().Sub(r.born) > r.Silent, nil
	}
	return err == nil && m.Process != d.Process, err
}

// MayDelete refuses the deletion of an examination's snapshot of which the ledger knows:
// its doctor works, or the ledger deletes it.
func (r *Room) MayDelete(ctx context.Context, ref ivd.DiskRef, description string) error {
	name, _, _ := strings.Cut(strings.TrimPrefix(description, "ivdmover "), " ")
	run := ivd.RunID(name)
	has, err := r.Ledger.Has(ctx, run, string(ref.ID()))
	if err == nil && has {
		err = &ivd.Error{Kind: ivd.Locked, Err: fmt.Errorf("the ledger has %s: it deletes the snapshot when its doctor has ended", run), Remedy: "end `ivd-mover doctor`, and wait a minute"}
	}
	return err
}
