// Package spelling tells how far a word is from another one, so that an error can
// name what was probably meant. It is pure and knows nothing of what words mean.
package spelling

import "strings"

// Distance is Levenshtein's, in bytes, without regard to case: how many letters to
// insert, remove or replace.
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
