package soak_test

import (
	"testing"

	"ivdmover/shared/soak"
)

func TestTimes(t *testing.T) {
	for value, want := range map[string]int{"": 6, "1": 6, "10": 60, "0": 6, "-3": 6, "many": 6} {
		t.Setenv("IVD_SOAK", value)
		if got := soak.Times(6); got != want {
			t.Errorf("IVD_SOAK=%q: %d times, want %d", value, got, want)
		}
	}
}
