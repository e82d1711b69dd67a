package repo_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/keys"
	"ivdmover/shared/repo"
	"ivdmover/shared/store"
)

var quick = format.Argon2{Time: 1, Memory: 8 << 10, Threads: 1}

const first ivd.Secret = "the first passphrase"

// madeSealed makes an encrypted repository in a bucket.
func madeSealed(t *testing.T) *bucket {
	t.Helper()
	b := newBucket()
	if _, err := repo.Init(t.Context(), b, repo.InitOptions{Passphrase: first, Argon2: quick}); err != nil {
		t.Fatal(err)
	}
	return b
}

func keychain(t *testing.T, st store.Store, secret ivd.Secret) *repo.Keychain {
	t.Helper()
	c, err := repo.OpenKeychain(t.Context(), st, repo.Keys{Passphrase: secret})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func keyList(t *testing.T, c *repo.Keychain) repo.KeyList {
	t.Helper()
	l, err := c.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// numbers are the slots that are there, those that cannot be read with a minus.
func numbers(l repo.KeyList) (list []int) {
	for _, s := range l.Slots {
		if s.Unknown != nil {
			s.Number = -s.Number
		}
		list = append(list, s.Number)
	}
	return list
}

func opens(st store.Store, secret ivd.Secret) error {
	_, err := repo.OpenWith(context.Background(), st, repo.Keys{Passphrase: secret})
	return err
}

// A repository opens with whatever has a slot: a passphrase, a key file, a recovery
// sheet, as long as the slot is there.
func TestSlots(t *testing.T) {
	b := madeSealed(t)
	c := keychain(t, b, first)
	file, err := c.KeyFile(t.Context(), "a file")
	if err != nil {
		t.Fatal(err)
	}
	content, err := file.Encode()
	if err != nil {
		t.Fatal(err)
	}
	sheet := keys.Recovery{Secret: ivd.NewKey(), Repository: c.Info().ID, Root: c.Info().Root}
	secrets := []ivd.Secret{first, "a second one", ivd.Secret(content), ivd.Secret(sheet.Text())}
	for i, o := range []keys.Opening{keys.Passphrase(secrets[1]), file.Opening(), sheet.Opening()} {
		refused(t, "a slot that is not there yet", opens(b, secrets[i+1]), ivd.Denied)
		s, err := c.AddSlot(t.Context(), fmt.Sprintf("slot of %d", i+2), o, quick)
		if err != nil || s.Number != i+2 || s.Slot.Kind != o.Kind() {
			t.Errorf("%+v, %v", s, err)
		}
	}
	for _, secret := range append(secrets, ivd.Secret(strings.Join(format.RecoveryLines(sheet.Secret), "\n"))) {
		if err := opens(b, secret); err != nil {
			t.Error(err)
		}
	}
	refused(t, "a passphrase that nobody has", opens(b, "guess"), ivd.Denied)
	refused(t, "a key of another repository", opens(madeSealed(t), secrets[2]), ivd.Denied)
	refused(t, "a sheet of another repository", opens(madeSealed(t), secrets[3]), ivd.Denied)

	l := keyList(t, keychain(t, b, secrets[2]))
	if !slices.Equal(numbers(l), []int{1, 2, 3, 4}) || l.NoRing != nil || l.Slots[0].Opened || !l.Slots[2].Opened || l.Slots[1].Slot.Argon2 != quick || l.Slots[2].Slot.Argon2 != (format.Argon2{}) {
		t.Errorf("%+v", l)
	}
	if err := keychain(t, b, secrets[1]).RemoveSlot(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	refused(t, "the first passphrase", opens(b, first), ivd.Denied)
	if err := opens(b, secrets[1]); err != nil {
		t.Error(err)
	}
	s, err := keychain(t, b, secrets[1]).AddSlot(t.Context(), "first again", keys.Passphrase(first), quick)
	if err != nil || s.Number != 5 {
		t.Errorf("%+v, %v", s, err)
	}
}

// What must not be done is refused, and nothing is changed.
func TestSlotsRefused(t *testing.T) {
	b := madeSealed(t)
	c := keychain(t, b, first)
	if _, err := c.AddSlot(t.Context(), "anna", keys.Passphrase("a second one"), quick); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Export(t.Context(), "coordinator-2"); err != nil {
		t.Fatal(err)
	}
	locked, err := repo.OpenKeychain(t.Context(), b, repo.Keys{})
	if err != nil {
		t.Fatal(err)
	}
	add := func(c *repo.Keychain, name string, argon2 format.Argon2) error {
		_, err := c.AddSlot(t.Context(), name, keys.Passphrase("x"), argon2)
		return err
	}
	_, exportTwice := c.Export(t.Context(), "coordinator-2")
	_, exportAnna := c.Export(t.Context(), "anna")
	_, _, rotateLocked := locked.Rotate(t.Context())
	l := keyList(t, locked)
	for what, x := range map[string]struct {
		err  error
		kind ivd.Kind
	}{
		"the slot that opened":          {c.RemoveSlot(t.Context(), 1), ivd.Unmet},
		"a slot that is not there":      {c.RemoveSlot(t.Context(), 7), ivd.NotFound},
		"no slot":                       {c.RemoveSlot(t.Context(), 0), ivd.NotFound},
		"a name that is taken":          {add(c, "anna", quick), ivd.Exists},
		"a signer's name":               {add(c, "coordinator-2", quick), ivd.Exists},
		"no name":                       {add(c, "", quick), ivd.Invalid},
		"a number for a name":           {add(c, "12", quick), ivd.Invalid},
		"an id for a name":              {add(c, "00ffAA", quick), ivd.Invalid},
		"a name that steers terminals":  {add(c, "a\x1b[2J", quick), ivd.Invalid},
		"a long name":                   {add(c, strings.Repeat("n", 65), quick), ivd.Invalid},
		"absurd parameters":             {add(c, "mallory", format.Argon2{Time: 1, Memory: 1 << 31, Threads: 1}), ivd.Unsupported},
		"an export's name that is used": {exportTwice, ivd.Exists},
		"an export with a slot's name":  {exportAnna, ivd.Exists},
		"a change without a secret":     {add(locked, "mallory", quick), ivd.Denied},
		"a removal without a secret":    {locked.RemoveSlot(t.Context(), 2), ivd.Denied},
		"a rotation without a secret":   {rotateLocked, ivd.Denied},
		"the only signer of holds":      {c.RemoveSigner(t.Context(), l.Ring.Signers[0].ID), ivd.Unmet},
		"a signer that is not there":    {c.RemoveSigner(t.Context(), ivd.KeyID{9}), ivd.NotFound},
	} {
		refused(t, what, x.err, x.kind)
	}
	if now := keyList(t, c); !slices.Equal(numbers(now), []int{1, 2}) || now.Ring.Generation != l.Ring.Generation {
		t.Errorf("%v, generation %d after %d", numbers(now), now.Ring.Generation, l.Ring.Generation)
	}
	plain, _ := made(t)
	_, err = repo.OpenKeychain(t.Context(), plain, repo.Keys{})
	refused(t, "a plain repository", err, ivd.Unmet)
	_, err = repo.OpenKeychain(t.Context(), b, repo.Keys{Root: ivd.KeyID{9}})
	refused(t, "another root", err, ivd.Corrupt)
}

// A slot that cannot be read is named, with why, and the others are shown and open; so
// it is with the ring. It can be removed.
func TestSlotsThatCannotBeRead(t *testing.T) {
	b := madeSealed(t)
	c := keychain(t, b, first)
	if _, err := c.AddSlot(t.Context(), "anna", keys.Passphrase("a second one"), quick); err != nil {
		t.Fatal(err)
	}
	good, err := b.find("keys/slot-2")
	if err != nil {
		t.Fatal(err)
	}
	forged := slices.Clone(good.Body)
	forged[len(forged)-1] ^= 1
	newer := slices.Clone(good.Body)
	newer[8]++
	b.put("keys/slot-3", good.Body[:40])
	b.put("keys/slot-4", good.Body)
	b.put("keys/slot-5", nil)
	b.put("keys/slot-2", forged)
	b.put("keys/slot-6", newer)
	b.put("keys/slot-07", good.Body)
	b.put("keys/slot-8", make([]byte, 1<<20))
	if err := opens(b, "a second one"); ivd.KindOf(err) != ivd.Corrupt && ivd.KindOf(err) != ivd.Unsupported { // its slot is damaged
		t.Error(err)
	}
	locked, err := repo.OpenKeychain(t.Context(), b, repo.Keys{})
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]*repo.Keychain{"opened": c, "not opened": locked} {
		l := keyList(t, c)
		if got := numbers(l); !slices.Equal(got, []int{1, -2, -3, -4, -5, -6, -8, 0}) {
			t.Errorf("%s: %v", what, got)
		}
		if ivd.KindOf(l.Slots[5].Unknown) != ivd.Unsupported || ivd.KindOf(l.Slots[1].Unknown) != ivd.Corrupt {
			t.Errorf("%s: %v, %v", what, l.Slots[5].Unknown, l.Slots[1].Unknown)
		}
	}
	if err := opens(b, first); err != nil {
		t.Error(err)
	}
	if err := c.RemoveSlot(t.Context(), 3); err != nil {
		t.Error(err)
	}
	if s, err := c.AddSlot(t.Context(), "berta", keys.Passphrase("a third one"), quick); err != nil || s.Number != 9 {
		t.Errorf("%+v, %v", s, err)
	}
	ring, err := b.find("keys/ring")
	if err != nil {
		t.Fatal(err)
	}
	ring.Body[len(ring.Body)-1] ^= 1
	b.put("keys/ring", ring.Body)
	if l := keyList(t, locked); ivd.KindOf(l.NoRing) != ivd.Corrupt || len(l.Slots) != 8 || l.Slots[0].Unknown != nil {
		t.Errorf("%+v", l)
	}
}

// Slots in front that are larger than any, or that the root has not signed, lock nobody
// out, and cost nobody what they say: who writes to the store can put them there.
func TestSlotsOfAnIntruder(t *testing.T) {
	b := madeSealed(t)
	c := keychain(t, b, first)
	if _, err := c.AddSlot(t.Context(), "anna", keys.Passphrase("a second one"), quick); err != nil {
		t.Fatal(err)
	}
	good, err := b.find("keys/slot-2")
	if err != nil {
		t.Fatal(err)
	}
	s, err := format.ReadSlot(good.Body, format.At{Repository: c.Info().ID, Domain: c.Info().Domain, Object: "keys/slot-2"})
	if err != nil {
		t.Fatal(err)
	}
	s.Argon2, s.Object = format.Argon2{Time: 16, Memory: 1 << 20, Threads: 1}, "keys/slot-1" // the most that is taken
	costly, err := s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	mallory := ivd.NewKey()
	costly, err = format.Protect(costly, s.Object, format.Protection{Signer: format.KeyOf(format.PublicOf(mallory)), Sign: ed25519.NewKeyFromSeed(mallory.Reveal())})
	if err != nil {
		t.Fatal(err)
	}
	for what, forged := range map[string][]byte{"larger than any": make([]byte, 1<<20), "not signed by the root": costly, "empty": nil} {
		b.put("keys/slot-1", forged)
		if err := opens(b, "a second one"); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		refused(t, what, opens(b, first), ivd.Corrupt)
	}
}

// Nobody who can write to the store keeps others from opening theirs: not by a slot that is
// too large, damaged or forged, not by one that asks for all memory, and not by one that
// cannot be read at the moment.
func TestSlotsThatLockNobodyOut(t *testing.T) {
	b := madeSealed(t)
	good := b.body(t, "keys/slot-1")
	_ = b.Delete(t.Context(), "keys/slot-1")
	b.put("keys/slot-9", good)
	refused(t, "a slot under another name", opens(b, first), ivd.Corrupt)
	_ = b.Delete(t.Context(), "keys/slot-9")
	b.put("keys/slot-1", good)
	if _, err := keychain(t, b, first).AddSlot(t.Context(), "anna", keys.Passphrase("a second one"), quick); err != nil {
		t.Fatal(err)
	}
	mine := b.body(t, "keys/slot-2")
	b.put("keys/slot-9", mine)
	forged := slices.Clone(good)
	forged[len(forged)-1] ^= 1
	greedy := bytes.Replace(good, []byte(`"memory":8192`), []byte(`"memory":9999999`), 1)
	if bytes.Equal(greedy, good) {
		t.Fatal("it asks for no memory")
	}
	stranger := madeSealed(t).body(t, "keys/slot-1")
	for what, body := range map[string][]byte{
		"too large": make([]byte, 1<<20), "empty": nil, "cut off": good[:100], "forged": forged, "greedy": greedy, "another repository's": stranger,
	} {
		b.put("keys/slot-1", body)
		if err := opens(b, "a second one"); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		err := opens(b, "guess")
		wantKind(t, err, ivd.Corrupt, "no slot below keys/ opens with this passphrase, and one cannot be read: ", "keys/slot-")
	}
	b.put("keys/slot-1", good)
	b.fail("get", "keys/slot-1")
	if err := opens(b, "a second one"); err != nil {
		t.Error(err)
	}
	refused(t, "a slot that may be the one", opens(b, first), ivd.Transient)
	b.heal()
	ring := b.body(t, "keys/ring")
	b.put("keys/ring", ring[:len(ring)-1])
	refused(t, "no ring", opens(b, first), ivd.Corrupt)
}

// A slot is added once, however many answers are lost.
func TestOneSlotIsAdded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := madeSealed(t)
		c := keychain(t, b, first)
		lost, away := 0, 0
		b.after = func(op, name string) error {
			if op == "send" && name == "keys/slot-2" && lost < 2 {
				lost++
				return errOutage
			}
			return nil
		}
		b.fault = func(op, name string) error {
			if op == "get" && name == "keys/slot-2" && away < 2 {
				away++
				return errOutage
			}
			return nil
		}
		s, err := c.AddSlot(t.Context(), "anna", keys.Passphrase("a second one"), quick)
		if err != nil || s.Number != 2 || away != 2 {
			t.Errorf("%+v, %v, asked %d times in vain", s, err, away)
		}
		if got := numbers(keyList(t, c)); !slices.Equal(got, []int{1, 2}) {
			t.Errorf("slots %v", got)
		}
		if err := opens(b, "a second one"); err != nil {
			t.Error(err)
		}
	})
}

// Of two that remove each other's slot one puts its own back, though deletions are not
// answered and nothing can be asked for a while; what is not known is not told as done.
func TestRemovalThatIsNotAnswered(t *testing.T) {
	for what, c := range map[string]struct {
		lost, away int // deletions and questions that are not answered
		kind       ivd.Kind
	}{
		"a deletion":                   {lost: 1, kind: ivd.Conflict},
		"all deletions":                {lost: 100, kind: ivd.Conflict},
		"a question":                   {away: 1, kind: ivd.Conflict},
		"a deletion and some question": {lost: 1, away: 3, kind: ivd.Conflict},
		"all questions":                {away: 100, kind: ivd.Transient},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, mine := manyKeys(t)
				other := keychain(t, b, "removed")
				began := false
				lost, away := 0, 0
				b.fault = func(op, name string) error {
					switch {
					case op == "delete" && name == "keys/slot-2" && !began:
						began = true
						return other.RemoveSlot(context.Background(), 1)
					case op == "stat" && name == "keys/slot-1" && away < c.away:
						away++
						return errOutage
					}
					return nil
				}
				b.after = func(op, name string) error {
					if op == "delete" && name == "keys/slot-2" && lost < c.lost {
						lost++
						return errOutage
					}
					return nil
				}
				err := mine.RemoveSlot(t.Context(), 2)
				b.heal()
				wantKind(t, err, c.kind)
				if opened := opens(b, first) == nil; opened != (c.kind == ivd.Conflict) {
					t.Errorf("the slot is there: %t, and it was told: %v", opened, err)
				}
			})
		})
	}
}

// keyChange is one way to change keys, and how it is seen that it has happened.
type keyChange struct {
	do   func(ctx context.Context, c *repo.Keychain) error
	done func(l repo.KeyList) int // how often
}

func keyChanges(l repo.KeyList) map[string]keyChange {
	signers := func(removed bool) func(repo.KeyList) int {
		return func(l repo.KeyList) (n int) {
			for _, s := range l.Ring.Signers {
				if s.Removed.IsZero() != removed && strings.HasPrefix(s.Name, "coordinator") {
					n++
				}
			}
			return n
		}
	}
	return map[string]keyChange{
		"add a slot": {
			func(ctx context.Context, c *repo.Keychain) error {
				_, err := c.AddSlot(ctx, "anna", keys.Passphrase("a second one"), quick)
				return err
			},
			func(l repo.KeyList) int { return len(l.Slots) - 2 },
		},
		"remove a slot": {
			func(ctx context.Context, c *repo.Keychain) error { return c.RemoveSlot(ctx, 2) },
			func(l repo.KeyList) int { return 2 - len(l.Slots) },
		},
		"rotate": {
			func(ctx context.Context, c *repo.Keychain) error { _, _, err := c.Rotate(ctx); return err },
			func(l repo.KeyList) int { return len(l.Ring.Domains[0].Data) - 1 },
		},
		"export": {
			func(ctx context.Context, c *repo.Keychain) error {
				_, err := c.Export(ctx, "coordinator-2")
				return err
			},
			func(l repo.KeyList) int { return signers(false)(l) - 1 },
		},
		"remove a signer": {
			func(ctx context.Context, c *repo.Keychain) error {
				return c.RemoveSigner(ctx, l.Ring.Signers[1].ID)
			},
			signers(true),
		},
	}
}

// manyKeys is a repository with two slots and an export.
func manyKeys(t *testing.T) (*bucket, *repo.Keychain) {
	t.Helper()
	b := madeSealed(t)
	c := keychain(t, b, first)
	if _, err := c.AddSlot(t.Context(), "to be removed", keys.Passphrase("removed"), quick); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Export(t.Context(), "coordinator-1"); err != nil {
		t.Fatal(err)
	}
	return b, c
}

// Any request of a change may fail once, before it has happened or after, and so may the
// one behind it: the change happens, once, or is told to have failed. The repository opens
// in any case.
func TestKeyChangesWhileRequestsFail(t *testing.T) {
	for name := range keyChanges(repo.KeyList{Ring: format.Ring{Signers: make([]format.Signer, 2)}}) {
		for _, when := range []string{"before", "after", "after, and the next before"} {
			t.Run(name+", "+when, func(t *testing.T) {
				for n := range 100 {
					synctest.Test(t, func(t *testing.T) {
						if !failingOnce(t, name, when, n) {
							n = -1
						}
					})
					if n < 0 || t.Failed() {
						return
					}
				}
				t.Error("there is no end of requests")
			})
		}
	}
}

// failingOnce makes a change of which the n-th request fails, and reports whether there
// was such a request.
func failingOnce(t *testing.T, name, when string, n int) bool {
	t.Helper()
	b, c := manyKeys(t)
	x := keyChanges(keyList(t, c))[name]
	count, what := -1, ""
	fail := func(op, object string) error {
		if count++; count == n {
			what = op + " " + object
			return errOutage
		}
		return nil
	}
	switch when {
	case "before":
		b.fault = fail
	case "after":
		b.after = fail
	default:
		b.after = fail
		b.fault = func(op, object string) error {
			if what != "" && count == n { // the first since then
				count++
				return errOutage
			}
			return nil
		}
	}
	err := x.do(t.Context(), c)
	b.heal()
	if what == "" {
		return false
	}
	l := keyList(t, keychain(t, b, first))
	if done := x.done(l); done > 1 || done < 0 || err == nil && done != 1 {
		t.Errorf("%s: done %d times, %v", what, done, err)
	}
	if (what == "replace keys/ring" || strings.HasPrefix(what, "send keys/")) && err != nil { // no store tries these again by itself
		t.Errorf("%s: %v", what, err)
	}
	if slices.ContainsFunc(l.Slots, func(s repo.StoredSlot) bool { return s.Unknown != nil }) {
		t.Errorf("%s: %+v", what, l.Slots)
	}
	return true
}

// A process may die after any request of a change: the repository opens, and the change
// can be made again.
func TestKeyChangesThatAreCutOff(t *testing.T) {
	for name := range keyChanges(repo.KeyList{Ring: format.Ring{Signers: make([]format.Signer, 2)}}) {
		t.Run(name, func(t *testing.T) {
			for n := range 100 {
				b, c := manyKeys(t)
				x := keyChanges(keyList(t, c))[name]
				ctx, die := context.WithCancel(t.Context())
				count := 0
				b.after = func(string, string) error {
					if count++; count > n {
						die()
						return context.Canceled
					}
					return nil
				}
				err := x.do(ctx, c)
				ended := ctx.Err() == nil
				die()
				b.heal()
				c = keychain(t, b, first)
				if done := x.done(keyList(t, c)); done > 1 || done < 0 {
					t.Errorf("after %d requests: done %d times", n, done)
				}
				if ended {
					if err != nil {
						t.Error(err)
					}
					return
				}
				err = x.do(t.Context(), c)
				if done := x.done(keyList(t, c)); err != nil && ivd.KindOf(err) != ivd.Exists && ivd.KindOf(err) != ivd.NotFound || done < 1 || done > 2 {
					t.Errorf("after %d requests, again: %v, done %d times", n, err, done)
				}
			}
			t.Error("there is no end of requests")
		})
	}
}

// at has something happen once, just before a request.
func (b *bucket) at(op, name string, f func()) {
	began := false
	b.fault = func(o, n string) error {
		if o == op && n == name && !began {
			began = true
			f()
		}
		return nil
	}
}

// Of two that rotate at once one wins, and the other says so; whoever else changes keys
// at the same time loses nothing.
func TestKeyChangesAtOnce(t *testing.T) {
	t.Run("two rotate", func(t *testing.T) {
		b, c := manyKeys(t)
		other := keychain(t, b, first)
		b.at("replace", "keys/ring", func() {
			if _, _, err := other.Rotate(context.Background()); err != nil {
				t.Error(err)
			}
		})
		_, _, err := c.Rotate(t.Context())
		wantKind(t, err, ivd.Conflict, "somebody else has changed keys/ring", "generation 3")
		if l := keyList(t, c); len(l.Ring.Domains[0].Data) != 2 {
			t.Errorf("%d data keys", len(l.Ring.Domains[0].Data))
		}
	})
	t.Run("two export", func(t *testing.T) {
		b, c := manyKeys(t)
		other := keychain(t, b, first)
		var theirs, ours keys.Export
		var theirErr error
		b.at("replace", "keys/ring", func() { theirs, theirErr = other.Export(context.Background(), "coordinator-2") })
		ours, err := c.Export(t.Context(), "coordinator-3")
		if err != nil || theirErr != nil {
			t.Fatal(err, theirErr)
		}
		for _, e := range []keys.Export{ours, theirs} {
			if _, err := repo.OpenWith(t.Context(), b, repo.Keys{Export: &e}); err != nil {
				t.Errorf("%s: %v", e.Name, err)
			}
		}
		b.at("replace", "keys/ring", func() { _, theirErr = other.Export(context.Background(), "coordinator-4") })
		_, err = c.Export(t.Context(), "coordinator-4")
		if theirErr != nil {
			t.Error(theirErr)
		}
		wantKind(t, err, ivd.Exists, "coordinator-4")
	})
	t.Run("two add a slot", func(t *testing.T) {
		b, c := manyKeys(t)
		other := keychain(t, b, first)
		var theirs repo.StoredSlot
		var theirErr error
		b.at("send", "keys/slot-3", func() {
			theirs, theirErr = other.AddSlot(context.Background(), "theirs", keys.Passphrase("their passphrase"), quick)
		})
		ours, err := c.AddSlot(t.Context(), "ours", keys.Passphrase("our passphrase"), quick)
		if err != nil || theirErr != nil || ours.Number == theirs.Number {
			t.Fatalf("%d and %d: %v, %v", ours.Number, theirs.Number, err, theirErr)
		}
		if err := errors.Join(opens(b, "our passphrase"), opens(b, "their passphrase")); err != nil {
			t.Error(err)
		}
	})
	t.Run("two remove each other's slot", func(t *testing.T) {
		b, c := manyKeys(t)
		other := keychain(t, b, "removed")
		var theirErr error
		b.at("delete", "keys/slot-2", func() { theirErr = other.RemoveSlot(context.Background(), 1) })
		err := c.RemoveSlot(t.Context(), 2)
		if theirErr != nil {
			t.Error(theirErr)
		}
		wantKind(t, err, ivd.Conflict, "put back")
		if err := opens(b, first); err != nil {
			t.Error(err)
		}
	})
}

// Of many that rotate at once at least one wins, and every other one says so, in the
// stores that people use.
func TestRotateRace(t *testing.T) {
	for name, openStore := range map[string]func(*testing.T) store.Store{"dir": folderStore, "s3": bucketStore} {
		t.Run(name, func(t *testing.T) {
			st := openStore(t)
			if _, err := repo.Init(t.Context(), st, repo.InitOptions{Passphrase: first, Argon2: quick}); err != nil {
				t.Fatal(err)
			}
			var won [4]bool
			var group sync.WaitGroup
			for i := range won {
				c := keychain(t, st, first)
				group.Go(func() {
					_, _, err := c.Rotate(t.Context())
					if won[i] = err == nil; err != nil && ivd.KindOf(err) != ivd.Conflict {
						t.Error(err)
					}
				})
			}
			group.Wait()
			winners := 0
			for _, w := range won {
				if w {
					winners++
				}
			}
			l := keyList(t, keychain(t, st, first))
			if n := len(l.Ring.Domains[0].Data); winners < 1 || n != 1+winners || l.Ring.Generation != uint64(n) {
				t.Errorf("%d have won, %d data keys, generation %d", winners, n, l.Ring.Generation)
			}
			if s, err := keychain(t, st, first).AddSlot(t.Context(), "anna", keys.Passphrase("a second one"), quick); err != nil || s.Number != 2 {
				t.Errorf("%+v, %v", s, err)
			}
			if err := keychain(t, st, "a second one").RemoveSlot(t.Context(), 1); err != nil {
				t.Error(err)
			}
			refused(t, "the first passphrase", opens(st, first), ivd.Denied)
		})
	}
}

// Whether the slot that was opened is still there when another one was removed, a store
// that is away does not say.
func TestRemovedSlotWhileTheStoreIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, c := manyKeys(t)
		b.fault = func(op, object string) error {
			if op == "stat" && object == "keys/slot-1" {
				return errOutage
			}
			return nil
		}
		err := c.RemoveSlot(t.Context(), 2)
		if !errors.Is(err, errOutage) || !strings.Contains(ivd.RemedyOf(err), "ivd repo key list") {
			t.Errorf("%v; remedy %q", err, ivd.RemedyOf(err))
		}
	})
}

// A writer's record that is stored already, and that cannot be read now, may be the same.
func TestRegisterWhileTheStoreIsAway(t *testing.T) {
	b := madeSealed(t)
	r, err := repo.OpenWith(t.Context(), b, repo.Keys{Passphrase: first})
	if err != nil {
		t.Fatal(err)
	}
	w := format.Writer{ID: ivd.NewWriterID(), Mover: "m", Lease: "a lease", Created: r.Now().UTC().Truncate(1e9)}
	if err := r.Register(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	b.fault = func(op, object string) error {
		if op == "get" && strings.HasPrefix(object, "writers/") {
			return errOutage
		}
		return nil
	}
	if err := r.Register(t.Context(), w); !errors.Is(err, errOutage) || ivd.KindOf(err) == ivd.Exists {
		t.Error(err)
	}
	b.heal()
	if err := r.Register(t.Context(), w); err != nil {
		t.Error(err)
	}
}
