// Package storetest is what every implementation of store.Store must pass (Run),
// and a real S3 service for tests (S3). Only tests import it.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/store"
	"ivdmover/shared/store/probe"
)

// Run tests every promise of package store: what package probe tries, and what only
// this side of a service has to do with. open makes a store that is empty and is nobody
// else's.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	for _, p := range probe.Promises {
		t.Run(p.Name, func(t *testing.T) {
			if err := p.Try(t.Context(), probe.Ground{Store: open(t)}); err != nil {
				t.Fatal(err)
			}
		})
	}
	for name, test := range map[string]func(*testing.T, store.Store){
		"BadNames": badNames, "ListStops": listStops, "CreateDiscarded": createDiscarded, "Revoke": revoke, "ReplaceRefused": replaceRefused,
		"Concurrent": concurrent, "Cancelled": cancelled, "Model": model,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
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
