package plan

import (
	"slices"
	"testing"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// A span goes with its page: the last one of a page and the first one of the next
// are each in one place, whether both pages are one job or two.
func TestSpansGoWithTheirPage(t *testing.T) {
	g := geometry(2 * geometry(1).PageSize())
	edge := ivd.PageIndex(1).FirstSpan()
	d := Disk{Geometry: g, Mode: InUse, Areas: []ivd.Extent{{Offset: g.PageSize() - 1, Length: 2}}}
	for jobBytes, want := range map[int64][][]ivd.SpanIndex{
		0: {{edge - 1, edge}},
		1: {{edge - 1}, {edge}},
	} {
		d.JobBytes = jobBytes
		jobs, err := Backup(job.Job{}, d)
		if err != nil {
			t.Fatal(err)
		}
		var got [][]ivd.SpanIndex
		for _, j := range jobs {
			var spans []ivd.SpanIndex
			for _, w := range j.Backup.Spans {
				spans = append(spans, w.Span)
			}
			got = append(got, spans)
		}
		if !slices.EqualFunc(got, want, slices.Equal[[]ivd.SpanIndex]) {
			t.Errorf("jobs of %d bytes have the spans %v, want %v", jobBytes, got, want)
		}
	}
}

// A short last chunk counts as what it is: two pages are one job where they fit to
// the byte.
func TestTheLimitCountsTheShortLastChunk(t *testing.T) {
	page := geometry(1).PageSize()
	d := Disk{Geometry: geometry(page + 512), Mode: InUse, Areas: []ivd.Extent{{Offset: 0, Length: 1}, {Offset: page, Length: 1}}}
	need := d.Geometry.ChunkSize + 512
	for jobBytes, want := range map[int64]int{need: 1, need - 1: 2} {
		d.JobBytes = jobBytes
		jobs, err := Backup(job.Job{}, d)
		if err != nil || len(jobs) != want {
			t.Errorf("%d jobs of %d bytes, want %d: %v", len(jobs), jobBytes, want, err)
		}
		planned := int64(0)
		for _, j := range jobs {
			planned += Planned(j)
		}
		if planned != need {
			t.Errorf("%d bytes are planned, want %d", planned, need)
		}
	}
}

// Where the disk has its parent's size, the short last chunk is the parent's.
func TestTheShortLastChunkOfADiskThatDidNotGrow(t *testing.T) {
	g := geometry(10*mib + 512)
	jobs, err := Backup(job.Job{}, Disk{Geometry: g, Mode: Changed, Parent: &Parent{Geometry: g, Pages: refs(0)}})
	if err != nil || len(jobs) != 1 || len(jobs[0].Backup.Spans) != 0 {
		t.Errorf("nothing changed, and the jobs are %+v: %v", jobs, err)
	}
}
