package config

import (
	"strings"

	"ivdmover/shared/spelling"
)

// suggest names the known key that is nearest to an unknown one, or all known keys
// where none is near.
func suggest(key string, known []string) string {
	if best := nearest(key, known); best != "" {
		return ": did you mean " + best + "?"
	}
	return ": the known keys are " + strings.Join(known, ", ")
}

// oneOf is suggest for a value.
func oneOf(value string, known []string) string {
	if best := nearest(value, known); best != "" {
		return ": did you mean " + best + "?"
	}
	return ": want one of " + strings.Join(known, ", ")
}

// nearest is the known word that an unknown one may stand for, or empty.
func nearest(word string, known []string) string {
	best, distance := "", len(word)/2+1
	for _, k := range known {
		if d := spelling.Distance(word, k); d < distance {
			best, distance = k, d
		}
	}
	return best
}
