package vddk_test

// scenes are main programs of their own, run by tests that need a process with
// another library, or one that ends badly.
var scenes = map[string]func() int{}
