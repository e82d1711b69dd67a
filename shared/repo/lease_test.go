package repo_test

import (
	"reflect"
	"testing"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
)

func TestLease(t *testing.T) {
	b, r := made(t)
	b.pass(100 * time.Hour) // the store's clock counts, not this machine's
	l := lease(t, r, repo.LeaseSpec{Kind: repo.WriteLease, Owner: "ivd@host", Run: "run-1"})
	if d := l.Deadline.Sub(b.now()); d < 23*time.Hour || d > 24*time.Hour {
		t.Fatalf("the lease ends in %s", d)
	}
	other := lease(t, r, repo.LeaseSpec{Kind: repo.ReadLease, Life: 2 * time.Hour})
	if other.ID == l.ID {
		t.Fatal("a lease's name is used twice (G1)")
	}
	found := map[ivd.LeaseID]repo.StoredLease{}
	for l, err := range r.Leases(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		found[l.ID] = l
	}
	if len(found) != 2 || !reflect.DeepEqual(found[l.ID].Lease, l) || !reflect.DeepEqual(found[other.ID].Lease, other) {
		t.Fatalf("leases %+v", found)
	}

	check := func(need time.Duration) error { return r.CheckLease(t.Context(), l.ID, need) }
	if err := check(23 * time.Hour); err != nil {
		t.Fatal(err)
	}
	wantKind(t, check(23*time.Hour+31*time.Minute), ivd.Expired, string(l.ID), "and 24h1m0s are needed")
	b.pass(23*time.Hour + 29*time.Minute)
	if err := check(0); err != nil {
		t.Fatal(err)
	}
	b.pass(time.Minute)
	wantKind(t, check(0), ivd.Expired)

	if err := r.EndLease(t.Context(), other.ID); err != nil {
		t.Fatal(err)
	}
	wantKind(t, r.CheckLease(t.Context(), other.ID, 0), ivd.Expired, "gone")
	if err := r.EndLease(t.Context(), other.ID); err != nil {
		t.Fatalf("ending it again: %v", err)
	}
}

// An outage is never taken for an absent lease (G2).
func TestLeaseOutage(t *testing.T) {
	b, r := made(t)
	l := lease(t, r, repo.LeaseSpec{})
	b.fail("get", "leases/")
	wantKind(t, r.CheckLease(t.Context(), l.ID, 0), ivd.Transient)
	b.fail("get", "repo.json")
	_, err := r.OpenLease(t.Context(), repo.LeaseSpec{})
	wantKind(t, err, ivd.Transient)
	b.fail("put", "leases/")
	_, err = r.OpenLease(t.Context(), repo.LeaseSpec{})
	wantKind(t, err, ivd.Transient)
}

func TestLeaseLife(t *testing.T) {
	b, r := made(t)
	for _, life := range []time.Duration{time.Minute, repo.Margin, repo.MaxLife + 1, 49 * time.Hour, -time.Hour} {
		_, err := r.OpenLease(t.Context(), repo.LeaseSpec{Life: life})
		wantKind(t, err, ivd.Invalid, life.String())
	}
	for _, life := range []time.Duration{repo.Margin + time.Second, repo.MaxLife} {
		if l := lease(t, r, repo.LeaseSpec{Life: life}); l.Deadline.Sub(l.Opened) != life {
			t.Errorf("a lease of %s ends after %s", life, l.Deadline.Sub(l.Opened))
		}
	}
	// A deadline further off than 48 hours after the lease was stored counts as that.
	long := repo.Lease{Head: headOf(r, ""), ID: ivd.NewLeaseID(), Kind: repo.WriteLease, Deadline: b.now().Add(1000 * time.Hour).UTC()}
	putLease(t, b, string(long.ID), long)
	if err := r.CheckLease(t.Context(), long.ID, 47*time.Hour); err != nil {
		t.Fatal(err)
	}
	wantKind(t, r.CheckLease(t.Context(), long.ID, 48*time.Hour), ivd.Expired)
}

func putLease(t *testing.T, b *bucket, name string, l format.Lease) {
	t.Helper()
	body, err := l.Encode()
	if err != nil {
		t.Fatal(err)
	}
	b.put(storeName("leases/"+name), body)
}

func TestLeaseDamage(t *testing.T) {
	b, r := made(t)
	at := b.now().Add(5 * time.Hour).UTC()
	putLease(t, b, "one", repo.Lease{Head: headOf(r, ""), ID: "other", Kind: repo.WriteLease, Deadline: at})
	wantKind(t, r.CheckLease(t.Context(), "one", 0), ivd.Corrupt, "leases/one", "other")
	putLease(t, b, "one", repo.Lease{Head: format.Head{Repository: "elsewhere"}, ID: "one", Kind: repo.WriteLease, Deadline: at})
	wantKind(t, r.CheckLease(t.Context(), "one", 0), ivd.Corrupt, "leases/one", "elsewhere")
	b.put("leases/one", []byte("half of"))
	wantKind(t, r.CheckLease(t.Context(), "one", 0), ivd.Corrupt, "leases/one")
	// One that cannot be read hides none of the others, and stands as long as any can.
	lease(t, r, repo.LeaseSpec{})
	good, bad := 0, 0
	for l, err := range r.Leases(t.Context()) {
		switch {
		case err != nil:
			t.Fatal(err)
		case l.Unknown == nil:
			good++
		case l.ID != "one" || l.Deadline.Sub(b.now()) < 47*time.Hour || l.Deadline.Sub(b.now()) > 48*time.Hour:
			t.Fatalf("a lease that cannot be read: %+v", l)
		default:
			bad++
		}
	}
	if good != 1 || bad != 1 {
		t.Fatalf("%d leases, %d damaged ones", good, bad)
	}
	b.fail("get", "leases/one")
	for _, err := range r.Leases(t.Context()) {
		if err != nil {
			return // an outage is no lease that cannot be read
		}
	}
	t.Fatal("an outage is hidden")
}
