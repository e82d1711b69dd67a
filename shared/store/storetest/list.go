package storetest

import (
	"fmt"
	"testing"

	"ivdmover/shared/ivd"
	"ivdmover/shared/store"
)

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
