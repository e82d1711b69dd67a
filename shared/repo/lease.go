package repo

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/store"
)

// Times of leases (rule G3).
const (
	DefaultLife = 24 * time.Hour
	MaxLife     = 48 * time.Hour // after the lease's LastModified, whatever its body says
	// Margin is kept before a deadline: it exceeds the longest life of a prepared
	// commit.
	Margin = 30 * time.Minute
)

// maxLease bounds a lease's object.
const maxLease = 64 << 10

// Lease is the right to use the repository until its deadline.
type Lease = format.Lease

// The kinds of lease.
const (
	WriteLease = format.WriteLease
	ReadLease  = format.ReadLease
)

// LeaseSpec is what a lease is asked for.
type LeaseSpec struct {
	Kind  format.LeaseKind // empty: WriteLease
	Owner string           // for people: program and host
	Run   ivd.RunID        // may be empty
	Life  time.Duration    // 0 is DefaultLife; at most MaxLife
}

// OpenLease stores a new lease (W1, R1). Whoever uses it afterwards reads the
// lists that stand only then: package trust does, and OpenPoint. Kind Denied: the
// store refuses it.
func (r *Repository) OpenLease(ctx context.Context, s LeaseSpec) (Lease, error) {
	if s.Life == 0 {
		s.Life = DefaultLife
	}
	if s.Life <= Margin || s.Life > MaxLife {
		return Lease{}, ivd.Errorf(ivd.Invalid, "lease of %s: want more than %s and at most %s", s.Life, Margin, MaxLife)
	}
	if r.st.Properties().ReadOnly {
		return Lease{}, &ivd.Error{Kind: ivd.Denied, Op: "open a lease", Err: fmt.Errorf("%s was opened for reading only, since it refused writes", r.st)}
	}
	// The deadline is by the store's clock, which every answer carries.
	info, now, err := r.refresh(ctx)
	if err == nil {
		err = timed(repoName, now)
	}
	if err == nil && s.Kind != ReadLease {
		err = info.Allows(Writing)
	}
	if err != nil {
		return Lease{}, fmt.Errorf("open a lease: %w", err)
	}
	if s.Kind == "" {
		s.Kind = WriteLease
	}
	now = now.UTC().Truncate(time.Second)
	l := Lease{
		ID: ivd.NewLeaseID(), Kind: s.Kind, Owner: s.Owner, Run: s.Run, Incarnation: info.Incarnation,
		Opened: now, Deadline: now.Add(s.Life),
	}
	l.Head = r.head(leaseName(l.ID))
	body, err := r.encode(leaseName(l.ID), l)
	if err != nil {
		return Lease{}, err
	}
	if err := r.st.Put(ctx, leaseName(l.ID), body); err != nil {
		return Lease{}, fmt.Errorf("store lease %s: %w", l.ID, err)
	}
	return l, nil
}

// CheckLease asks the store whether a lease is present and ends no sooner than
// need and Margin from now. Kind Expired: it does not; what was begun under it
// cannot be committed.
func (r *Repository) CheckLease(ctx context.Context, id ivd.LeaseID, need time.Duration) error {
	_, err := r.checkLease(ctx, id, need)
	return err
}

// Begin sees that a lease stands, and returns it: whatever is done under a lease
// begins with this, and reads the lists that stand only then. Repo.json is read anew
// before: a use that it does not allow is refused, and so is a lease of another
// incarnation.
func (r *Repository) Begin(ctx context.Context, id ivd.LeaseID, use Use) (Lease, error) {
	info, _, err := r.refresh(ctx)
	if err == nil {
		err = info.Allows(use)
	}
	if err != nil {
		return Lease{}, err
	}
	l, err := r.checkLease(ctx, id, 0)
	if err == nil && l.Incarnation != info.Incarnation {
		err = &ivd.Error{Kind: ivd.Expired, Op: fmt.Sprintf("check lease %s", id), Err: fmt.Errorf("it is of incarnation %s of the repository, which is %s now", l.Incarnation, info.Incarnation), Remedy: "start the run again"}
	}
	return l, err
}

func (r *Repository) checkLease(ctx context.Context, id ivd.LeaseID, need time.Duration) (Lease, error) {
	l, now, err := r.readLease(ctx, id)
	if ivd.KindOf(err) == ivd.NotFound {
		return Lease{}, &ivd.Error{Kind: ivd.Expired, Op: fmt.Sprintf("check lease %s", id), Err: fmt.Errorf("it is gone: it was ended, or ran out and was removed"), Remedy: "start the run again"}
	}
	if err != nil {
		return Lease{}, fmt.Errorf("check lease %s: %w", id, err)
	}
	if !now.Add(need).Before(l.Deadline.Add(-Margin)) {
		return Lease{}, &ivd.Error{Kind: ivd.Expired, Op: fmt.Sprintf("check lease %s", id), Err: fmt.Errorf("it ends at %s, the store's clock says %s, and %s are needed", l.Deadline.Format(time.RFC3339), now.UTC().Format(time.RFC3339), Margin+need), Remedy: "start the run again"}
	}
	return l, nil
}

// readLease reads a lease, its deadline cut to what G3 grants, and the store's
// clock.
func (r *Repository) readLease(ctx context.Context, id ivd.LeaseID) (Lease, time.Time, error) {
	o, err := r.get(ctx, leaseName(id), maxLease)
	if err != nil {
		return Lease{}, time.Time{}, err
	}
	if err := timed(o.Name, o.Now); err != nil {
		return Lease{}, time.Time{}, err
	}
	l, err := decode(ctx, r, o, format.LeaseMagic, func(b []byte, _ format.At) (Lease, error) { return format.DecodeLease(b, r.info.ID, id) })
	if err != nil {
		return Lease{}, time.Time{}, fmt.Errorf("%s: %w", o.Name, err)
	}
	if latest := o.Modified.Add(MaxLife); l.Deadline.After(latest) {
		l.Deadline = latest
	}
	return l, o.Now, nil
}

// EndLease ends a lease (W7): only by who opened it, and only when the outcome of
// every commit under it is known. To end one that is gone is no error.
func (r *Repository) EndLease(ctx context.Context, id ivd.LeaseID) error {
	if err := r.st.Delete(ctx, leaseName(id)); err != nil && !errors.Is(err, store.ErrVersionsKept) {
		return fmt.Errorf("end lease %s: %w", id, err)
	}
	return nil
}

// StoredLease is a lease as others see it.
type StoredLease struct {
	Lease
	// Unknown: it cannot be read, for the reason that is given. It stands until the
	// latest deadline that a lease can have.
	Unknown error
}

// Leases yields the leases that are stored, those past their deadline included, and
// those that cannot be read. One that ends meanwhile is left out.
func (r *Repository) Leases(ctx context.Context) iter.Seq2[StoredLease, error] {
	return func(yield func(StoredLease, error) bool) {
		for info, err := range r.st.List(ctx, leasesDir) {
			if err != nil {
				yield(StoredLease{}, fmt.Errorf("list %s: %w", leasesDir, err))
				return
			}
			id := ivd.LeaseID(info.Name[len(leasesDir):])
			l, _, err := r.readLease(ctx, id)
			stored := StoredLease{Lease: l}
			switch ivd.KindOf(err) {
			case ivd.NotFound:
				continue
			case ivd.Corrupt, ivd.Unsupported:
				stored = StoredLease{Lease: Lease{ID: id, Deadline: info.Modified.Add(MaxLife)}, Unknown: err}
				err = nil
			}
			if !yield(stored, err) {
				return
			}
		}
	}
}
