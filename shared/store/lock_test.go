package store_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"ivdmover/shared/store"
)

// Every lock lasts as long as it should, all of one generation end together, and none
// lasts longer than that and a generation.
func TestGenerations(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := store.Locks{For: time.Duration(rapid.Int64Range(int64(time.Hour), int64(10*365*24*time.Hour)).Draw(t, "for"))}
		at := time.Unix(rapid.Int64Range(0, 1<<33).Draw(t, "at"), 0)
		until, g := l.Until(at), l.Generation()
		if lasts := until.Sub(at); lasts < l.For-time.Second || lasts > l.For+g {
			t.Fatalf("locked for %s, want %s, and %s more at most", lasts, l.For, g)
		}
		begins := at.UTC().Truncate(g)
		if !l.Until(begins).Equal(until) || !l.Until(begins.Add(g-time.Second)).Equal(until) || !l.Until(begins.Add(g)).Equal(until.Add(g)) {
			t.Fatalf("locks of one generation do not end together")
		}
	})
}
