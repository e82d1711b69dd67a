package cli

import (
	"strings"
	"testing"

	"ivdmover/coordinator/api"
	"ivdmover/shared/ivd"
)

// What a backup has built on the word of other movers is said of the run and of the point,
// and only where there is some.
func TestUnprovenIsSaid(t *testing.T) {
	for bytes, want := range map[int64]bool{0: false, 5 << 20: true} {
		var run api.RunDetail
		run.Stats.UnprovenBytes = bytes
		var point api.PointDetail
		point.Stats = ivd.Stats{UnprovenBytes: bytes}
		for what, facts := range map[string][]fact{"run": runFacts(run), "point": pointFacts(point)} {
			var b strings.Builder
			if err := writeFacts(&b, facts); err != nil {
				t.Fatal(err)
			}
			if said := strings.Contains(b.String(), "5.00 MiB unproven"); said != want || strings.Contains(b.String(), "unproven") != want {
				t.Errorf("%s of %d unproven bytes:\n%s", what, bytes, b.String())
			}
		}
	}
}
