package repo

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/store"
)

// MayForget refuses, with kind Denied, where this process holds no key that signs what is
// forgotten, pinned and held.
func (r *Repository) MayForget() error {
	a := r.access()
	if a == nil || a.MaySign(format.ForgottenMagic) && a.MaySign(format.PinMagic) && a.MaySign(format.HoldMagic) {
		return nil
	}
	return &ivd.Error{
		Kind: ivd.Denied, Err: fmt.Errorf("this process has no key with role %s", format.Retain),
		Remedy: "forget, pin and hold where repository.passphrase_file is set",
	}
}

// Forget stores that a point was given up (P1). It deletes nothing, and does not look
// whether the point is pinned, held or the last good one: whoever reads the mark does. To
// store it again is no error.
func (r *Repository) Forget(ctx context.Context, f format.Forgotten) error {
	if err := r.mayMark(ctx, f.Point, Collecting); err != nil {
		return fmt.Errorf("forget %s: %w", f.Point, err)
	}
	name := store.Name(forgottenDir + string(f.Point))
	f.Head, f.At = r.head(name), r.markedAt()
	body, err := r.encode(name, f)
	if err == nil {
		err = r.st.Put(ctx, name, body)
	}
	if err != nil {
		return fmt.Errorf("forget %s: %w", f.Point, err)
	}
	return nil
}

// Pin keeps a point whatever retention says, until Unpin. A point that was forgotten
// stays, too. Kind NotFound: there is no such point, or it is being deleted.
func (r *Repository) Pin(ctx context.Context, id ivd.PointID, reason string) error {
	err := r.keep(ctx, id, func() error {
		return changeMark(ctx, r, pinsDir, format.PinMagic, id, format.DecodePin, func(*format.Pin) (format.Pin, error) {
			return format.Pin{Head: r.head(store.Name(pinsDir + id)), Point: id, At: r.markedAt(), Reason: clip(reason)}, nil
		})
	})
	return marking(err, "pin", id)
}

// Unpin takes a pin off. Kind Unmet: the point is not pinned.
func (r *Repository) Unpin(ctx context.Context, id ivd.PointID) error {
	err := changeMark(ctx, r, pinsDir, format.PinMagic, id, format.DecodePin, func(p *format.Pin) (format.Pin, error) {
		if p == nil || !p.Keeps() {
			return format.Pin{}, ivd.Errorf(ivd.Unmet, "it is not pinned")
		}
		p.Head, p.Released = r.head(store.Name(pinsDir+id)), r.markedAt()
		return *p, nil
	})
	return marking(err, "unpin", id)
}

// Hold keeps a point until a day. A hold that is there is made longer, never shorter: kind
// Unmet. Kind NotFound: there is no such point, or it is being deleted.
func (r *Repository) Hold(ctx context.Context, id ivd.PointID, until time.Time, reason string) error {
	until = until.UTC().Truncate(time.Second)
	longer := func(h *format.Hold) (format.Hold, error) {
		now := r.markedAt()
		switch {
		case !until.After(now):
			return format.Hold{}, ivd.Errorf(ivd.Invalid, "the end %s is not after now", until.Format(time.RFC3339))
		case h != nil && h.Keeps(now) && h.Until.After(until):
			return format.Hold{}, &ivd.Error{Kind: ivd.Unmet, Err: fmt.Errorf("it is held until %s: %s", h.Until.Format(time.RFC3339), h.Reason), Remedy: "give a later end, or release it before"}
		}
		return format.Hold{Head: r.head(store.Name(holdsDir + id)), Point: id, At: now, Until: until, Reason: clip(reason)}, nil
	}
	err := r.keep(ctx, id, func() error {
		return changeMark(ctx, r, holdsDir, format.HoldMagic, id, format.DecodeHold, longer)
	})
	return marking(err, "hold", id)
}

// Release ends a hold before its end. Kind Unmet: the point is not held.
func (r *Repository) Release(ctx context.Context, id ivd.PointID, why string) error {
	err := changeMark(ctx, r, holdsDir, format.HoldMagic, id, format.DecodeHold, func(h *format.Hold) (format.Hold, error) {
		now := r.markedAt()
		if h == nil || !h.Keeps(now) {
			return format.Hold{}, ivd.Errorf(ivd.Unmet, "it is not held")
		}
		h.Head, h.Released, h.Why = r.head(store.Name(holdsDir+id)), now, clip(why)
		return *h, nil
	})
	return marking(err, "release", id)
}

// Quarantine takes a point out of collections, which its caller has found to be unreadable:
// what only this point needs is deleted. The point itself stays.
func (r *Repository) Quarantine(ctx context.Context, id ivd.PointID, reason string) error {
	_, err := r.st.Stat(ctx, pointName(id))
	if err == nil {
		err = changeMark(ctx, r, quarantinedDir, format.QuarantinedMagic, id, format.DecodeQuarantined, func(*format.Quarantined) (format.Quarantined, error) {
			return format.Quarantined{Head: r.head(store.Name(quarantinedDir + id)), Point: id, At: r.markedAt(), Reason: clip(reason)}, nil
		})
	}
	return marking(err, "quarantine", id)
}

// LiftQuarantine has collections read a point again. Kind Unmet: they do.
func (r *Repository) LiftQuarantine(ctx context.Context, id ivd.PointID) error {
	err := changeMark(ctx, r, quarantinedDir, format.QuarantinedMagic, id, format.DecodeQuarantined, func(q *format.Quarantined) (format.Quarantined, error) {
		if q == nil || !q.Stands() {
			return format.Quarantined{}, ivd.Errorf(ivd.Unmet, "it is not quarantined")
		}
		q.Head, q.Lifted = r.head(store.Name(quarantinedDir+id)), r.markedAt()
		return *q, nil
	})
	return marking(err, "lift the quarantine of", id)
}

func marking(err error, doing string, id ivd.PointID) error {
	if err != nil {
		return fmt.Errorf("%s %s: %w", doing, id, err)
	}
	return nil
}

// markedAt is now, as marks say it.
func (r *Repository) markedAt() time.Time { return r.Now().UTC().Truncate(time.Second) }

// mayMark refuses what the repository does not allow, or this process cannot sign.
func (r *Repository) mayMark(ctx context.Context, id ivd.PointID, use Use) error {
	if _, err := ivd.ParsePointID(string(id)); err != nil {
		return err
	}
	if err := r.MayForget(); err != nil {
		return err
	}
	info, _, err := r.refresh(ctx) // with the store's clock
	if err == nil {
		err = info.Allows(use)
	}
	return err
}

// keep has a mark stored that keeps a point, and sees before and afterwards that there is
// something to keep: a collector looks for marks before it deletes, and this one may come
// too late.
func (r *Repository) keep(ctx context.Context, id ivd.PointID, stored func() error) error {
	if _, err := ivd.ParsePointID(string(id)); err != nil {
		return err
	}
	for _, do := range []func() error{func() error { return r.stays(ctx, id) }, stored} {
		if err := do(); err != nil {
			return err
		}
	}
	return r.stays(ctx, id)
}

// stays refuses, with kind NotFound, a point that is not there or is being deleted.
func (r *Repository) stays(ctx context.Context, id ivd.PointID) error {
	if _, err := r.st.Stat(ctx, pointName(id)); err != nil {
		return err
	}
	condemned, err := r.isCondemned(ctx, id)
	if err == nil && condemned {
		err = &ivd.Error{Kind: ivd.NotFound, Err: fmt.Errorf("the point was given up before and is being deleted: what is to keep it may have come too late"), Remedy: "keep another point of `ivd points`"}
	}
	return err
}

// changeMark reads a mark, has change make the next one of it, or of nil where there is
// none, and stores that on the condition that it is still what was read; where it is not,
// it begins again.
func changeMark[T encoder](ctx context.Context, r *Repository, dir string, magic format.Magic, id ivd.PointID, read func([]byte, string, ivd.PointID) (T, error), change func(*T) (T, error)) error {
	if err := r.mayMark(ctx, id, Writing); err != nil {
		return err
	}
	name := store.Name(dir + string(id))
	return replaceAgain.Do(ctx, func(ctx context.Context) error {
		var old *T
		was, err := r.get(ctx, name, format.MaxRecord)
		absent := ivd.KindOf(err) == ivd.NotFound
		if err != nil && !absent {
			return err
		}
		if !absent {
			m, err := readMark(ctx, r, was, magic, id, read)
			switch {
			case err == nil:
				old = &m
			case ivd.KindOf(err) != ivd.Corrupt: // what is damaged is stored anew
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		next, err := change(old)
		if err != nil {
			return err
		}
		body, err := r.encode(name, next)
		if err != nil {
			return err
		}
		return r.storeMark(ctx, name, was, absent, body)
	})
}

func (r *Repository) storeMark(ctx context.Context, name store.Name, was store.Object, absent bool, body []byte) error {
	var err error
	if absent {
		err = create(ctx, r.st, name, body)
	} else {
		err = r.st.Replace(ctx, was, body)
	}
	if err == nil {
		return nil
	}
	// Whatever the answer was, what is stored now decides.
	if now, readErr := r.get(ctx, name, format.MaxRecord); readErr == nil && bytes.Equal(now.Body, body) {
		return nil
	}
	if ivd.KindOf(err) == ivd.Exists {
		err = &ivd.Error{Kind: ivd.Conflict, Err: err}
	}
	return err
}

// clip bounds a text for people, and leaves only what is UTF-8.
func clip(text string) string { return strings.ToValidUTF8(text[:min(len(text), maxReason)], "") }
