package repo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/pause"
	"ivdmover/shared/store"
)

// ErrInDoubt is in the chain of a commit's error when the point may have been
// committed, or may still be. The lease must then be left to expire (W7).
var ErrInDoubt = errors.New("the outcome is not known")

// commitExpiry is the life of a prepared commit: below Margin, and what S3
// accepts of a signed request.
const commitExpiry = 15 * time.Minute

// commitAgain is the back-off of a commit.
var commitAgain = pause.Backoff{First: 100 * time.Millisecond, Cap: 5 * time.Second, Factor: 4, Attempts: 5}

// Commit makes p a restore point, once (W6), and tells the Sum of its object.
// Everything that p names must be stored. The lease's id and deadline become part of
// the point, and the present moment is the one at which all that it names is known
// to exist, unless p says an earlier one. Where the store locks objects, all that p needs
// is locked before (protect). Nil: it is committed and durable; the same
// point committed before counts as that. Kind Exists: another point has its name.
// Kind Expired: the lease ends too soon.
func (r *Repository) Commit(ctx context.Context, lease Lease, p format.Point) (ivd.ContentID, error) {
	if err := r.proven(ctx); err != nil {
		return ivd.ContentID{}, fmt.Errorf("commit %s: %w", p.ID, err)
	}
	p.Head = r.head(pointName(p.ID))
	p.Lease, p.LeaseDeadline, p.Incarnation = lease.ID, lease.Deadline.UTC(), lease.Incarnation
	if p.SealedAt.IsZero() {
		p.SealedAt = r.Now().UTC().Truncate(time.Second)
	}
	var err error
	if p.ProtectedUntil, err = r.protect(ctx, p); err != nil {
		return ivd.ContentID{}, fmt.Errorf("commit %s: %w", p.ID, err)
	}
	body, err := r.encode(pointName(p.ID), p)
	if err != nil {
		return ivd.ContentID{}, err
	}
	return format.Sum(body), r.commit(ctx, lease, p.ID, body)
}

func (r *Repository) commit(ctx context.Context, lease Lease, id ivd.PointID, body []byte) error {
	doubt, failures := false, commitAgain.Series()
	for {
		sent, err := r.commitOnce(ctx, lease, pointName(id), body)
		if err == nil {
			return nil
		}
		kind := ivd.KindOf(err)
		if sent && kind == ivd.Exists {
			same, readErr := r.sameObject(ctx, pointName(id), body)
			if readErr == nil && same {
				return nil
			}
			if readErr == nil {
				return fmt.Errorf("commit %s: its name is taken by something else, of another program perhaps: %w", id, err)
			}
			err, kind = readErr, ivd.KindOf(readErr)
		}
		doubt = doubt || sent && store.InDoubt(err)
		// An expired lease never comes back; an expired request is made anew.
		if kind == ivd.Expired && !sent || failures.Wait(ctx, err) != nil {
			if doubt {
				err = fmt.Errorf("%w: %w", ErrInDoubt, err)
			}
			return fmt.Errorf("commit %s: %w", id, err)
		}
	}
}

// commitOnce is W6: prepare everything, then look at the lease, then send once.
func (r *Repository) commitOnce(ctx context.Context, lease Lease, name store.Name, body []byte) (sent bool, err error) {
	pending, err := r.st.Prepare(ctx, lease.ID, name, body, commitExpiry)
	if err != nil {
		return false, fmt.Errorf("prepare %s: %w", name, err)
	}
	defer pending.Discard()
	stored, err := r.checkLease(ctx, lease.ID, 0)
	if err != nil {
		return false, err
	}
	if stored.Deadline.Before(lease.Deadline) {
		return false, ivd.Errorf(ivd.Invalid, "lease %s ends at %s, not at %s", lease.ID, stored.Deadline, lease.Deadline)
	}
	return true, pending.Send(ctx)
}

// sameObject reports whether the object is exactly this one.
func (r *Repository) sameObject(ctx context.Context, name store.Name, body []byte) (bool, error) {
	o, err := r.get(ctx, name, format.MaxRecord)
	if err != nil {
		return false, err
	}
	return bytes.Equal(o.Body, body), nil
}
