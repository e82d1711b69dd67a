package repo_test

import (
	"bytes"
	"testing"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
)

func TestPoints(t *testing.T) {
	b, r := made(t)
	l := lease(t, r, repo.LeaseSpec{})
	first, second := point("a"), point("b")
	second.Disk = ivd.NewDiskRef(second.Disk.Source(), second.Disk.Datastore(), "7000c298-1111-4222-8333-444455556666")
	second.ID = ivd.NewPointID(second.Disk.ID(), second.Time, "run-1")
	for _, p := range []ivd.PointID{first.ID, second.ID} {
		q := first
		if p == second.ID {
			q = second
		}
		if err := r.Commit(t.Context(), l, q); err != nil {
			t.Fatal(err)
		}
	}
	b.put("points/"+storeName(string(disk))+"/not-a-point", nil)
	count := func(disk ivd.DiskID) (n int) {
		for info, err := range r.Points(t.Context(), disk) {
			if err != nil || info.Size == 0 || info.Committed.IsZero() {
				t.Fatalf("%+v: %v", info, err)
			}
			n++
		}
		return n
	}
	if all, one, none := count(""), count(disk), count("8000c298-1111-4222-8333-444455556666"); all != 2 || one != 1 || none != 0 {
		t.Fatalf("points: %d, of one disk %d, of none %d", all, one, none)
	}
	b.fail("list", "points/")
	for _, err := range r.Points(t.Context(), "") {
		wantKind(t, err, ivd.Transient)
	}
}

func TestReadPointRefuses(t *testing.T) {
	b, r := made(t)
	l := lease(t, r, repo.LeaseSpec{})
	p := point("a")
	name := storeName(pointObject(p))
	_, _, err := r.ReadPoint(t.Context(), p.ID)
	wantKind(t, err, ivd.NotFound)
	_, _, err = r.ReadPoint(t.Context(), "../repo.json")
	wantKind(t, err, ivd.Invalid)

	p.Repository, p.Lease, p.LeaseDeadline = r.ID(), l.ID, l.Deadline
	body, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	damaged := bytes.Clone(body)
	damaged[len(damaged)-3] ^= 1
	b.put(name, damaged)
	_, _, err = r.ReadPoint(t.Context(), p.ID)
	wantKind(t, err, ivd.Corrupt, string(name))
	newer := bytes.Clone(body)
	newer[8] = 9
	b.put(name, newer)
	_, _, err = r.ReadPoint(t.Context(), p.ID)
	wantKind(t, err, ivd.Unsupported, string(name), "version 9")

	foreign := p
	foreign.Repository = "elsewhere"
	if body, err = foreign.Encode(); err != nil {
		t.Fatal(err)
	}
	b.put(name, body)
	_, _, err = r.ReadPoint(t.Context(), p.ID)
	wantKind(t, err, ivd.Corrupt, "elsewhere")

	// One object under another's name.
	if body, err = p.Encode(); err != nil {
		t.Fatal(err)
	}
	elsewhere := ivd.NewPointID(disk, p.Time, "run-9")
	b.put("points/"+storeName(string(elsewhere)), body)
	_, _, err = r.ReadPoint(t.Context(), elsewhere)
	wantKind(t, err, ivd.Corrupt, string(elsewhere))

	b.fail("get", "points/")
	_, _, err = r.ReadPoint(t.Context(), p.ID)
	wantKind(t, err, ivd.Transient)
}

// Where a store does not refuse requests that are too old, a point that came
// after its lease's end counts as never committed (G3).
func TestVoidPoint(t *testing.T) {
	b, r := made(t)
	l := lease(t, r, repo.LeaseSpec{})
	p := point("a")
	p.Repository, p.Lease, p.LeaseDeadline = r.ID(), l.ID, l.Deadline
	body, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	b.late = true
	b.put(storeName(pointObject(p)), body)
	if _, _, err := r.ReadPoint(t.Context(), p.ID); err != nil {
		t.Fatal(err)
	}
	b.pass(25 * time.Hour)
	b.put(storeName(pointObject(p)), body)
	_, _, err = r.ReadPoint(t.Context(), p.ID)
	wantKind(t, err, ivd.Expired, "void")
	// Where it does, an object that was copied elsewhere is as good as it was.
	b.late = false
	if _, _, err := r.ReadPoint(t.Context(), p.ID); err != nil {
		t.Fatal(err)
	}
}
