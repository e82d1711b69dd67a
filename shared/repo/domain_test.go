package repo_test

import (
	"bytes"
	"slices"
	"testing"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/keys"
	"ivdmover/shared/repo"
	"ivdmover/shared/repo/repotest"
	"ivdmover/shared/store"
)

func openKeychain(t *testing.T, r *repotest.Repository) *repo.Keychain {
	t.Helper()
	c, err := repo.OpenKeychain(t.Context(), r.Store, repo.Keys{Passphrase: repotest.Passphrase})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// tenants are one repository in two domains, with a point each of disks of the same
// content.
func tenants(t *testing.T) (one, two *repotest.Repository, p1, p2 repotest.Point) {
	t.Helper()
	one, p1 = sealedDisk(t)
	if _, _, err := openKeychain(t, one).AddDomain(t.Context(), "tenant-2"); err != nil {
		t.Fatal(err)
	}
	if _, err := one.Look(t.Context()); err != nil { // at the ring as it is now
		t.Fatal(err)
	}
	two = one.In("tenant-2")
	d := repotest.NewDisk(p1.Geometry)
	if _, err := d.WriteAt([]byte(secret), 5000); err != nil {
		t.Fatal(err)
	}
	return one, two, p1, two.Save(d, repotest.Layout{})
}

// wantSecret fails unless a point can be read whole, and is what was saved.
func wantSecret(t *testing.T, r *repo.Repository, id ivd.PointID) {
	t.Helper()
	got := map[ivd.ChunkIndex][]byte{}
	readPoint(t, r, id, got)
	if len(got) != 1 || !bytes.Contains(got[0], []byte(secret)) {
		t.Errorf("%s is %d chunks, without what was saved", id, len(got))
	}
}

// Two tenants with the same disk share no name of a content and no key. Each reads its
// own point, sees no other, and is refused another's.
func TestDomainsShareNothing(t *testing.T) {
	one, two, p1, p2 := tenants(t)
	content := []byte(secret)
	if one.Domain() == two.Domain() || one.Suite().ID(content) == two.Suite().ID(content) {
		t.Errorf("domains %s and %s name a content alike", one.Domain(), two.Domain())
	}
	for what, c := range map[string]struct {
		r           *repotest.Repository
		own, theirs ivd.PointID
	}{"the first": {one, p1.ID, p2.ID}, "the second": {two, p2.ID, p1.ID}} {
		var seen []ivd.PointID
		for p, err := range c.r.Points(t.Context(), repo.PointsOf{}) {
			if err != nil || p.Unknown != nil {
				t.Fatalf("%s: %+v, %v", what, p, err)
			}
			seen = append(seen, p.ID)
		}
		if !slices.Equal(seen, []ivd.PointID{c.own}) {
			t.Errorf("%s sees %v", what, seen)
		}
		wantSecret(t, c.r.Repository, c.own)
		_, _, err := c.r.ReadPoint(t.Context(), c.theirs)
		refused(t, what+" reads the other's point", err, ivd.Unsupported)
	}
}

// Another domain's object in the place of one of ours is damage, of packs and records.
func TestObjectOfAnotherDomain(t *testing.T) {
	one, two, p1, p2 := tenants(t)
	move := func(from, to store.Name) {
		t.Helper()
		o, err := one.Store.Get(t.Context(), from, 1<<30)
		if err == nil {
			err = one.Store.Put(t.Context(), to, o.Body)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	pack1, pack2 := one.Place(p1.Disk, 0).Pack, two.Place(p2.Disk, 0).Pack
	move(two.PackName(format.DataPack, pack2), one.PackName(format.DataPack, pack1))
	_, _, err := one.Directory(t.Context(), pack1)
	refused(t, "a pack in the place of ours", err, ivd.Corrupt)
	move(two.PackName(format.DataPack, pack2), one.PackName(format.DataPack, pack2))
	_, _, err = one.Directory(t.Context(), pack2)
	refused(t, "a pack among ours", err, ivd.Corrupt)
	move(store.Name("points/"+p2.ID), store.Name("points/"+p1.ID))
	if _, _, err := one.ReadPoint(t.Context(), p1.ID); err == nil {
		t.Error("another domain's point is read in the place of ours")
	}
}

// A coordinator that only backs up, and a mover, work in the domain of their keys, which
// another name does not change.
func TestKeysOfADomain(t *testing.T) {
	one, two, _, p2 := tenants(t)
	var e keys.Export
	storeRing(t, one, func(m *keys.Master) (err error) {
		e, err = m.Export(two.Domain(), "coordinator-2", one.Now())
		return err
	})
	c := openWith(t, one, repo.Keys{Export: &e})
	if _, _, err := c.ReadPoint(t.Context(), p2.ID); err != nil || c.Domain() != two.Domain() {
		t.Errorf("in domain %s: %v", c.Domain(), err)
	}
	if m := asMover(t, two); m.Domain() != two.Domain() || dataKey(t, c) == dataKey(t, one.Repository) {
		t.Errorf("a mover works in domain %s", m.Domain())
	}
	for name, kind := range map[string]ivd.Kind{one.Domain().String(): ivd.Denied, "tenant-3": ivd.NotFound} {
		_, err := repo.OpenWith(t.Context(), one.Store, repo.Keys{Export: &e, Domain: name})
		refused(t, "as "+name, err, kind)
		if ivd.RemedyOf(err) == "" {
			t.Errorf("%s: %v: no remedy", name, err)
		}
	}
	_, err := repo.OpenWith(t.Context(), repotest.New(t).Store, repo.Keys{Domain: "tenant-2"})
	refused(t, "a plain repository", err, ivd.Unmet)
	_, _, err = openKeychain(t, one).AddDomain(t.Context(), "tenant-2")
	refused(t, "a name that is taken", err, ivd.Exists)
	_, _, err = openKeychain(t, one).AddDomain(t.Context(), "12ab")
	refused(t, "a name that may be an id", err, ivd.Invalid)
}
