package repo_test

import (
	"testing"

	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
)

// R1: no reading without a lease, nor of a point that is condemned; R2: packs that are
// condemned are read as long as their point is not.
func TestOpenPoint(t *testing.T) {
	b, r := made(t)
	x := plant(t, r, writerOf(t, r))
	_, _, err := r.OpenPoint(t.Context(), "none", x.point.ID)
	wantKind(t, err, ivd.Expired)
	l := lease(t, r, repo.LeaseSpec{Kind: repo.ReadLease})
	condemn(t, b, r, "one", []ivd.PackID{x.data[1], x.home, x.nodes[0]})
	if got, p, err := r.OpenPoint(t.Context(), l.ID, x.point.ID); err != nil || p.ID != x.point.ID || got.ID != l.ID || !got.Deadline.Equal(l.Deadline) {
		t.Fatalf("point %q under %+v: %v", p.ID, got, err)
	}
	if p, err := r.PointForReading(t.Context(), l.ID, x.point.ID); err != nil || p.ID != x.point.ID {
		t.Fatalf("point %q: %v", p.ID, err)
	}
	condemn(t, b, r, "two", nil, x.point.ID)
	_, err = r.PointForReading(t.Context(), l.ID, x.point.ID)
	wantKind(t, err, ivd.NotFound, string(x.point.ID))
	b.fail("list", "collect/")
	_, _, err = r.OpenPoint(t.Context(), l.ID, x.point.ID)
	wantKind(t, err, ivd.Transient)
}

func TestReadData(t *testing.T) {
	b, r := made(t)
	x := plant(t, r, writerOf(t, r))
	wantKind(t, r.ReadData(t.Context(), make([]byte, 1<<20), x.data[0], 0), ivd.Corrupt, x.data[0].String())
	wantKind(t, r.ReadData(t.Context(), make([]byte, 1), ivd.PackID{9}, 0), ivd.NotFound, "data/")
	b.fail("read", "data/")
	wantKind(t, r.ReadData(t.Context(), make([]byte, 1), x.data[0], 0), ivd.Transient, x.data[0].String())
}
