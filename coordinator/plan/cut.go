package plan

import (
	"iter"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// costs says for each page of the disk how many bytes there are to read, at most.
func costs(d Disk, w work) []int64 {
	pages := make([]int64, d.Geometry.Pages())
	if d.Mode == Allocated { // unknown: as if all of it
		for i := range pages {
			pages[i] = pageBytes(d.Geometry, ivd.PageIndex(i))
		}
		return pages
	}
	for page, n := range w.bytes(d.Geometry) {
		pages[page] = n
	}
	return pages
}

// pageBytes is how much of the disk a page covers.
func pageBytes(g ivd.Geometry, page ivd.PageIndex) int64 {
	return min(g.PageSize(), g.Capacity-int64(page)*g.PageSize())
}

// cut yields runs [from, to) over pages with the given costs: each of at least
// one page and at most job.MaxPages, and of more than limit bytes only if it
// is a single page.
func cut(costs []int64, limit int64) iter.Seq2[ivd.PageIndex, ivd.PageIndex] {
	if limit <= 0 {
		limit = DefaultJobBytes
	}
	return func(yield func(from, to ivd.PageIndex) bool) {
		for from := 0; from < len(costs); {
			to, sum := from+1, costs[from]
			for to < len(costs) && to-from < job.MaxPages && sum+costs[to] <= limit {
				sum += costs[to]
				to++
			}
			if !yield(ivd.PageIndex(from), ivd.PageIndex(to)) {
				return
			}
			from = to
		}
	}
}
