package repo_test

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/store"
)

const disk ivd.DiskID = "6000c298-1111-4222-8333-444455556666"

func storeName(s string) store.Name { return store.Name(s) }

const source ivd.SourceID = "lab"

// point is a restore point of an empty disk.
func point(r *repo.Repository, name string) format.Point {
	at := time.Date(2026, 11, 24, 23, 0, 0, 0, time.UTC)
	return format.Point{
		ID:          ivd.NewPointID(r.Domain(), source, disk, at, "run-1"),
		Source:      format.PointSource{Kind: format.VCenter, ID: source},
		Disk:        format.PointDisk{Kind: ivd.IVD, ID: disk, Name: name, Datastore: format.PointDatastore{ID: "datastore-1"}},
		Geometry:    ivd.Geometry{Capacity: 1 << 20, ChunkSize: ivd.DefaultChunkSize},
		Tracking:    format.Tracking{CBT: format.CBTOff, Mode: format.ReadAllocated},
		Consistency: format.CrashConsistent,
		Run:         "run-1",
		Time:        at,
	}
}

func commit(r *repo.Repository, ctx context.Context, l repo.Lease, p format.Point) error {
	_, err := r.Commit(ctx, l, p)
	return err
}

// headOf is what a record of the repository begins with that is called so.
func headOf(r *repo.Repository, object string) format.Head {
	return format.Head{Repository: r.ID(), Domain: r.Domain(), Object: object, Program: "a test"}
}

// headAt is where such a record is found.
func headAt(r *repo.Repository, object string) format.At {
	return format.At{Repository: r.ID(), Domain: r.Domain(), Object: object}
}

func pointObject(p format.Point) string { return "points/" + string(p.ID) }

// sends answers the sends in turn: with an error before they happen, or after.
func sends(b *bucket, before, after []error) {
	next := func(errs *[]error) error {
		if len(*errs) == 0 {
			return nil
		}
		err := (*errs)[0]
		*errs = (*errs)[1:]
		return err
	}
	b.fault = func(op, _ string) error {
		if op == "send" {
			return next(&before)
		}
		return nil
	}
	b.after = func(op, _ string) error {
		if op == "send" {
			return next(&after)
		}
		return nil
	}
}

// commitWaits is how long a commit that fails waits between its attempts.
const commitWaits = (100 + 400 + 1600 + 5000) * time.Millisecond

func TestCommit(t *testing.T) {
	b, r := made(t)
	l := lease(t, r, repo.LeaseSpec{Kind: repo.WriteLease})
	b.forget()
	p := point(r, "web-1")
	if err := commit(r, t.Context(), l, p); err != nil {
		t.Fatal(err)
	}
	// W6: prepared, then the own lease, then sent, once.
	w6 := []string{"prepare " + pointObject(p), "get leases/" + string(l.ID), "send " + pointObject(p)}
	if got := b.did(); !slices.Equal(got, w6) {
		t.Fatalf("commit did %q", got)
	}
	got, sum, err := r.ReadPoint(t.Context(), p.ID)
	if err != nil {
		t.Fatal(err)
	}
	if d := b.now().Sub(got.SealedAt); d < 0 || d > time.Minute || got.Program == "" {
		t.Fatalf("sealed %s ago by %q", d, got.Program)
	}
	p.Head = format.Head{Repository: r.ID(), Domain: r.Domain(), Object: pointObject(p), Program: got.Program}
	p.Lease, p.LeaseDeadline, p.Incarnation, p.SealedAt, p.Pages = l.ID, l.Deadline, r.Incarnation(), got.SealedAt, []ivd.PageRef{}
	if !reflect.DeepEqual(got, p) {
		t.Fatalf("read %+v\nwant %+v", got, p)
	}
	again, err := r.Commit(t.Context(), l, p)
	if err != nil || again != sum || sum.IsZero() {
		t.Fatalf("the same point again: %s, was %s: %v", again, sum, err)
	}
	p.Disk.Name = "web-2"
	err = commit(r, t.Context(), l, p)
	wantKind(t, err, ivd.Exists)
	if errors.Is(err, repo.ErrInDoubt) {
		t.Fatalf("a definite answer is called doubtful: %v", err)
	}
}

// A definite answer ends a commit at once, and leaves no doubt.
func TestCommitRefused(t *testing.T) {
	for _, kind := range []ivd.Kind{ivd.Unsupported, ivd.Denied, ivd.Full, ivd.Invalid} {
		t.Run(string(kind), func(t *testing.T) {
			b, r := made(t)
			l := lease(t, r, repo.LeaseSpec{})
			sends(b, []error{ivd.Errorf(kind, "no")}, nil)
			b.forget()
			err := commit(r, t.Context(), l, point(r, "web-1"))
			wantKind(t, err, kind)
			if errors.Is(err, repo.ErrInDoubt) || len(b.did()) != 3 {
				t.Errorf("%q was done: %v", b.did(), err)
			}
		})
	}
}

// Whatever the store answers, what happened decides, and every attempt is W6
// from its beginning.
func TestCommitUnknownOutcome(t *testing.T) {
	for name, c := range map[string]struct{ before, after []error }{
		"it happened":               {nil, []error{errOutage}},
		"it did not happen":         {[]error{errOutage}, nil},
		"it was refused as too old": {[]error{ivd.Errorf(ivd.Expired, "too late")}, nil},
		"a full store, then room":   {[]error{ivd.Errorf(ivd.Transient, "busy"), errOutage}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			b, r := made(t)
			l := lease(t, r, repo.LeaseSpec{})
			sends(b, c.before, c.after)
			b.forget()
			p := point(r, "web-1")
			if err := commit(r, t.Context(), l, p); err != nil {
				t.Fatal(err)
			}
			if _, _, err := r.ReadPoint(t.Context(), p.ID); err != nil {
				t.Fatal(err)
			}
			did := b.did()
			prepared := 0
			for i, op := range did {
				if op != "prepare "+pointObject(p) {
					continue
				}
				prepared++
				if did[i+1] != "get leases/"+string(l.ID) || did[i+2] != "send "+pointObject(p) {
					t.Fatalf("an attempt is not W6: %q", did)
				}
			}
			if prepared < 2 {
				t.Fatalf("no second attempt: %q", did)
			}
		})
	}
}

// The name was taken by somebody else while the own request was on its way.
func TestCommitOther(t *testing.T) {
	b, r := made(t)
	l := lease(t, r, repo.LeaseSpec{})
	other := lease(t, r, repo.LeaseSpec{})
	sends(b, []error{errOutage}, nil)
	p := point(r, "web-1")
	theirs := p
	theirs.Head = headOf(r, pointObject(p))
	theirs.Lease, theirs.LeaseDeadline, theirs.SealedAt = other.ID, other.Deadline, other.Opened
	body, err := theirs.Encode()
	if err != nil {
		t.Fatal(err)
	}
	b.put(storeName(pointObject(p)), body)
	err = commit(r, t.Context(), l, p)
	wantKind(t, err, ivd.Exists)
	if got, _, err := r.ReadPoint(t.Context(), p.ID); err != nil || got.Lease != other.ID {
		t.Fatalf("the other's point is replaced: %v", err)
	}
}

func TestCommitWithoutLease(t *testing.T) {
	b, r := made(t)
	l := lease(t, r, repo.LeaseSpec{Life: 2 * time.Hour})
	p := point(r, "web-1")
	b.pass(91 * time.Minute)
	b.forget()
	wantKind(t, commit(r, t.Context(), l, p), ivd.Expired)
	if err := r.EndLease(t.Context(), l.ID); err != nil {
		t.Fatal(err)
	}
	wantKind(t, commit(r, t.Context(), l, p), ivd.Expired)
	if did := b.did(); slices.Contains(did, "send "+pointObject(p)) {
		t.Fatalf("it was sent: %q", did)
	}
	// A deadline that the lease does not have is not put into a point.
	long := lease(t, r, repo.LeaseSpec{Life: 2 * time.Hour})
	long.Deadline = long.Deadline.Add(time.Hour)
	wantKind(t, commit(r, t.Context(), long, p), ivd.Invalid)
}

// Doubt is said, so that the lease is left to expire (W7).
func TestCommitInDoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, r := made(t)
		l := lease(t, r, repo.LeaseSpec{})
		p := point(r, "web-1")

		b.fail("send", "points/")
		begun := time.Now()
		err := commit(r, t.Context(), l, p)
		wantKind(t, err, ivd.Transient)
		if waited := time.Since(begun); waited != commitWaits {
			t.Fatalf("it was tried again for %s", waited)
		}
		if !errors.Is(err, repo.ErrInDoubt) {
			t.Fatalf("no word of doubt: %v", err)
		}

		// Requests that were all refused for their age leave none.
		b.fault = func(op, _ string) error {
			if op == "send" {
				return ivd.Errorf(ivd.Expired, "too late")
			}
			return nil
		}
		err = commit(r, t.Context(), l, p)
		wantKind(t, err, ivd.Expired)
		if errors.Is(err, repo.ErrInDoubt) {
			t.Fatalf("a definite answer is called doubtful: %v", err)
		}

		// The lease ends between two attempts.
		b.fault = func(op, _ string) error {
			if op == "send" {
				b.pass(24 * time.Hour)
				return errOutage
			}
			return nil
		}
		err = commit(r, t.Context(), l, p)
		wantKind(t, err, ivd.Expired)
		if !errors.Is(err, repo.ErrInDoubt) {
			t.Fatalf("no word of doubt: %v", err)
		}
	})
}

func TestCommitCancelled(t *testing.T) {
	b, r := made(t)
	l := lease(t, r, repo.LeaseSpec{})
	ctx, cancel := context.WithCancel(t.Context())
	b.fault = func(op, _ string) error {
		if op == "send" {
			cancel()
			return ctx.Err()
		}
		return nil
	}
	err := commit(r, ctx, l, point(r, "web-1"))
	wantKind(t, err, ivd.Cancelled)
	if !errors.Is(err, repo.ErrInDoubt) {
		t.Fatalf("no word of doubt: %v", err)
	}
}

// Nothing that was not sent is doubtful. It is tried again, but under a lease that has
// ended.
func TestCommitNotPrepared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, r := made(t)
		l := lease(t, r, repo.LeaseSpec{})
		for _, op := range []string{"prepare", "get"} {
			b.fail(op, "")
			begun := time.Now()
			err := commit(r, t.Context(), l, point(r, "web-1"))
			wantKind(t, err, ivd.Transient)
			if errors.Is(err, repo.ErrInDoubt) {
				t.Fatalf("doubt without a request: %v", err)
			}
			if waited := time.Since(begun); waited != commitWaits {
				t.Fatalf("where it cannot %s, it was tried again for %s", op, waited)
			}
			b.heal()
		}
		if err := r.EndLease(t.Context(), l.ID); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		wantKind(t, commit(r, t.Context(), l, point(r, "web-1")), ivd.Expired)
		if waited := time.Since(begun); waited != 0 {
			t.Fatalf("under a lease that has ended it was tried again for %s", waited)
		}
		bad := point(r, "web-1")
		bad.Geometry.ChunkSize = 5
		wantKind(t, commit(r, t.Context(), l, bad), ivd.Invalid)
	})
}
