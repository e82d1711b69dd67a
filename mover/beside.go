package main

import (
	"slices"
	"time"
)

// silence is how long the child may give no sign of life.
const silence = 30 * time.Second

// beside is the part of the mover that a child is which works beside another: each has a
// heartbeat of its own, and a folder for VDDK.
const beside = "2"

// besides are the transports of a child that works beside another. It hot-adds nothing:
// what it left attached would be looked for in its folder, where nobody looks once it is
// gone.
func besides(transports []string) []string {
	return slices.DeleteFunc(slices.Clone(transports), func(t string) bool { return t == "hotadd" })
}
