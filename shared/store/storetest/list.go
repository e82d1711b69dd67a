package storetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"ivdmover/shared/ivd"
	"ivdmover/shared/store"
)

func list(t *testing.T, s store.Store) {
	all := []store.Name{"data/ab/1", "data/ab/2", "data/ac/1", "index/ab/1", "leases/x", "repo.json", "retired/1"}
	for i, name := range all {
		put(t, s, name, random(1, i))
	}
	staged, err := s.Prepare(t.Context(), lease, "points/a/1", []byte("not there yet"), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	defer staged.Discard()
	for prefix, want := range map[string][]store.Name{
		"":           all,
		"data/":      all[:3],
		"data":       all[:3],
		"data/ab":    all[:2],
		"data/ab/":   all[:2],
		"data/ab/2":  all[1:2],
		"data/a":     all[:3],
		"re":         all[5:],
		"repo.json":  all[5:6],
		"leases/y":   {},
		"nowhere/":   {},
		"points/":    {}, // prepared is not created
		"data/ab/1/": {},
	} {
		if got := names(t, s, prefix); !slices.Equal(got, want) {
			t.Errorf("list %q: %v, want %v", prefix, got, want)
		}
	}
	for info, err := range s.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		if want := int64(slices.Index(all, info.Name)); info.Size != want || time.Since(info.Modified) > time.Hour {
			t.Errorf("%+v: want %d bytes of now", info, want)
		}
	}
}

// many is more than one page of S3's listing.
const many = 1105

func listMany(t *testing.T, s store.Store) {
	var g errgroup.Group
	g.SetLimit(8)
	for i := range many {
		g.Go(func() error {
			return s.Put(t.Context(), store.Name(fmt.Sprintf("data/%02d/%04d", i%7, i)), []byte{1})
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	got := names(t, s, "data/")
	if len(got) != many || len(slices.Compact(got)) != many {
		t.Fatalf("%d names, %d of them different: want %d", len(got), len(slices.Compact(got)), many)
	}
}

func listStops(t *testing.T, s store.Store) {
	for i := range 5 {
		put(t, s, store.Name(fmt.Sprintf("a/%d", i)), nil)
	}
	n := 0
	for _, err := range s.List(t.Context(), "a/") {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 2 {
			break
		}
	}
	if n != 2 {
		t.Errorf("stopped after %d, want 2", n)
	}
	// What is listed may be deleted while the list goes on.
	for info, err := range s.List(t.Context(), "a/") {
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Delete(t.Context(), info.Name); err != nil {
			t.Fatal(err)
		}
	}
	if left := names(t, s, ""); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	_, err := s.Stat(t.Context(), "a/0")
	wantKind(t, "stat", err, ivd.NotFound)
}
