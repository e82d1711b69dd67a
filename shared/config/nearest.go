package config

import "strings"

// suggest names the known key that is nearest to an unknown one, or all of them
// where none is near.
func suggest(key string, known []string) string {
	best, distance := "", len(key)/2+1
	for _, k := range known {
		if d := edits(strings.ToLower(key), k); d < distance {
			best, distance = k, d
		}
	}
	if best != "" {
		return ": did you mean " + best + "?"
	}
	return ": known here are " + strings.Join(known, ", ")
}

// edits is the Levenshtein distance: how many letters to insert, remove or
// replace.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
