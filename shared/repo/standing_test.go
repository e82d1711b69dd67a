package repo_test

import (
	"slices"
	"strings"
	"testing"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/trust"
)

func condemn(t *testing.T, b *bucket, r *repo.Repository, list string, packs []ivd.PackID, points ...ivd.PointID) {
	t.Helper()
	body, err := format.Condemned{Repository: r.ID(), ID: list, Created: b.now(), Packs: packs, Points: points}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	b.put(storeName("collect/"+list+"/condemned"), body)
}

func retire(t *testing.T, b *bucket, r *repo.Repository, pack ivd.PackID) {
	t.Helper()
	body, err := format.Retired{Repository: r.ID(), Pack: pack, Reason: "mostly dead", Created: b.now()}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	b.put(storeName("retired/"+pack.String()), body)
}

func TestStanding(t *testing.T) {
	b, r := made(t)
	pack := func(i byte) ivd.PackID { return ivd.PackID{i} }
	s, err := r.Standing(t.Context())
	if err != nil || s.Pack(pack(1)) || s.Point("x") || len(s.Ignored) != 0 {
		t.Fatalf("of an empty repository: %+v: %v", s, err)
	}
	p := point("a").ID
	condemn(t, b, r, "one", []ivd.PackID{pack(1), pack(2)}, p)
	condemn(t, b, r, "two", []ivd.PackID{pack(3)})
	retire(t, b, r, pack(4))
	b.put("collect/one/waits", []byte("of a collector's own"))
	b.put("collect/one/done", []byte("of a collector's own"))
	b.put("retired/"+storeName(pack(5).String()), []byte("damaged"))
	if s, err = r.Standing(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range byte(7) {
		if want := i >= 1 && i <= 5; s.Pack(pack(i)) != want {
			t.Errorf("pack %d stands: %t, want %t", i, s.Pack(pack(i)), want)
		}
	}
	if !s.Point(p) || s.Point("other") {
		t.Error("points")
	}

	// What another repository's collector wrote is none of ours, and is said.
	foreign, err := format.Condemned{Repository: "elsewhere", Packs: []ivd.PackID{pack(6)}}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	b.put("collect/three/condemned", foreign)
	b.put("retired/readme", []byte("hello"))
	if foreign, err = (format.Retired{Repository: r.ID(), Pack: pack(1)}).Encode(); err != nil {
		t.Fatal(err)
	}
	b.put("retired/"+storeName(pack(6).String()), foreign)
	if s, err = r.Standing(t.Context()); err != nil || s.Pack(pack(6)) || len(s.Ignored) != 3 {
		t.Fatalf("ignored %q, pack 6 stands: %t: %v", s.Ignored, s.Pack(pack(6)), err)
	}

	// What a damaged list names is not known: nothing may be decided.
	b.put("collect/four/condemned", []byte("half a list"))
	_, err = r.Standing(t.Context())
	wantKind(t, err, ivd.Corrupt, "collect/four/condemned")
}

// An outage is no empty list; a list that is removed between LIST and GET is
// one that no longer stands.
func TestStandingOutage(t *testing.T) {
	b, r := made(t)
	condemn(t, b, r, "one", []ivd.PackID{{1}})
	retire(t, b, r, ivd.PackID{2})
	for _, c := range []string{"list collect/", "list retired/", "get collect/", "get retired/"} {
		op, prefix, _ := strings.Cut(c, " ")
		b.fail(op, prefix)
		_, err := r.Standing(t.Context())
		wantKind(t, err, ivd.Transient)
	}
	b.fault = func(op, name string) error {
		if op == "get" {
			return ivd.Errorf(ivd.NotFound, "%s is gone", name)
		}
		return nil
	}
	s, err := r.Standing(t.Context())
	if err != nil || s.Pack(ivd.PackID{1}) || s.Pack(ivd.PackID{2}) {
		t.Fatalf("%+v: %v", s, err)
	}
}

// W1, W2, R1: the lease first, then the lists, then what is built on or read.
func TestOrder(t *testing.T) {
	b, r := made(t)
	l := lease(t, r, repo.LeaseSpec{})
	p := point("a")
	if err := r.Commit(t.Context(), l, p); err != nil {
		t.Fatal(err)
	}
	b.forget()
	l = lease(t, r, repo.LeaseSpec{})
	if _, err := trust.Open(t.Context(), r, l.ID); err != nil {
		t.Fatal(err)
	}
	own := "leases/" + string(l.ID)
	want := []string{"get repo.json", "put " + own, "get " + own, "list collect/", "list retired/"}
	if got := b.did(); !slices.Equal(got, want) {
		t.Fatalf("a writer did %q, want %q", got, want)
	}
	b.forget()
	if _, err := r.OpenReader(t.Context(), l.ID, p.ID); err != nil {
		t.Fatal(err)
	}
	want = append(want[2:], "get "+pointObject(p))
	if got := b.did(); !slices.Equal(got, want) {
		t.Fatalf("a reader did %q, want %q", got, want)
	}
}
