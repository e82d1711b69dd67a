package repo_test

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/repo/repotest"
	"ivdmover/shared/store"
)

const signatureName store.Name = "repo.sig"

// sealedBucket is an encrypted repository, and the keys of each who opens it.
func sealedBucket(t *testing.T) (*bucket, map[string]repo.Keys) {
	t.Helper()
	b := newBucket()
	r, err := repo.Init(t.Context(), b, repo.InitOptions{Passphrase: repotest.Passphrase, Argon2: repotest.Argon2})
	if err != nil {
		t.Fatal(err)
	}
	m, err := r.Master(t.Context(), repotest.Passphrase)
	if err != nil {
		t.Fatal(err)
	}
	e, err := m.Export(r.Domain(), "coordinator-2", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	ring, err := m.Ring()
	if err != nil {
		t.Fatal(err)
	}
	b.put("keys/ring", ring)
	return b, map[string]repo.Keys{"a passphrase": {Passphrase: repotest.Passphrase}, "an export": {Export: &e}, "a grant": {Grant: r.Grant()}}
}

var adopting = repo.Keys{Passphrase: repotest.Passphrase, Adopting: true}

func reopen(t *testing.T, b *bucket, k repo.Keys) *repo.Repository {
	t.Helper()
	r, err := repo.OpenWith(t.Context(), b, k)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (b *bucket) body(t *testing.T, name store.Name) []byte {
	t.Helper()
	o, err := b.find(name)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Clone(o.Body)
}

// Repo.json says only what the root has signed, to everybody, from the first look on.
func TestRepositoryIsSigned(t *testing.T) {
	change := func(old, other string) func(t *testing.T, b *bucket) {
		return func(t *testing.T, b *bucket) {
			body := infoBody(t, b)
			if !strings.Contains(body, old) {
				t.Fatalf("%s in %s", old, body)
			}
			b.put(infoName, []byte(strings.Replace(body, old, other, 1)))
		}
	}
	for what, c := range map[string]struct {
		change func(t *testing.T, b *bucket)
		kind   ivd.Kind
	}{
		"another size of packs":    {change(`"pack_size": 16777216`, `"pack_size": 33554432`), ivd.Corrupt},
		"another generation":       {change(`"generation": 1`, `"generation": 2`), ivd.Corrupt},
		"a space more":             {change("}\n", "} \n"), ivd.Corrupt},
		"a signature that is gone": {func(_ *testing.T, b *bucket) { _ = b.Delete(t.Context(), signatureName) }, ivd.Corrupt},
		"another repository's signature": {func(t *testing.T, b *bucket) {
			other, _ := sealedBucket(t)
			b.put(signatureName, other.body(t, signatureName))
		}, ivd.Corrupt},
		"a signature that is cut off": {func(t *testing.T, b *bucket) { b.put(signatureName, b.body(t, signatureName)[:200]) }, ivd.Corrupt},
		"a newer signature": {func(t *testing.T, b *bucket) {
			body := b.body(t, signatureName)
			body[8] = 2
			b.put(signatureName, body)
		}, ivd.Unsupported},
	} {
		t.Run(what, func(t *testing.T) {
			b, everybody := sealedBucket(t)
			open := map[string]*repo.Repository{}
			for who, k := range everybody {
				open[who] = reopen(t, b, k)
			}
			before := infoBody(t, b)
			c.change(t, b)
			for who, k := range everybody {
				_, err := repo.OpenWith(t.Context(), b, k)
				refused(t, who, err, c.kind)
				if ivd.RemedyOf(err) == "" {
					t.Errorf("%s: no remedy in %v", who, err)
				}
				if infoBody(t, b) == before || who == "a grant" {
					continue // what was found to be signed is; a mover opens no lease
				}
				_, err = open[who].OpenLease(t.Context(), repo.LeaseSpec{})
				refused(t, "a lease of who has "+who, err, c.kind)
			}
		})
	}
}

// Only who has the root key changes repo.json, and the change is signed before it is
// stored: whoever dies between leaves a repository that opens.
func TestSignedReplacement(t *testing.T) {
	b, everybody := sealedBucket(t)
	for who, k := range everybody {
		_, err := reopen(t, b, k).Adopt(t.Context())
		refused(t, "adopted with "+who, err, ivd.Denied)
		if !strings.Contains(ivd.RemedyOf(err), "passphrase_file") {
			t.Errorf("%s: remedy %q", who, ivd.RemedyOf(err))
		}
	}
	first := b.body(t, infoName)
	r := reopen(t, b, adopting)
	ctx, die := context.WithCancel(t.Context())
	b.after = func(op, name string) error {
		if op == "replace" && name == string(signatureName) {
			die()
		}
		return nil
	}
	if _, err := r.Adopt(ctx); err == nil || !bytes.Equal(b.body(t, infoName), first) {
		t.Fatalf("it did not die: %v", err)
	}
	b.after = nil
	for _, k := range everybody {
		if i := reopen(t, b, k).Info(); i.Generation != 1 {
			t.Errorf("%+v", i)
		}
	}
	seen := reopen(t, b, everybody["an export"])
	a, err := reopen(t, b, adopting).Adopt(t.Context())
	if err != nil || a.Info.Generation != 2 || a.Unsigned != nil {
		t.Fatalf("%+v, %v", a, err)
	}
	for _, k := range everybody {
		if i := reopen(t, b, k).Info(); i.Generation != 2 || i.Incarnation != a.Info.Incarnation {
			t.Errorf("%+v", i)
		}
	}
	if _, err := seen.OpenLease(t.Context(), repo.LeaseSpec{}); err != nil || seen.Info().Generation != 2 {
		t.Errorf("who had it open: %v, %+v", err, seen.Info())
	}
	// What was replaced is not signed any more, once another change was made.
	second := b.body(t, infoName)
	if _, err := reopen(t, b, adopting).AdoptAbove(t.Context(), repo.Generations{Info: 6}); err != nil {
		t.Fatal(err)
	}
	b.put(infoName, first)
	_, err = repo.OpenWith(t.Context(), b, everybody["a grant"])
	refused(t, "a state of long ago", err, ivd.Corrupt)
	b.put(infoName, second)
	_, err = seen.OpenLease(t.Context(), repo.LeaseSpec{})
	if err != nil {
		t.Errorf("the state before, of who has not seen the present one: %v", err)
	}
	// A person may take what nobody has signed for what it says.
	b.put(infoName, []byte(strings.Replace(string(second), `"chunk_size": 0`, `"chunk_size": 1048576`, 1)))
	_, err = repo.OpenWith(t.Context(), b, everybody["an export"])
	refused(t, "not adopted yet", err, ivd.Corrupt)
	for _, lost := range []bool{false, true} {
		if lost {
			_ = b.Delete(t.Context(), signatureName)
		}
		a, err = reopen(t, b, adopting).AdoptAbove(t.Context(), repo.Generations{Info: 7})
		if err != nil || a.Info.Generation < 8 || a.Info.ChunkSize != 1<<20 || ivd.KindOf(a.Unsigned) != ivd.Corrupt {
			t.Fatalf("%+v, %v", a, err)
		}
		for _, k := range everybody {
			if i := reopen(t, b, k).Info(); i.Generation != a.Info.Generation {
				t.Errorf("%+v", i)
			}
		}
	}
}

// Whoever changes repo.json at once, and at whatever moment it is read, it is signed.
func TestSignedReplacementsRace(t *testing.T) {
	b, everybody := sealedBucket(t)
	const racers = 4
	var group, readers sync.WaitGroup
	for range racers {
		r := reopen(t, b, adopting)
		group.Go(func() {
			if _, err := r.Adopt(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	over := make(chan struct{})
	for range 2 {
		readers.Go(func() {
			for last := uint64(0); ; {
				select {
				case <-over:
					return
				default:
				}
				r, err := repo.OpenWith(t.Context(), b, everybody["a grant"])
				if err != nil || r.Info().Generation < last {
					t.Errorf("generation %d was seen, then: %v", last, err)
					return
				}
				last = r.Info().Generation
			}
		})
	}
	group.Wait()
	close(over)
	readers.Wait()
	if i := reopen(t, b, everybody["an export"]).Info(); i.Generation != 1+racers {
		t.Errorf("generation %d", i.Generation)
	}
}

// A making that was broken off is not taken for another's repository.
func TestSignatureOfABrokenMaking(t *testing.T) {
	b := newBucket()
	b.put(signatureName, []byte("of before"))
	_, err := repo.Init(t.Context(), b, repo.InitOptions{Passphrase: repotest.Passphrase, Argon2: repotest.Argon2})
	refused(t, "made", err, ivd.Exists)
	if !strings.Contains(ivd.RemedyOf(err), string(signatureName)) {
		t.Errorf("remedy %q", ivd.RemedyOf(err))
	}
	if slices.Contains(names(b), infoName) {
		t.Error("there is a repo.json")
	}
	if _, err := format.DecodeSigned(nil, format.At{}); ivd.KindOf(err) != ivd.Corrupt {
		t.Error(err)
	}
}

// What the root has not signed may say any generation: who adopts does not follow it, and
// does not sign it.
func TestForgedGeneration(t *testing.T) {
	for _, lost := range []bool{false, true} {
		b, everybody := sealedBucket(t)
		forged := []byte(strings.Replace(infoBody(t, b), `"generation": 1,`, `"generation": 9007199254740991,`, 1))
		b.put(infoName, forged)
		if lost {
			_ = b.Delete(t.Context(), signatureName)
		}
		second := reopen(t, b, adopting) // who has seen the forged one, too
		a, err := reopen(t, b, adopting).Adopt(t.Context())
		if err != nil || !lost && a.Info.Generation != 2 || a.Info.Generation > 1001 {
			t.Fatalf("repo.sig lost: %v: %+v, %v", lost, a, err)
		}
		for what, r := range map[string]*repo.Repository{"who has opened it before": second, "who opens it": reopen(t, b, adopting)} {
			before := a.Info.Generation
			if a, err = r.Adopt(t.Context()); err != nil || a.Info.Generation != before+1 {
				t.Fatalf("repo.sig lost: %v: once more, by %s: %+v, %v", lost, what, a, err)
			}
		}
		for who, k := range everybody {
			if i := reopen(t, b, k).Info(); i.Generation != a.Info.Generation {
				t.Errorf("%s: %+v", who, i)
			}
		}
		b.put(infoName, forged)
		for who, k := range everybody {
			_, err := repo.OpenWith(t.Context(), b, k)
			refused(t, who+", put back", err, ivd.Corrupt)
		}
	}
	b := newBucket()
	if _, err := repo.Init(t.Context(), b, repo.InitOptions{}); err != nil {
		t.Fatal(err)
	}
	b.put(infoName, []byte(strings.Replace(infoBody(t, b), `"generation": 1,`, `"generation": 9007199254740991,`, 1)))
	_, err := reopen(t, b, repo.Keys{}).Adopt(t.Context())
	refused(t, "a plain one", err, ivd.Corrupt)
}

// Who adopts a repository whose ring was brought back to an earlier state is told, and the
// ring is newer for those who have seen what is lost.
func TestAdoptedRing(t *testing.T) {
	b, everybody := sealedBucket(t)
	old := b.body(t, "keys/ring")
	c := keychain(t, b, adopting.Passphrase)
	for range 2 {
		if _, _, err := c.Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	seen := reopen(t, b, everybody["an export"])
	before := seen.RingGeneration()
	b.put("keys/ring", old)
	info := infoBody(t, b)
	_, err := seen.OpenLease(t.Context(), repo.LeaseSpec{})
	refused(t, "who has seen the ring", err, ivd.Permanent)
	for i, want := range []repo.RingAdopted{{Seen: before, Found: before - 2, Now: before + 1}, {Seen: before, Found: before + 1, Now: before + 1}} {
		if i == 0 {
			_, err := reopen(t, b, adopting).AdoptAbove(t.Context(), repo.Generations{Ring: before})
			refused(t, "an older ring, of which nothing was said", err, ivd.Unmet)
			if infoBody(t, b) != info || !bytes.Equal(b.body(t, "keys/ring"), old) {
				t.Error("something was done")
			}
		}
		a, err := reopen(t, b, adopting).AdoptAbove(t.Context(), repo.Generations{Ring: before, OlderRing: i == 0})
		if err != nil || a.Ring != want || a.Ring.Lost() != (i == 0) {
			t.Fatalf("%+v, %v, want %+v", a.Ring, err, want)
		}
	}
	if _, err := seen.OpenLease(t.Context(), repo.LeaseSpec{}); err != nil || seen.RingGeneration() != before+1 {
		t.Errorf("%v, generation %d", err, seen.RingGeneration())
	}
	if err := opens(b, adopting.Passphrase); err != nil {
		t.Error(err)
	}
}
