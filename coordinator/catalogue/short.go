package catalogue

import (
	"slices"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

// shortDigits is how long short ids are where no two begin alike.
const shortDigits = 8

// sum is what short ids are the beginning of: the Sum of a point's long name.
func sum(id ivd.PointID) string { return format.Sum([]byte(id)).String() }

// Short is a point's short id, as it is where no other begins alike.
func Short(id ivd.PointID) string { return sum(id)[:shortDigits] }

// Shorts are the short ids of points that are shown together, each with as many
// digits as tell it from the others.
func Shorts(ids []ivd.PointID) []string {
	sums := make([]string, len(ids))
	for i, id := range ids {
		sums[i] = sum(id)
	}
	sorted := slices.Compact(slices.Sorted(slices.Values(sums)))
	shorts := make([]string, len(ids))
	for i, s := range sums {
		at, _ := slices.BinarySearch(sorted, s)
		n := shortDigits
		if at > 0 {
			n = max(n, alike(s, sorted[at-1])+1)
		}
		if at+1 < len(sorted) {
			n = max(n, alike(s, sorted[at+1])+1)
		}
		shorts[i] = s[:min(n, len(s))]
	}
	return shorts
}

// alike counts the digits with which two sums begin alike.
func alike(a, b string) int {
	for i := range a {
		if a[i] != b[i] {
			return i
		}
	}
	return len(a)
}
