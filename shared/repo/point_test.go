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
	const other, second = ivd.SourceID("other"), ivd.DiskID("7000c298-1111-4222-8333-444455556666")
	p := point(r, "a")
	for _, of := range []repo.PointsOf{{Source: source, Disk: disk}, {Source: source, Disk: second}, {Source: other, Disk: disk}} {
		q := p
		q.Source.ID, q.Disk.ID = of.Source, of.Disk
		q.ID = ivd.NewPointID(r.Domain(), of.Source, of.Disk, q.Time, q.Run)
		if err := commit(r, t.Context(), l, q); err != nil {
			t.Fatal(err)
		}
	}
	// What is not understood is not hidden, and is no point of any disk.
	b.put(storeName("points/"+string(p.ID)+".later"), []byte("a later release's"))
	b.put("points/elsewhere/x", nil)
	foreign := ivd.NewPointID(ivd.NewDomainID(), source, disk, p.Time, p.Run)
	b.put(storeName("points/"+string(foreign)), nil)
	count := func(of repo.PointsOf) (known, unknown int) {
		for info, err := range r.Points(t.Context(), of) {
			switch {
			case err != nil:
				t.Fatal(err)
			case info.Unknown != nil:
				wantKind(t, info.Unknown, ivd.Unsupported, string(info.ID))
				unknown++
			case info.Size == 0:
				t.Fatalf("%+v", info)
			default:
				known++
			}
		}
		return known, unknown
	}
	for of, want := range map[repo.PointsOf][2]int{
		{}: {3, 3}, {Source: source}: {2, 0}, {Disk: disk}: {2, 0}, {Source: source, Disk: disk}: {1, 0},
		{Source: other, Disk: second}: {0, 0},
	} {
		if known, unknown := count(of); known != want[0] || unknown != want[1] {
			t.Errorf("points of %+v: %d, and %d that are not known", of, known, unknown)
		}
	}
	b.fail("list", "points/")
	for _, err := range r.Points(t.Context(), repo.PointsOf{}) {
		wantKind(t, err, ivd.Transient)
	}
}

func TestReadPointRefuses(t *testing.T) {
	b, r := made(t)
	l := lease(t, r, repo.LeaseSpec{})
	p := point(r, "a")
	name := storeName(pointObject(p))
	_, _, err := r.ReadPoint(t.Context(), p.ID)
	wantKind(t, err, ivd.NotFound)
	_, _, err = r.ReadPoint(t.Context(), "../repo.json")
	wantKind(t, err, ivd.Invalid)

	p.Head, p.Lease, p.LeaseDeadline, p.SealedAt = headOf(r, ""), l.ID, l.Deadline, l.Opened
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
	foreign.Head.Repository = "elsewhere"
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
	elsewhere := ivd.NewPointID(r.Domain(), source, disk, p.Time, "run-9")
	b.put("points/"+storeName(string(elsewhere)), body)
	_, _, err = r.ReadPoint(t.Context(), elsewhere)
	wantKind(t, err, ivd.Corrupt, string(elsewhere))

	b.fail("get", "points/")
	_, _, err = r.ReadPoint(t.Context(), p.ID)
	wantKind(t, err, ivd.Transient)
}

// When an object was stored says nothing of it: a copy, made after the lease's end,
// is as good as the original was.
func TestCopiedPoint(t *testing.T) {
	b, r := made(t)
	p := point(r, "a")
	if err := commit(r, t.Context(), lease(t, r, repo.LeaseSpec{}), p); err != nil {
		t.Fatal(err)
	}
	want, sum, err := r.ReadPoint(t.Context(), p.ID)
	if err != nil {
		t.Fatal(err)
	}
	o, err := b.find(storeName(pointObject(p)))
	if err != nil {
		t.Fatal(err)
	}
	b.pass(1000 * time.Hour)
	b.put(storeName(pointObject(p)), o.Body)
	got, again, err := r.ReadPoint(t.Context(), p.ID)
	if err != nil || again != sum || !got.SealedAt.Equal(want.SealedAt) {
		t.Fatalf("sealed at %s, was %s: %v", got.SealedAt, want.SealedAt, err)
	}
}
