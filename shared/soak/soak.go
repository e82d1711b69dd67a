// Package soak says how often a test that repeats itself does so, so that the usual
// run of all tests is short and a long one finds what is rare.
//
// It is for tests alone. The variable IVD_SOAK multiplies repetitions; `make soak`
// sets it.
package soak

import (
	"flag"
	"os"
	"strconv"
)

// Checks says how many random checks (pgregory.net/rapid) each test of a package
// makes where each costs much, unless the command line says another number. It is
// called in TestMain.
func Checks(n int) {
	if f := flag.Lookup("rapid.checks"); f != nil {
		_ = f.Value.Set(strconv.Itoa(Times(n))) // a number is one
	}
}

// Times is n repetitions, IVD_SOAK times as many where that is a number above one.
func Times(n int) int {
	if factor, err := strconv.Atoi(os.Getenv("IVD_SOAK")); err == nil && factor > 1 {
		return n * factor
	}
	return n
}
