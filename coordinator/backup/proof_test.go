package backup

import (
	"strings"
	"testing"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// proofDisk is of three pages, the last of which is short, and ends in half a chunk.
var proofDisk = ivd.Geometry{
	Capacity:  2*ivd.SpansPerPage*ivd.ChunksPerSpan*ivd.MinChunkSize + 10*ivd.MinChunkSize + ivd.MinChunkSize/2,
	ChunkSize: ivd.MinChunkSize,
}

func proofJob(id ivd.JobID, spans []ivd.SpanIndex, pages ...ivd.PageIndex) job.Job {
	j := job.Job{ID: id, Geometry: proofDisk, Backup: &job.BackupSpec{Pages: pages, Unread: job.UnreadParent}}
	for _, s := range spans {
		w := job.SpanWork{Span: s}
		w.Read.SetRange(0, 2)
		j.Backup.Spans = append(j.Backup.Spans, w)
	}
	return j
}

// proofPlan is two jobs, of which each has four chunks to read, and their records.
func proofPlan() ([]job.Job, []job.Record) {
	jobs := []job.Job{
		proofJob("j0001", []ivd.SpanIndex{0, 5}, 0, 1),
		proofJob("j0002", []ivd.SpanIndex{2 * ivd.SpansPerPage}, 2),
	}
	last := &jobs[1].Backup.Spans[0].Read
	last.SetRange(9, 11) // the last chunk is half a one
	recs := []job.Record{
		{ID: "j0001", State: job.Done, Pages: []ivd.PageRef{{Page: 0}, {Page: 1}}, Stats: ivd.Stats{DiskBytes: 2 * proofDisk.PageSize(), ReadBytes: 4 * ivd.MinChunkSize}},
		{ID: "j0002", State: job.Done, Pages: []ivd.PageRef{{Page: 2}}, Stats: ivd.Stats{DiskBytes: proofDisk.Capacity - 2*proofDisk.PageSize(), ReadBytes: 3*ivd.MinChunkSize + ivd.MinChunkSize/2}},
	}
	return jobs, recs
}

// wantWrong wants an error of kind Permanent that says so; nothing: none at all.
func wantWrong(t *testing.T, what string, err error, says string) {
	t.Helper()
	switch {
	case says == "" && err != nil:
		t.Errorf("%s: %v", what, err)
	case says != "" && (ivd.KindOf(err) != ivd.Permanent || !strings.Contains(err.Error(), says)):
		t.Errorf("%s: %v (kind %q), want %q", what, err, ivd.KindOf(err), says)
	}
}

func TestRecordsAddUp(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what  string
		spoil func(jobs *[]job.Job, recs *[]job.Record)
		says  string
	}{
		{"all is well", func(*[]job.Job, *[]job.Record) {}, ""},
		{"records come in any order", func(_ *[]job.Job, r *[]job.Record) { (*r)[0], (*r)[1] = (*r)[1], (*r)[0] }, ""},
		{"a page of zeros is not named", func(_ *[]job.Job, r *[]job.Record) { (*r)[0].Pages = (*r)[0].Pages[:1] }, ""},
		{"more was read than was planned", func(_ *[]job.Job, r *[]job.Record) { (*r)[0].Stats.ReadBytes *= 2 }, ""},
		{"a record is missing", func(_ *[]job.Job, r *[]job.Record) { *r = (*r)[:1] }, "1 of 2 jobs have a record"},
		{"a record is another job's", func(_ *[]job.Job, r *[]job.Record) { (*r)[1].ID = "j0003" }, "job j0002 has no record"},
		{"a job is not done", func(_ *[]job.Job, r *[]job.Record) { (*r)[1].State = job.Running }, "job j0002 is running"},
		{"a page is in no job", func(j *[]job.Job, r *[]job.Record) {
			(*j)[0].Backup.Pages = []ivd.PageIndex{0}
			(*r)[0].Pages = (*r)[0].Pages[:1]
		}, "page 2 where page 1 comes next"},
		{"a page is in two jobs", func(j *[]job.Job, _ *[]job.Record) { (*j)[1].Backup.Pages = []ivd.PageIndex{1, 2} }, "page 1 where page 2 comes next"},
		{"the last page is in no job", func(j *[]job.Job, r *[]job.Record) { *j, *r = (*j)[:1], (*r)[:1] }, "2 pages, the disk has 3"},
		{"a page was made by another job", func(_ *[]job.Job, r *[]job.Record) { (*r)[0].Pages[1].Page = 2 }, "job j0001 has made page 2"},
		{"a page was made twice", func(_ *[]job.Job, r *[]job.Record) { (*r)[0].Pages[1].Page = 0 }, "job j0001 has made page 0"},
		{"a byte was not read", func(_ *[]job.Job, r *[]job.Record) { (*r)[1].Stats.ReadBytes-- }, "that had to be read"},
		{"a byte was not covered", func(_ *[]job.Job, r *[]job.Record) { (*r)[1].Stats.DiskBytes-- }, "have covered"},
		{"a span was covered twice", func(_ *[]job.Job, r *[]job.Record) { (*r)[0].Stats.DiskBytes += proofDisk.SpanSize() }, "have covered"},
	} {
		jobs, recs := proofPlan()
		c.spoil(&jobs, &recs)
		wantWrong(t, c.what, checkRecords(proofDisk, jobs, recs), c.says)
	}
}

// proofPage has nodes for some spans of the disk's first page, told apart by their
// contents.
func proofPage(spans map[ivd.SpanIndex]byte) *format.Page {
	p := format.NewPage(proofDisk, 0)
	for span, content := range spans {
		home := ivd.PackRef{Pack: ivd.PackID{content}}
		p.SetNode(ivd.NodeRef{Span: span, ID: ivd.ContentID{content}, Place: ivd.Place{PackRef: home, Length: 100}}, []ivd.PackRef{{Pack: ivd.PackID{0xdd, content}}})
	}
	return p
}

func TestSpansAreThereForAReason(t *testing.T) {
	t.Parallel()
	parent := proofPage(map[ivd.SpanIndex]byte{0: 1, 7: 2})
	inUse := proofJob("j", []ivd.SpanIndex{0}, 0)
	inUse.Backup.Unread = job.UnreadZero
	for _, c := range []struct {
		what         string
		job          job.Job
		page, parent *format.Page
		says         string
	}{
		{"the parent's are taken over", proofJob("j", nil, 0), parent, parent, ""},
		{"one was written anew", proofJob("j", []ivd.SpanIndex{0}, 0), proofPage(map[ivd.SpanIndex]byte{0: 9, 7: 2}), parent, ""},
		{"one was read and found to be zeros", proofJob("j", []ivd.SpanIndex{0}, 0), proofPage(map[ivd.SpanIndex]byte{7: 2}), parent, ""},
		{"one that did not change is missing", proofJob("j", []ivd.SpanIndex{0}, 0), proofPage(map[ivd.SpanIndex]byte{0: 9}), parent, "span 7 of page 0 is missing"},
		{"the whole page is missing", proofJob("j", []ivd.SpanIndex{0}, 0), nil, parent, "span 7 of page 0 is missing"},
		{"the page is zeros, as the parent's", proofJob("j", nil, 0), nil, nil, ""},
		{"what is not in use is zeros", inUse, proofPage(map[ivd.SpanIndex]byte{0: 9}), parent, ""},
	} {
		wantWrong(t, c.what, checkPage(c.job, 0, c.page, c.parent), c.says)
	}
}

// What was to be read is in a page, or was read and found to be zeros.
func TestAbsentSpansWereZeros(t *testing.T) {
	t.Parallel()
	jobs, _ := proofPlan()
	page := proofPage(map[ivd.SpanIndex]byte{5: 1})
	for _, c := range []struct {
		what  string
		job   job.Job
		index ivd.PageIndex
		page  *format.Page
		zeros int64
		says  string
	}{
		{"zeros were found", jobs[0], 0, page, 2 * ivd.MinChunkSize, ""},
		{"fewer zeros were found", jobs[0], 0, page, 2*ivd.MinChunkSize - 1, "in no page"},
		{"there is no page, and zeros were found", jobs[0], 0, nil, 4 * ivd.MinChunkSize, ""},
		{"there is no page", jobs[0], 0, nil, 0, "in no page"},
		{"nothing was to be read of the page", jobs[0], 1, nil, 0, ""},
		{"half a chunk at the end", jobs[1], 2, nil, 3*ivd.MinChunkSize + ivd.MinChunkSize/2, ""},
		{"half a chunk at the end is missing", jobs[1], 2, nil, 3 * ivd.MinChunkSize, "in no page"},
	} {
		rec := job.Record{Stats: ivd.Stats{ZeroBytes: c.zeros}}
		wantWrong(t, c.what, checkZeros(c.job, rec, absent(c.job, c.index, c.page)), c.says)
	}
}

// Only nodes that the parent has not are opened.
func TestNewNodes(t *testing.T) {
	t.Parallel()
	parent := proofPage(map[ivd.SpanIndex]byte{0: 1, 7: 2})
	page := proofPage(map[ivd.SpanIndex]byte{0: 9, 3: 4, 7: 2})
	for _, c := range []struct {
		parent *format.Page
		want   int
	}{{parent, 2}, {nil, 3}, {page, 0}} {
		if got := newNodes(page, c.parent); len(got) != c.want {
			t.Errorf("%d new nodes, want %d: %+v", len(got), c.want, got)
		}
	}
}

// What is taken over from the parent needs what it needs there: a collector goes by the new
// page once the parent is gone.
func TestTakenSpansNeedWhatTheyNeeded(t *testing.T) {
	t.Parallel()
	pack := func(b byte) ivd.PackRef { return ivd.PackRef{Pack: ivd.PackID{b}} }
	with := func(node byte, needs ...ivd.PackRef) *format.Page {
		page := format.NewPage(proofDisk, 0)
		page.SetNode(ivd.NodeRef{Span: 3, ID: ivd.ContentID{node}, Place: ivd.Place{PackRef: pack(1), Length: 100}}, needs)
		return page
	}
	parent := with(1, pack(2), pack(3))
	for _, c := range []struct {
		what         string
		page, parent *format.Page
		says         string
	}{
		{"the same", with(1, pack(3), pack(2)), parent, ""},
		{"one less", with(1, pack(2)), parent, "span 3 is taken over"},
		{"one more", with(1, pack(2), pack(3), pack(4)), parent, "span 3 is taken over"},
		{"another", with(1, pack(2), pack(4)), parent, "span 3 is taken over"},
		{"another writer's", with(1, pack(2), ivd.PackRef{Pack: ivd.PackID{3}, Nonce: ivd.Nonce{1}}), parent, "span 3 is taken over"},
		{"it is a new node", with(2, pack(2)), parent, ""},
		{"there is no parent", with(1, pack(2)), nil, ""},
	} {
		wantWrong(t, c.what, checkTaken(c.page, c.parent), c.says)
	}
}

func TestNodeIsWhatItsPageNeeds(t *testing.T) {
	t.Parallel()
	pack := func(b byte) ivd.PackRef { return ivd.PackRef{Pack: ivd.PackID{b}} }
	for _, c := range []struct {
		what  string
		needs []ivd.PackRef // beside the node's own
		has   []ivd.PackRef
		says  string
	}{
		{"the same", []ivd.PackRef{pack(2), pack(3)}, []ivd.PackRef{pack(2), pack(3)}, ""},
		{"the node's own pack has chunks, too", []ivd.PackRef{pack(2)}, []ivd.PackRef{pack(2)}, ""},
		{"the page names one pack less", []ivd.PackRef{pack(2)}, []ivd.PackRef{pack(2), pack(3)}, "which its page does not name"},
		{"the page names one pack more", []ivd.PackRef{pack(2), pack(3)}, []ivd.PackRef{pack(2)}, "said to need 3 packs, and its node needs 2"},
		{"the page names another pack", []ivd.PackRef{pack(4)}, []ivd.PackRef{pack(2)}, "which its page does not name"},
	} {
		page := format.NewPage(proofDisk, 0)
		page.SetNode(ivd.NodeRef{Span: 3, ID: ivd.ContentID{1}, Place: ivd.Place{PackRef: pack(1), Length: 100}}, c.needs)
		node := format.NewNode(proofDisk, 3)
		node.Packs = c.has
		wantWrong(t, c.what, checkNode(page, node), c.says)
	}
	page := format.NewPage(proofDisk, 0)
	page.SetNode(ivd.NodeRef{Span: 3, ID: ivd.ContentID{1}, Place: ivd.Place{PackRef: pack(1), Length: 100}}, []ivd.PackRef{pack(2)})
	page.Entry(3).Needs = page.Entry(3).Needs[:1] // not that of its node
	node := format.NewNode(proofDisk, 3)
	node.Packs = []ivd.PackRef{pack(2)}
	wantWrong(t, "the page does not name the node's own pack", checkNode(page, node), "the pack of its own node")
}
