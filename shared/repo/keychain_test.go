package repo_test

import (
	"context"
	"errors"
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
