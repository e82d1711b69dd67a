package config

import (
	"strings"

	"ivdmover/shared/spelling"
)

// suggest names the known key that is nearest to an unknown one, or all known keys
// where none is near.
func suggest(key string, known []string) string {
	best, distance := "", len(key)/2+1
	for _, k := range known {
		if d := spelling.Distance(key, k); d < distance {
			best, distance = k, d
		}
	}
	if best != "" {
		return ": did you mean " + best + "?"
	}
	return ": the known keys are " + strings.Join(known, ", ")
}
