// Package storetest is what every implementation of store.Store must pass (Run),
// and a real S3 service for tests (S3). Only tests import it.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/store"
)

// Run tests every promise of package store. open makes a store that is empty and
// is nobody else's.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	for _, c := range []struct {
		name string
		test func(*testing.T, store.Store)
	}{
		{"PutGet", putGet},
		{"Overwrite", overwrite},
		{"Limit", limit},
		{"ReadAt", readAt},
		{"Absent", absent},
		{"BadNames", badNames},
		{"List", list},
		{"ListMany", listMany},
		{"ListStops", listStops},
		{"Delete", deleteObject},
		{"Clock", clock},
		{"CreateOnce", createOnce},
		{"CreateRace", createRace},
		{"CreateDiscarded", createDiscarded},
		{"CreateLate", createLate},
		{"Revoke", revoke},
		{"Replace", replace},
		{"ReplaceRace", replaceRace},
		{"Concurrent", concurrent},
		{"WholeObjects", wholeObjects},
		{"Cancelled", cancelled},
		{"Model", model},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open(t)) })
	}
}

// lease is one of a test's own.
const lease ivd.LeaseID = "5f0c1b1e-0000-4000-8000-000000000001"

// random makes n bytes that are the same for the same seed.
func random(seed uint64, n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16)})
	_, _ = r.Read(b) // never fails
	return b
}

func put(t *testing.T, s store.Store, name store.Name, body []byte) {
	t.Helper()
	if err := s.Put(t.Context(), name, body); err != nil {
		t.Fatalf("put %s: %v", name, err)
	}
}

func get(t *testing.T, s store.Store, name store.Name) []byte {
	t.Helper()
	o, err := s.Get(t.Context(), name, 64<<20)
	if err != nil {
		t.Fatalf("get %s: %v", name, err)
	}
	if o.Name != name || o.Size != int64(len(o.Body)) {
		t.Fatalf("get %s: name %q, size %d of %d bytes", name, o.Name, o.Size, len(o.Body))
	}
	return o.Body
}

func wantKind(t *testing.T, what string, err error, want ivd.Kind) {
	t.Helper()
	if err == nil {
		t.Fatalf("%s: no error, want kind %q", what, want)
	}
	if got := ivd.KindOf(err); got != want {
		t.Fatalf("%s: kind %q, want %q: %v", what, got, want, err)
	}
}

func putGet(t *testing.T, s store.Store) {
	for i, n := range []int{0, 1, 511, 4096, 1<<20 + 1, 17<<20 + 3} {
		name := store.Name(fmt.Sprintf("data/ab/object-%d.x_y", i))
		body := random(uint64(i), n)
		before := time.Now().Add(-time.Minute)
		put(t, s, name, body)
		if got := get(t, s, name); !bytes.Equal(got, body) {
			t.Fatalf("%d bytes came back as %d others", n, len(got))
		}
		info, err := s.Stat(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if info.Name != name || info.Size != int64(n) {
			t.Errorf("stat: %+v, want %s with %d bytes", info, name, n)
		}
		if info.Modified.Before(before) || info.Modified.After(time.Now().Add(time.Minute)) {
			t.Errorf("stat: modified %s, which is not now", info.Modified)
		}
	}
}

func overwrite(t *testing.T, s store.Store) {
	put(t, s, "leases/a", random(1, 9000))
	put(t, s, "leases/a", []byte("short"))
	if got := get(t, s, "leases/a"); string(got) != "short" {
		t.Fatalf("after an overwrite: %d bytes", len(got))
	}
}

func limit(t *testing.T, s store.Store) {
	put(t, s, "repo.json", random(1, 1000))
	if _, err := s.Get(t.Context(), "repo.json", 1000); err != nil {
		t.Fatalf("at the limit: %v", err)
	}
	_, err := s.Get(t.Context(), "repo.json", 999)
	wantKind(t, "above the limit", err, ivd.Corrupt)
}

func readAt(t *testing.T, s store.Store) {
	body := random(7, 100_000)
	put(t, s, "data/ab/pack", body)
	for _, r := range []struct{ offset, length int }{{0, 1}, {0, 100_000}, {99_999, 1}, {4097, 65_536}, {500, 0}} {
		p := make([]byte, r.length)
		if err := s.ReadAt(t.Context(), "data/ab/pack", p, int64(r.offset)); err != nil {
			t.Fatalf("%+v: %v", r, err)
		}
		if !bytes.Equal(p, body[r.offset:r.offset+r.length]) {
			t.Fatalf("%+v: wrong bytes", r)
		}
	}
	for _, r := range []struct{ offset, length int }{{0, 100_001}, {99_999, 2}, {100_000, 1}, {1 << 40, 10}} {
		err := s.ReadAt(t.Context(), "data/ab/pack", make([]byte, r.length), int64(r.offset))
		wantKind(t, fmt.Sprintf("past the end %+v", r), err, ivd.Corrupt)
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%+v: %v, want io.ErrUnexpectedEOF", r, err)
		}
	}
	wantKind(t, "negative offset", s.ReadAt(t.Context(), "data/ab/pack", make([]byte, 1), -1), ivd.Invalid)
	put(t, s, "data/ab/empty", nil)
	wantKind(t, "of an empty object", s.ReadAt(t.Context(), "data/ab/empty", make([]byte, 1), 0), ivd.Corrupt)
}

func absent(t *testing.T, s store.Store) {
	put(t, s, "points/a/b", []byte("x"))
	for _, name := range []store.Name{"points/a/c", "points/a", "nowhere/at/all", "points/a/b.more"} {
		_, err := s.Get(t.Context(), name, 100)
		wantKind(t, "get", err, ivd.NotFound)
		_, err = s.Stat(t.Context(), name)
		wantKind(t, "stat", err, ivd.NotFound)
		wantKind(t, "read", s.ReadAt(t.Context(), name, make([]byte, 1), 0), ivd.NotFound)
		wantKind(t, "read nothing", s.ReadAt(t.Context(), name, nil, 0), ivd.NotFound)
	}
}

func badNames(t *testing.T, s store.Store) {
	for _, name := range []store.Name{"", "/", "/a", "a/", "a//b", "..", "../a", "a/../b", ".", ".a", "a/.b", "a b", "a\\b", "a\x00", "ä", "a?b", "a%2fb"} {
		what := fmt.Sprintf("%q", name)
		wantKind(t, "put "+what, s.Put(t.Context(), name, nil), ivd.Invalid)
		_, err := s.Get(t.Context(), name, 1)
		wantKind(t, "get "+what, err, ivd.Invalid)
		wantKind(t, "read "+what, s.ReadAt(t.Context(), name, make([]byte, 1), 0), ivd.Invalid)
		_, err = s.Stat(t.Context(), name)
		wantKind(t, "stat "+what, err, ivd.Invalid)
		wantKind(t, "delete "+what, s.Delete(t.Context(), name), ivd.Invalid)
		_, err = s.Prepare(t.Context(), lease, name, nil, time.Minute)
		wantKind(t, "prepare "+what, err, ivd.Invalid)
	}
}

func clock(t *testing.T, s store.Store) {
	put(t, s, "leases/clock", []byte("tick"))
	o, err := s.Get(t.Context(), "leases/clock", 10)
	if err != nil {
		t.Fatal(err)
	}
	// A date may be cut to whole seconds.
	if o.Now.Before(o.Modified.Add(-time.Second)) || o.Now.Sub(o.Modified) > time.Minute {
		t.Errorf("the store's clock says %s, right after an object of %s", o.Now, o.Modified)
	}
}

func deleteObject(t *testing.T, s store.Store) {
	put(t, s, "points/x/1", []byte("one"))
	put(t, s, "points/x/2", []byte("two"))
	for range 2 { // removing an absent one is no error
		if err := s.Delete(t.Context(), "points/x/1"); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Delete(t.Context(), "never/there"); err != nil {
		t.Fatal(err)
	}
	_, err := s.Stat(t.Context(), "points/x/1")
	wantKind(t, "stat of a deleted object", err, ivd.NotFound)
	if got := get(t, s, "points/x/2"); string(got) != "two" {
		t.Errorf("its neighbour: %q", got)
	}
	put(t, s, "points/x/1", []byte("again"))
	if got := get(t, s, "points/x/1"); string(got) != "again" {
		t.Errorf("put after delete: %q", got)
	}
}

func cancelled(t *testing.T, s store.Store) {
	put(t, s, "a", []byte("x"))
	live, err := s.Prepare(t.Context(), lease, "b", []byte("x"), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	defer live.Discard()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantKind(t, "put", s.Put(ctx, "a", []byte("y")), ivd.Cancelled)
	_, err = s.Get(ctx, "a", 10)
	wantKind(t, "get", err, ivd.Cancelled)
	wantKind(t, "read", s.ReadAt(ctx, "a", make([]byte, 1), 0), ivd.Cancelled)
	_, err = s.Stat(ctx, "a")
	wantKind(t, "stat", err, ivd.Cancelled)
	wantKind(t, "delete", s.Delete(ctx, "a"), ivd.Cancelled)
	_, err = s.Prepare(ctx, lease, "c", nil, time.Minute)
	wantKind(t, "prepare", err, ivd.Cancelled)
	wantKind(t, "send", live.Send(ctx), ivd.Cancelled)
	err = nil
	for _, e := range s.List(ctx, "") {
		err = errors.Join(err, e)
	}
	wantKind(t, "list", err, ivd.Cancelled)
	if got := get(t, s, "a"); string(got) != "x" {
		t.Errorf("a cancelled put or delete happened: %q", got)
	}
}

// names lists a prefix, sorted.
func names(t *testing.T, s store.Store, prefix string) []store.Name {
	t.Helper()
	out := []store.Name{}
	for info, err := range s.List(t.Context(), prefix) {
		if err != nil {
			t.Fatalf("list %q: %v", prefix, err)
		}
		out = append(out, info.Name)
	}
	slices.Sort(out)
	return out
}
