package repo_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/keys"
	"ivdmover/shared/repo"
	"ivdmover/shared/repo/repotest"
)

// storeRing changes the ring behind the back of whoever has opened the repository.
func storeRing(t *testing.T, r *repotest.Repository, change func(m *keys.Master) error) {
	t.Helper()
	m, err := r.Master(t.Context(), repotest.Passphrase)
	if err == nil {
		err = change(m)
	}
	var ring []byte
	if err == nil {
		ring, err = m.Ring()
	}
	if err == nil {
		err = r.Store.Put(t.Context(), "keys/ring", ring)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// exported opens the repository as a coordinator that only backs up.
func exported(t *testing.T, r *repotest.Repository) (*repo.Repository, keys.Export) {
	t.Helper()
	var e keys.Export
	storeRing(t, r, func(m *keys.Master) (err error) {
		e, err = m.Export(r.Domain(), "coordinator-2", time.Now())
		return err
	})
	return openWith(t, r, repo.Keys{Export: &e}), e
}

// dataKey is what a new writer seals to.
func dataKey(t *testing.T, r *repo.Repository) ivd.KeyID {
	t.Helper()
	l, err := r.OpenLease(t.Context(), repo.LeaseSpec{})
	if err != nil {
		t.Fatal(err)
	}
	w, err := r.NewWriter(l, ivd.NewWriterID(), "proxy-1")
	if err != nil {
		t.Fatal(err)
	}
	return w.NewPack(format.DataPack).Header().DataKey
}

// Who has opened a repository works with the ring as it is when a use begins: new
// writers seal to a new data key, whoever holds the repository open.
func TestRingIsReadAnew(t *testing.T) {
	r, _ := sealedDisk(t)
	c, _ := exported(t, r)
	first := dataKey(t, c)
	storeRing(t, r, func(m *keys.Master) error { return m.Rotate(r.Domain(), time.Now()) })
	second := dataKey(t, c)
	if first == second || dataKey(t, r.Repository) != second {
		t.Errorf("data keys %s and %s", first, second)
	}
	mover := openWith(t, r, repo.Keys{Grant: r.Grant(), Register: r.Register})
	storeRing(t, r, func(m *keys.Master) error { return m.Rotate(r.Domain(), time.Now()) })
	l := r.Lease(repo.WriteLease)
	if _, err := mover.Begin(t.Context(), l.ID, repo.Writing); err != nil {
		t.Fatal(err)
	}
	if mover.RingGeneration() != r.RingGeneration() {
		t.Errorf("the mover has generation %d, its coordinator %d", mover.RingGeneration(), r.RingGeneration())
	}
}

// What a newer key has signed or sealed is read by who has not begun anything since.
func TestNewerKeysAreFound(t *testing.T) {
	r, _ := sealedDisk(t)
	storeRing(t, r, func(m *keys.Master) error { return m.Rotate(r.Domain(), time.Now()) })
	c, _ := exported(t, r)
	l, err := c.OpenLease(t.Context(), repo.LeaseSpec{})
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for s, err := range r.Leases(t.Context()) {
		if err != nil || s.Unknown != nil {
			t.Errorf("%v, %v", err, s.Unknown)
		}
		found = found || s.ID == l.ID
	}
	if !found {
		t.Error("the other coordinator's lease is not seen")
	}
	other := openWith(t, r, repo.Keys{Passphrase: repotest.Passphrase})
	storeRing(t, r, func(m *keys.Master) error { return m.Rotate(r.Domain(), time.Now()) })
	w, err := c.NewWriter(begun(t, c, l), ivd.NewWriterID(), "proxy-1")
	if err != nil {
		t.Fatal(err)
	}
	ref, _, _, err := w.PutPack(t.Context(), w.NewPack(format.DataPack))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Opener(t.Context(), format.DataPack, ref); err != nil {
		t.Errorf("a pack that is sealed to a newer data key: %v", err)
	}
}

func begun(t *testing.T, r *repo.Repository, l repo.Lease) repo.Lease {
	t.Helper()
	l, err := r.Begin(t.Context(), l.ID, repo.Writing)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// A coordinator whose signing key was removed stops, and says why; what it has signed
// is read as before.
func TestRemovedSignerStops(t *testing.T) {
	r, _ := sealedDisk(t)
	c, e := exported(t, r)
	l, err := c.OpenLease(t.Context(), repo.LeaseSpec{})
	if err != nil {
		t.Fatal(err)
	}
	storeRing(t, r, func(m *keys.Master) error { return m.RemoveSigner(e.Signer.ID, time.Now()) })
	_, err = c.OpenLease(t.Context(), repo.LeaseSpec{})
	refused(t, "a lease", err, ivd.Denied)
	if err == nil || !strings.Contains(err.Error(), "coordinator-2) was removed from keys/ring") {
		t.Errorf("%v", err)
	}
	_, err = repo.OpenWith(t.Context(), r.Store, repo.Keys{Export: &e})
	refused(t, "the next start", err, ivd.Denied)
	if _, err := r.Begin(t.Context(), l.ID, repo.Writing); err != nil {
		t.Errorf("the lease that it has signed: %v", err)
	}
}

// What a removed signer's key signs is taken as before: its holder stops, and who has copied
// the key does not. Nothing tells what was signed before from what was signed after.
func TestCopiedKeyOfARemovedSigner(t *testing.T) {
	r, _ := sealedDisk(t)
	thief, e := exported(t, r) // keeps the ring of before
	storeRing(t, r, func(m *keys.Master) error { return m.RemoveSigner(e.Signer.ID, time.Now()) })
	if _, err := r.Look(t.Context()); err != nil {
		t.Fatal(err)
	}
	run := format.Run{ID: ivd.NewRunID(time.Now()), Kind: "backup", State: "done", Coordinator: "two", Sequence: 1}
	if err := thief.PutRun(t.Context(), run); err != nil {
		t.Fatal(err)
	}
	s, err := r.ReadStoredRun(t.Context(), run.ID)
	if err != nil || s.Signer != e.Signer.ID {
		t.Errorf("signed by %s, %v", s.Signer, err)
	}
}

// Who has seen a ring takes no older one, nor another one of the same generation.
func TestRingIsNotRolledBack(t *testing.T) {
	r, _ := sealedDisk(t)
	path := filepath.Join(r.Dir, "keys", "ring")
	old, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	storeRing(t, r, func(m *keys.Master) error { return m.Rotate(r.Domain(), time.Now()) })
	r.Lease(repo.WriteLease)
	now, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	put := func(b []byte) {
		t.Helper()
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for what, change := range map[string]func(){
		"an older ring": func() { put(old) },
		"another one of the same generation": func() {
			put(old)
			storeRing(t, r, func(m *keys.Master) error { return m.Rotate(r.Domain(), time.Now()) })
		},
	} {
		change()
		_, err := r.OpenLease(t.Context(), repo.LeaseSpec{})
		refused(t, what, err, ivd.Permanent)
		if err == nil || !strings.Contains(err.Error(), "was seen before") {
			t.Errorf("%s: %v", what, err)
		}
	}
	put(now)
	r.Lease(repo.WriteLease)
}

// A change of keys is not made of a ring that is older than the one that was read a moment
// before.
func TestRingIsNotChangedBackwards(t *testing.T) {
	b := madeSealed(t)
	old := b.body(t, "keys/ring")
	if _, _, err := keychain(t, b, first).Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := keychain(t, b, first)
	read := 0
	b.fault = func(op, name string) error {
		if op == "get" && name == "keys/ring" {
			if read++; read == 2 {
				b.put("keys/ring", old)
			}
		}
		return nil
	}
	_, _, err := c.Rotate(t.Context())
	wantKind(t, err, ivd.Permanent, "generation 1, where another ring of generation 2 was seen before")
	if !bytes.Equal(b.body(t, "keys/ring"), old) {
		t.Error("the older ring was changed")
	}
}
