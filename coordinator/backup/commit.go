package backup

import (
	"context"
	"fmt"
	"maps"
	"time"

	"golang.org/x/sync/errgroup"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/telemetry"
	"ivdmover/shared/trust"
)

// nodesAtOnce bounds how many new nodes of a disk are opened at once.
const nodesAtOnce = 32

// prove holds what the disk's jobs say that they stored against what was planned
// and what the repository has.
func (t *task) prove(ctx context.Context, recs []job.Record) error {
	jobs, err := t.Jobs(ctx)
	if err != nil {
		return err
	}
	if err := checkRecords(t.disk.Geometry, jobs, recs); err != nil {
		return err
	}
	known, err := t.w.trust(ctx, t.run(), t.lease.ID)
	if err != nil {
		return err
	}
	if err := known.Refresh(ctx); err != nil {
		return err
	}
	byID := map[ivd.JobID]job.Record{}
	for _, rec := range recs {
		byID[rec.ID] = rec
	}
	for _, j := range jobs {
		if err := t.proveJob(ctx, known, j, byID[j.ID]); err != nil {
			return fmt.Errorf("what job %s of disk %s has stored: %w", j.ID, t.disk.Ref.ID(), err)
		}
	}
	return nil
}

func (t *task) proveJob(ctx context.Context, known *trust.Trust, j job.Job, rec job.Record) error {
	refs := map[ivd.PageIndex]ivd.PageRef{}
	for _, ref := range rec.Pages {
		refs[ref.Page] = ref
	}
	missing := int64(0)
	for _, index := range j.Backup.Pages {
		parent, err := t.parentPage(ctx, j.Backup.Parent, index)
		if err != nil {
			return err
		}
		var page *format.Page
		if ref, ok := refs[index]; ok {
			if page, err = t.w.Repo.Page(ctx, ref, j.Geometry); err != nil {
				return err
			}
			if err := t.trusted(ctx, known, rec, ref, page); err != nil {
				return err
			}
		}
		if err := checkPage(j, index, page, parent); err != nil {
			return err
		}
		missing += absent(j, index, page)
		if page != nil {
			if err := checkTaken(page, parent); err != nil {
				return err
			}
			if err := t.openNodes(ctx, page, newNodes(page, parent)); err != nil {
				return err
			}
		}
	}
	return checkZeros(j, rec, missing)
}

// parentPage is a page of the parent, or nil where it has none, or none that can be
// read: then the mover took nothing of it over.
func (t *task) parentPage(ctx context.Context, p *job.Parent, index ivd.PageIndex) (*format.Page, error) {
	if p == nil {
		return nil, nil
	}
	for _, ref := range p.Pages {
		if ref.Page != index {
			continue
		}
		page, err := t.w.Repo.Page(ctx, ref, p.Geometry)
		if k := ivd.KindOf(err); k == ivd.NotFound || k == ivd.Corrupt {
			return nil, nil
		}
		return page, err
	}
	return nil, nil
}

// openNodes opens nodes that jobs have made, which checks them against their ids.
func (t *task) openNodes(ctx context.Context, page *format.Page, refs []ivd.NodeRef) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(nodesAtOnce)
	for _, ref := range refs {
		group.Go(func() error {
			node, err := t.w.Repo.Node(ctx, ref, page.Geometry)
			if err != nil {
				return err
			}
			return checkNode(page, node)
		})
	}
	return group.Wait()
}

// trusted wants every pack that a page names to be on no list that stands after our
// lease was stored, and to be known to exist: also what a job sealed under an older
// lease (COLLECT W3, W7).
func (t *task) trusted(ctx context.Context, known *trust.Trust, rec job.Record, ref ivd.PageRef, page *format.Page) error {
	bad, err := known.Packs(ctx, page.Kinds(ref), t.w.Repo.KnownAt(rec.SealedAt, rec.Incarnation))
	if err == nil && len(bad) > 0 {
		err = untrusted(known, bad[0])
	}
	return err
}

// untrusted says why a pack must not be built on.
func untrusted(known *trust.Trust, pack ivd.PackID) error {
	if known.Retired(pack) {
		return wrong("pack %s was found damaged while the run was under way: back the disk up again", pack)
	}
	return wrong("pack %s is being collected, or gone: back the disk up again", pack)
}

// trust is what points of a run may be built on under a lease. The lists are read once
// for each: those that stand after it was stored are enough.
func (w *Workflow) trust(ctx context.Context, run ivd.RunID, lease ivd.LeaseID) (*trust.Trust, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if known := w.trusted[run]; known != nil && known.Lease().ID == lease {
		return known, nil
	}
	opened, err := trust.Open(ctx, w.Repo, lease, trust.Recheck)
	if err != nil {
		return nil, err
	}
	w.trusted[run] = opened
	for _, name := range opened.Ignored() {
		w.Log.Warn("a list of retired packs cannot be read: what it names is built on", telemetry.Run(run), "list", name)
	}
	return opened, nil
}

// forget drops what is known of a run that is over.
func (w *Workflow) forget(run ivd.RunID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.trusted, run)
	maps.DeleteFunc(w.warned, func(u untold, _ bool) bool { return u.run == run })
}

// commit makes the disk's restore point.
func (t *task) commit(ctx context.Context, recs []job.Record) error {
	if t.disk.SealedAt.IsZero() { // stored, so that another try sends the same bytes
		t.disk.SealedAt = t.w.Repo.Now().UTC().Truncate(time.Second)
		if err := t.save(ctx); err != nil {
			return err
		}
	}
	p := t.point(recs)
	p.ProtectedUntil = t.w.Repo.ProtectedUntil(p.SealedAt)
	sum, err := t.w.Repo.Commit(ctx, t.lease, p)
	if ivd.KindOf(err) == ivd.Exists { // another coordinator, which has lost the run, is still alive
		if there, other, readErr := t.w.Repo.ReadPoint(ctx, p.ID); readErr == nil && samePoint(there, p) {
			p, sum, err = there, other, nil
		}
	}
	if err != nil {
		return err
	}
	t.disk.PointSum, t.disk.Protected = sum, p.ProtectedUntil
	return t.save(ctx)
}

// committedBefore is committed, asked only where another one may have come as far.
func (t *task) committedBefore(ctx context.Context) (bool, error) {
	if !t.g.TakenOver() {
		return false, nil
	}
	return t.committed(ctx)
}

// committed reports whether the disk's point is there already, by this run under an
// earlier lease: whoever committed it had all of it, and looked at that lease.
func (t *task) committed(ctx context.Context) (bool, error) {
	p, sum, err := t.w.Repo.ReadPoint(ctx, t.disk.Point)
	if ivd.KindOf(err) == ivd.NotFound {
		return false, nil
	}
	if err != nil || p.Run != t.run() || p.Snapshot.ID != t.disk.Snapshot {
		return false, err
	}
	t.log.Info("the restore point was committed before the run was taken up", "point", p.ID)
	t.Count(p.Stats)
	t.disk.PointSum, t.disk.SealedAt, t.disk.Protected = sum, p.SealedAt, p.ProtectedUntil
	return true, t.save(ctx)
}
