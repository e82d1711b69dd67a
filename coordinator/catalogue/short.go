package catalogue

import (
	"bytes"
	"encoding/hex"
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
	sums := make([]ivd.ContentID, len(ids))
	for i, id := range ids {
		sums[i] = format.Sum([]byte(id))
	}
	order := make([]int, len(ids))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return bytes.Compare(sums[a][:], sums[b][:]) })
	digits := slices.Repeat([]int{shortDigits}, len(ids))
	for k := 1; k < len(order); k++ {
		a, b := order[k-1], order[k]
		if n := alike(sums[a], sums[b]) + 1; sums[a] != sums[b] {
			digits[a], digits[b] = max(digits[a], n), max(digits[b], n)
		}
	}
	shorts := make([]string, len(ids))
	for i, n := range digits {
		shorts[i] = hex.EncodeToString(sums[i][:(n+1)/2])[:n]
	}
	return shorts
}

// alike counts the digits with which two sums begin alike.
func alike(a, b ivd.ContentID) int {
	for i := range a {
		if x := a[i] ^ b[i]; x >= 0x10 {
			return 2 * i
		} else if x != 0 {
			return 2*i + 1
		}
	}
	return 2 * len(a)
}
