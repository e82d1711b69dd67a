package repo_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/keys"
	"ivdmover/shared/repo"
)

// twoSlots is a repository with the first slot and anna's.
func twoSlots(t *testing.T) (*bucket, *repo.Keychain) {
	t.Helper()
	b := madeSealed(t)
	c := keychain(t, b, first)
	if _, err := c.AddSlot(t.Context(), "anna", keys.Passphrase("a second one"), quick); err != nil {
		t.Fatal(err)
	}
	return b, c
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
	b, c := twoSlots(t)
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
	b, c := twoSlots(t)
	good := b.body(t, "keys/slot-2")
	forged := slices.Clone(good)
	forged[len(forged)-1] ^= 1
	newer := slices.Clone(good)
	newer[8]++
	b.put("keys/slot-3", good[:40])
	b.put("keys/slot-4", good)
	b.put("keys/slot-5", nil)
	b.put("keys/slot-2", forged)
	b.put("keys/slot-6", newer)
	b.put("keys/slot-07", good)
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
	b, c := twoSlots(t)
	good := b.body(t, "keys/slot-2")
	s, err := format.ReadSlot(good, format.At{Repository: c.Info().ID, Domain: c.Info().Domain, Object: "keys/slot-2"})
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
