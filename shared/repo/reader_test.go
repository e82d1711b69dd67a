package repo_test

import (
	"testing"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
)

func TestReader(t *testing.T) {
	b, r := made(t)
	x := plant(t, r, writerOf(t, r))
	// R2: packs on a list are read as long as their point is on none.
	condemn(t, b, r, "one", []ivd.PackID{x.data[1], x.home, x.nodes[0]})
	l := lease(t, r, repo.LeaseSpec{Kind: repo.ReadLease})
	rd, err := r.OpenReader(t.Context(), l.ID, x.point.ID)
	if err != nil {
		t.Fatal(err)
	}
	page, err := rd.Page(t.Context(), rd.Point().Pages[0])
	if err != nil {
		t.Fatal(err)
	}
	node, err := rd.Node(t.Context(), page, 1)
	if err != nil {
		t.Fatal(err)
	}
	c := node.Chunks[7]
	frame, err := rd.ReadRange(t.Context(), c.Place.Pack, c.Place.Offset, c.Place.Length)
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := format.OpenFrame(nil, frame, c.ID); err != nil || string(plain) != "\x01\x01\x02\x03" {
		t.Fatalf("chunk %q: %v", plain, err)
	}
	_, err = rd.ReadRange(t.Context(), c.Place.Pack, c.Place.Offset, 1<<20)
	wantKind(t, err, ivd.Corrupt, c.Place.Pack.String())
	_, err = rd.ReadRange(t.Context(), c.Place.Pack, 0, 1<<31)
	wantKind(t, err, ivd.Corrupt, c.Place.Pack.String())

	// R3: at the deadline the reader stops.
	b.pass(25 * time.Hour)
	wantKind(t, r.CheckLease(t.Context(), l.ID, 0), ivd.Expired) // tells the time
	_, err = rd.Page(t.Context(), rd.Point().Pages[0])
	wantKind(t, err, ivd.Expired)
	_, err = rd.Node(t.Context(), page, 1)
	wantKind(t, err, ivd.Expired)
	wantKind(t, rd.ReadInto(t.Context(), make([]byte, 1), c.Place.Pack, 0), ivd.Expired)
}

// R1: no reading without a lease, nor of a point that is condemned.
func TestOpenReaderRefuses(t *testing.T) {
	b, r := made(t)
	x := plant(t, r, writerOf(t, r))
	_, err := r.OpenReader(t.Context(), "none", x.point.ID)
	wantKind(t, err, ivd.Expired)
	l := lease(t, r, repo.LeaseSpec{Kind: repo.ReadLease})
	if p, err := r.PointForReading(t.Context(), l.ID, x.point.ID); err != nil || p.ID != x.point.ID {
		t.Fatalf("point %q: %v", p.ID, err)
	}
	condemn(t, b, r, "one", nil, x.point.ID)
	_, err = r.PointForReading(t.Context(), l.ID, x.point.ID)
	wantKind(t, err, ivd.NotFound, string(x.point.ID))
	b.fail("list", "collect/")
	_, err = r.OpenReader(t.Context(), l.ID, x.point.ID)
	wantKind(t, err, ivd.Transient)
}
