//go:build race

package collect_test

// histories is how many are played: each takes eight times as long with the race
// detector.
const histories = 100
