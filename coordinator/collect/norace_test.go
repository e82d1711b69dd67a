//go:build !race

package collect_test

// histories is how many are played.
const histories = 1000
