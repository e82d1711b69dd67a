// Package spelling measures how far apart two words are, so that an error can name
// the word that was probably meant. It is pure.
package spelling

import "strings"

// Distance returns the Levenshtein distance of two words, in bytes, ignoring case: how
// many letters to insert, remove or replace.
func Distance(a, b string) int {
	a, b = strings.ToLower(a), strings.ToLower(b)
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal, row[j+1] = row[j+1], min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
