package backup

import (
	"maps"
	"slices"

	"ivdmover/coordinator/plan"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// What must add up before a commit. All of it is pure: what was planned, and what
// the jobs say that they stored, is held against what the repository has.

// wrong is what does not add up. It stays so: the disk's part of the run ends.
func wrong(format string, args ...any) error { return ivd.Errorf(ivd.Permanent, format, args...) }

// checkRecords wants the jobs' records to cover each page of the disk exactly once
// and all of its bytes, and to have read at least what the plan wanted read.
func checkRecords(g ivd.Geometry, jobs []job.Job, recs []job.Record) error {
	byID := map[ivd.JobID]job.Record{}
	for _, rec := range recs {
		byID[rec.ID] = rec
	}
	if len(recs) != len(jobs) {
		return wrong("%d of %d jobs have a record at the commit", len(recs), len(jobs))
	}
	next, covered := ivd.PageIndex(0), int64(0)
	for _, j := range jobs {
		rec, ok := byID[j.ID]
		switch {
		case !ok:
			return wrong("job %s has no record at the commit", j.ID)
		case rec.State != job.Done:
			return wrong("job %s is %s at the commit", j.ID, rec.State)
		}
		for _, page := range j.Backup.Pages {
			if page != next {
				return wrong("job %s is of page %d where page %d comes next", j.ID, page, next)
			}
			next++
		}
		last := ivd.PageIndex(-1)
		for _, ref := range rec.Pages {
			if ref.Page <= last || !slices.Contains(j.Backup.Pages, ref.Page) {
				return wrong("job %s has made page %d, which is none of its pages, or twice", j.ID, ref.Page)
			}
			last = ref.Page
		}
		if want := plan.Planned(j); rec.Stats.ReadBytes < want {
			return wrong("job %s has read %d bytes of %d that had to be read", j.ID, rec.Stats.ReadBytes, want)
		}
		covered += rec.Stats.DiskBytes
	}
	if next != g.Pages() {
		return wrong("the jobs are of %d pages, the disk has %d", next, g.Pages())
	}
	if covered != g.Capacity {
		return wrong("the jobs have covered %d bytes of %d", covered, g.Capacity)
	}
	return nil
}

// checkPage wants every span of a page of a job to be in the page that the job has
// made, or to be zeros for a reason: it was read, or the plan or the parent says so.
// A nil page is zeros; a nil parent says nothing.
func checkPage(j job.Job, index ivd.PageIndex, page, parent *format.Page) error {
	if parent == nil || j.Backup.Unread != job.UnreadParent {
		return nil
	}
	planned := map[ivd.SpanIndex]bool{}
	for _, w := range j.Backup.Spans {
		planned[w.Span] = true
	}
	for i := range j.Geometry.PageSpans(index) {
		span := index.FirstSpan() + ivd.SpanIndex(i)
		if stored(page, span) || planned[span] {
			continue
		}
		if stored(parent, span) {
			return wrong("span %d of page %d is missing: it did not change, and the parent has it", span, index)
		}
	}
	return nil
}

// absent is how many bytes of a page a job was to read of spans that are not in the page.
func absent(j job.Job, index ivd.PageIndex, page *format.Page) (n int64) {
	for _, w := range j.Backup.Spans {
		if w.Span.Page() == index && !stored(page, w.Span) {
			n += plan.PlannedOf(j.Geometry, w)
		}
	}
	return n
}

// checkZeros wants what a job was to read, and what is in no page, to be zeros that it
// has read.
func checkZeros(j job.Job, rec job.Record, absent int64) error {
	if absent > rec.Stats.ZeroBytes {
		return wrong("%d bytes that job %s had to read are in no page, and it found %d bytes of zeros", absent, j.ID, rec.Stats.ZeroBytes)
	}
	return nil
}

// stored reports whether a page has a node for a span.
func stored(page *format.Page, span ivd.SpanIndex) bool {
	if page == nil {
		return false
	}
	i := int(span - page.Index.FirstSpan())
	return i >= 0 && i < len(page.Spans) && page.Spans[i].State == format.SpanNode
}

// newNodes are the nodes of a page that are not the parent's.
func newNodes(page, parent *format.Page) []ivd.NodeRef {
	var refs []ivd.NodeRef
	for i := range page.Spans {
		span := page.Index.FirstSpan() + ivd.SpanIndex(i)
		if !stored(page, span) || stored(parent, span) && parent.Ref(span) == page.Ref(span) {
			continue
		}
		refs = append(refs, page.Ref(span))
	}
	return refs
}

// checkTaken wants each span that is taken over from the parent to need the packs that it
// needs there. Its node is not opened, and a collector goes by what the page says.
func checkTaken(page, parent *format.Page) error {
	for i := range page.Spans {
		span := page.Index.FirstSpan() + ivd.SpanIndex(i)
		if !stored(page, span) || !stored(parent, span) || parent.Ref(span) != page.Ref(span) {
			continue
		}
		if !maps.Equal(needs(page, span), needs(parent, span)) {
			return wrong("span %d is taken over from the parent, and is said to need other packs than there", span)
		}
	}
	return nil
}

// needs is the packs that a span is said to need.
func needs(page *format.Page, span ivd.SpanIndex) map[ivd.PackRef]bool {
	needs := map[ivd.PackRef]bool{}
	for _, n := range page.Entry(span).Needs {
		needs[page.Packs[n]] = true
	}
	return needs
}

// checkNode wants a node to be what its page says that it needs.
func checkNode(page *format.Page, node *format.Node) error {
	e := page.Entry(node.Span)
	needs := needs(page, node.Span)
	if !needs[e.Place.PackRef] {
		return wrong("span %d does not need the pack of its own node", node.Span)
	}
	has := map[ivd.PackRef]bool{e.Place.PackRef: true}
	for _, p := range node.Packs {
		has[p] = true
		if !needs[p] {
			return wrong("span %d has chunks in pack %s, which its page does not name for it", node.Span, p.Pack)
		}
	}
	if len(has) != len(needs) {
		return wrong("span %d is said to need %d packs, and its node needs %d", node.Span, len(needs), len(has))
	}
	return nil
}
