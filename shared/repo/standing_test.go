package repo_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/trust"
)

// folder is the domain's part of a folder.
func folder(r *repo.Repository, dir string) string { return dir + "/" + r.Domain().String() + "/" }

func condemn(t *testing.T, b *bucket, r *repo.Repository, list string, packs []ivd.PackID, points ...ivd.PointID) {
	t.Helper()
	putList(t, b, r, list+"/condemned", format.Condemned{Packs: packs, Points: points})
}

// putList stores a list, or a part of one, and tells its Sum.
func putList(t *testing.T, b *bucket, r *repo.Repository, name string, c format.Condemned) ivd.ContentID {
	t.Helper()
	name = folder(r, "collect") + name
	c.Head, c.Created = headOf(r, name), b.now()
	body, err := c.Encode()
	if err != nil {
		t.Fatal(err)
	}
	b.put(storeName(name), body)
	return format.Sum(body)
}

func retire(t *testing.T, b *bucket, r *repo.Repository, pack ivd.PackID) {
	t.Helper()
	judge(t, b, r, "retired", pack.String()[:8], b.now(), pack)
}

// judge stores a list of packs that are retired, or no longer.
func judge(t *testing.T, b *bucket, r *repo.Repository, dir, name string, at time.Time, packs ...ivd.PackID) {
	t.Helper()
	name = folder(r, dir) + name
	kind := map[string]format.Magic{"retired": format.RetiredMagic, "unretired": format.UnretiredMagic}[dir]
	body, err := format.PackList{Head: headOf(r, name), Kind: kind, Created: at, Reason: "mostly dead", Packs: packs}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	b.put(storeName(name), body)
}

func wantCondemned(t *testing.T, r *repo.Repository, p ivd.PointID, want bool) {
	t.Helper()
	if got, err := r.IsCondemned(t.Context(), p); err != nil || got != want {
		t.Errorf("point %s is condemned: %t, %v; want %t", p, got, err, want)
	}
}

func TestStanding(t *testing.T) {
	b, r := made(t)
	pack := func(i byte) ivd.PackID { return ivd.PackID{i} }
	s, err := r.Standing(t.Context())
	if err != nil || s.Pack(pack(1)) || len(s.Ignored) != 0 {
		t.Fatalf("of an empty repository: %+v: %v", s, err)
	}
	p := point(r, "a").ID
	condemn(t, b, r, "one", []ivd.PackID{pack(1), pack(2)}, p)
	condemn(t, b, r, "two", []ivd.PackID{pack(3)})
	retire(t, b, r, pack(4))
	judge(t, b, r, "retired", "more", b.now(), pack(4), pack(5))
	b.put(storeName(folder(r, "collect")+"one/waits"), []byte("of a collector's own"))
	b.put(storeName(folder(r, "collect")+"one/done"), []byte("of a collector's own"))
	if s, err = r.Standing(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range byte(7) {
		if want := i >= 1 && i <= 5; s.Pack(pack(i)) != want {
			t.Errorf("pack %d stands: %t, want %t", i, s.Pack(pack(i)), want)
		}
	}
	wantCondemned(t, r, p, true)
	wantCondemned(t, r, "other", false)
	if n := s.Size(); n < 5*int64(len(ivd.PackID{})) {
		t.Errorf("five packs take %d bytes", n)
	}
}

// The newest list says whether a pack is retired; at the same moment it is.
func TestUnretired(t *testing.T) {
	b, r := made(t)
	at := b.now().Truncate(time.Second)
	a, x, c, d := ivd.PackID{1}, ivd.PackID{2}, ivd.PackID{3}, ivd.PackID{4}
	judge(t, b, r, "retired", "1", at, a, x, c)
	judge(t, b, r, "unretired", "1", at.Add(time.Hour), a, x, d)
	judge(t, b, r, "retired", "2", at.Add(2*time.Hour), x)
	judge(t, b, r, "unretired", "2", at, c)
	condemn(t, b, r, "n", []ivd.PackID{d})
	s, err := r.Standing(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for pack, want := range map[ivd.PackID]bool{a: false, x: true, c: true, d: true} {
		if s.Pack(pack) != want {
			t.Errorf("pack %s: %t, want %t", pack, s.Pack(pack), want)
		}
	}
}

// A long list has parts, which it names by their Sums. Parts that no list names are
// none; one that cannot be read stops everybody, unless the list has gone.
func TestCondemnedParts(t *testing.T) {
	b, r := made(t)
	pack := func(i byte) ivd.PackID { return ivd.PackID{i} }
	one := putList(t, b, r, "n/condemned.1", format.Condemned{Packs: []ivd.PackID{pack(1)}})
	two := putList(t, b, r, "n/condemned.2", format.Condemned{Packs: []ivd.PackID{pack(2)}, Points: []ivd.PointID{"p"}})
	putList(t, b, r, "n/condemned.3", format.Condemned{Packs: []ivd.PackID{pack(3)}})
	s, err := r.Standing(t.Context())
	if err != nil || s.Pack(pack(1)) || s.Pack(pack(3)) {
		t.Fatalf("parts that are not published: %+v: %v", s, err)
	}
	list := folder(r, "collect") + "n/condemned"
	putList(t, b, r, "n/condemned", format.Condemned{Parts: []ivd.ContentID{one, two}, Packs: []ivd.PackID{pack(4)}})
	if s, err = r.Standing(t.Context()); err != nil || !s.Pack(pack(1)) || !s.Pack(pack(2)) || s.Pack(pack(3)) || !s.Pack(pack(4)) {
		t.Fatalf("a list of two parts: %+v: %v", s, err)
	}
	wantCondemned(t, r, "p", true)
	second := storeName(list + ".2")
	good := b.objects[second]
	delete(b.objects, second)
	_, err = r.Standing(t.Context())
	wantKind(t, err, ivd.Corrupt, list, "part 2 is missing")
	b.fail("stat", list)
	_, err = r.Standing(t.Context())
	wantKind(t, err, ivd.Transient, list)
	b.heal()
	b.fault = func(op, name string) error { // it is removed while it is read
		if op == "stat" && name == list {
			return ivd.Errorf(ivd.NotFound, "gone")
		}
		return nil
	}
	if s, err = r.Standing(t.Context()); err != nil || s.Pack(pack(4)) {
		t.Fatalf("a list that has gone: %+v: %v", s, err)
	}
	b.heal()
	putList(t, b, r, "n/condemned.2", format.Condemned{Packs: []ivd.PackID{pack(9)}})
	_, err = r.Standing(t.Context())
	wantKind(t, err, ivd.Corrupt, string(second), "not the part")
	b.put(second, good.Body)
	b.fail("get", string(second))
	_, err = r.Standing(t.Context())
	wantKind(t, err, ivd.Transient, string(second))
	b.heal()
	nested := putList(t, b, r, "n/condemned.1", format.Condemned{Parts: []ivd.ContentID{two}})
	putList(t, b, r, "n/condemned", format.Condemned{Parts: []ivd.ContentID{nested}})
	_, err = r.Standing(t.Context())
	wantKind(t, err, ivd.Corrupt, "a part has 1 parts")
}

// What is not understood counts in the direction that deletes nothing: of a
// collection it stops readers and writers, by name; of retired packs it is said.
func TestNotUnderstood(t *testing.T) {
	made := func(t *testing.T) (*bucket, *repo.Repository, *repo.Repository) {
		b, r := made(t)
		_, other := made(t)
		return b, r, other
	}
	list := func(r *repo.Repository, name string, packs ...ivd.PackID) []byte {
		body, err := format.Condemned{Head: headOf(r, name), Packs: packs}.Encode()
		if err != nil {
			t.Fatal(err)
		}
		return body
	}
	newer := func(body []byte) []byte { body[8] = 2; return body }
	for name, c := range map[string]struct {
		object string
		body   func(r, other *repo.Repository, object string) []byte
		kind   ivd.Kind
	}{
		"a damaged list":            {"four/condemned", func(_, _ *repo.Repository, _ string) []byte { return []byte("half a list") }, ivd.Corrupt},
		"a newer list":              {"four/condemned", func(r, _ *repo.Repository, o string) []byte { return newer(list(r, o)) }, ivd.Unsupported},
		"another repository's list": {"four/condemned", func(_, other *repo.Repository, o string) []byte { return list(other, o) }, ivd.Corrupt},
		"another name's list":       {"four/condemned", func(r, _ *repo.Repository, o string) []byte { return list(r, o+"x") }, ivd.Corrupt},
		"an unknown object":         {"four/summary", func(_, _ *repo.Repository, _ string) []byte { return nil }, ivd.Unsupported},
		"a part of number 0":        {"four/condemned.0", func(_, _ *repo.Repository, _ string) []byte { return nil }, ivd.Unsupported},
		"a part of no number":       {"four/condemned.x", func(_, _ *repo.Repository, _ string) []byte { return nil }, ivd.Unsupported},
		"an object of no list":      {"condemned", func(_, _ *repo.Repository, _ string) []byte { return nil }, ivd.Unsupported},
	} {
		b, r, other := made(t)
		object := folder(r, "collect") + c.object
		b.put(storeName(object), c.body(r, other, object))
		_, err := r.Standing(t.Context())
		if err == nil {
			t.Errorf("%s is ignored", name)
			continue
		}
		wantKind(t, err, c.kind, object)
		l := lease(t, r, repo.LeaseSpec{})
		_, err = trust.Open(t.Context(), r, l.ID, trust.Recheck)
		wantKind(t, err, c.kind, object)
		_, err = r.IsCondemned(t.Context(), "p")
		wantKind(t, err, c.kind, object)
	}
	b, r, other := made(t)
	retire(t, b, r, ivd.PackID{1})
	retire(t, b, other, ivd.PackID{2})
	b.put(storeName(folder(r, "retired")+"newer"), newer(b.objects[storeName(folder(r, "retired")+ivd.PackID{1}.String()[:8])].Body))
	b.put(storeName(folder(r, "retired")+"damaged"), []byte("damaged"))
	b.put(storeName(folder(r, "retired")+"foreign"), b.objects[storeName(folder(other, "retired")+ivd.PackID{2}.String()[:8])].Body)
	b.put(storeName(folder(r, "unretired")+"odd"), []byte("odd"))
	retire(t, b, r, ivd.PackID{1}) // the newer one was made of it
	s, err := r.Standing(t.Context())
	if err != nil || len(s.Ignored) != 4 || !s.Pack(ivd.PackID{1}) || s.Pack(ivd.PackID{2}) {
		t.Fatalf("ignored %q: %v", s.Ignored, err)
	}
}

// An outage is no empty list; a list that is removed between LIST and GET is
// one that no longer stands.
func TestStandingOutage(t *testing.T) {
	b, r := made(t)
	condemn(t, b, r, "one", []ivd.PackID{{1}})
	retire(t, b, r, ivd.PackID{2})
	for _, c := range []string{"list collect/", "list retired/", "list unretired/", "get collect/", "get retired/"} {
		op, prefix, _ := strings.Cut(c, " ")
		b.fail(op, prefix)
		_, err := r.Standing(t.Context())
		wantKind(t, err, ivd.Transient)
		_, err = r.IsCondemned(t.Context(), "p")
		if reads := strings.Contains(c, "collect/"); (ivd.KindOf(err) == ivd.Transient) != reads {
			t.Errorf("%s fails, and a reader has %v", c, err)
		}
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
	p := point(r, "a")
	if err := commit(r, t.Context(), l, p); err != nil {
		t.Fatal(err)
	}
	b.forget()
	l = lease(t, r, repo.LeaseSpec{})
	if _, err := trust.Open(t.Context(), r, l.ID, trust.Recheck); err != nil {
		t.Fatal(err)
	}
	own := "leases/" + string(l.ID)
	want := []string{
		"get repo.json", "put " + own, "get repo.json", "get " + own,
		"list " + folder(r, "collect"), "list " + folder(r, "retired"), "list " + folder(r, "unretired"),
	}
	if got := b.did(); !slices.Equal(got, want) {
		t.Fatalf("a writer did %q, want %q", got, want)
	}
	b.forget()
	if _, _, err := r.OpenPoint(t.Context(), l.ID, p.ID); err != nil {
		t.Fatal(err)
	}
	want = append(want[2:5:5], "get "+pointObject(p)) // a reader reads what is there
	if got := b.did(); !slices.Equal(got, want) {
		t.Fatalf("a reader did %q, want %q", got, want)
	}
}
