package plan

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

const (
	mib = int64(1) << 20
	gib = int64(1) << 30
	tib = int64(1) << 40
)

func geometry(capacity int64) ivd.Geometry {
	return ivd.Geometry{Capacity: capacity, ChunkSize: ivd.DefaultChunkSize}
}

func refs(pages ...ivd.PageIndex) []ivd.PageRef {
	var out []ivd.PageRef
	for _, p := range pages {
		out = append(out, ivd.PageRef{Page: p, ID: ivd.ContentID{1, byte(p)}, Place: ivd.Place{PackRef: ivd.PackRef{Pack: ivd.PackID{2}}, Offset: 128, Length: 4096}})
	}
	return out
}

func TestAllocatedDiskIsNotRead(t *testing.T) {
	template := job.Job{Run: "run", Lease: "lease", Name: "disk", Disk: job.IVD(ivd.NewDiskRef("", "", "d"))}
	jobs, err := Backup(template, Disk{Geometry: geometry(100 * gib), Snapshot: "s", Mode: Allocated})
	if err != nil {
		t.Fatal(err)
	}
	if len(jobs) != 2 {
		t.Fatalf("%d jobs, want one a page, since nobody knows how full they are", len(jobs))
	}
	for i, j := range jobs {
		b := j.Backup
		if !b.Allocated || len(b.Spans) != 0 || b.Unread != job.UnreadZero || b.Snapshot != "s" || len(b.Pages) != 1 || b.Pages[0] != ivd.PageIndex(i) {
			t.Errorf("job %d: %+v", i, b)
		}
		if j.Run != "run" || j.Lease != "lease" || j.Name != "disk" || j.Disk.Ref.ID() != "d" || j.Kind != job.Backup || j.Version != job.Version {
			t.Errorf("job %d lost its template: %+v", i, j)
		}
	}
	if jobs[0].ID != "j0001" || jobs[1].ID != "j0002" {
		t.Errorf("ids %s and %s", jobs[0].ID, jobs[1].ID)
	}
}

func TestCutByPagesAndBytes(t *testing.T) {
	g := geometry(20 * 64 * gib)
	small := []ivd.Extent{{Offset: 3*64*gib + 5, Length: 1}}
	jobs, err := Backup(job.Job{}, Disk{Geometry: g, Mode: InUse, Areas: small})
	if err != nil {
		t.Fatal(err)
	}
	if len(jobs) != 3 || len(jobs[0].Backup.Pages) != 8 || len(jobs[1].Backup.Pages) != 8 || len(jobs[2].Backup.Pages) != 4 {
		t.Errorf("a light increment is not cut by pages alone: %d jobs", len(jobs))
	}
	full := []ivd.Extent{{Offset: 0, Length: g.Capacity}}
	if jobs, err = Backup(job.Job{}, Disk{Geometry: g, Mode: InUse, Areas: full}); err != nil {
		t.Fatal(err)
	}
	if len(jobs) != 20 {
		t.Errorf("a full disk has %d jobs, want one a page", len(jobs))
	}
	if jobs, err = Backup(job.Job{}, Disk{Geometry: g, Mode: InUse, Areas: full, JobBytes: 128 * gib}); err != nil {
		t.Fatal(err)
	}
	if len(jobs) != 10 {
		t.Errorf("a full disk has %d jobs of two pages, want 10", len(jobs))
	}
}

func TestGrownDiskReadsTheShortLastChunk(t *testing.T) {
	parent := &Parent{Point: "p", SealedAt: time.Unix(1, 0), Geometry: geometry(10*mib + 512), Pages: refs(0)}
	jobs, err := Backup(job.Job{}, Disk{Geometry: geometry(12 * mib), Mode: Changed, Parent: parent})
	if err != nil {
		t.Fatal(err)
	}
	b := jobs[0].Backup
	if len(jobs) != 1 || len(b.Spans) != 1 || b.Unread != job.UnreadParent {
		t.Fatalf("%+v", b)
	}
	for chunk := range 48 {
		if got, want := b.Spans[0].Read.Has(chunk), chunk >= 40; got != want {
			t.Errorf("chunk %d read: %v, want %v", chunk, got, want)
		}
	}
	if b.Parent.SealedAt != parent.SealedAt || b.Parent.Geometry != parent.Geometry || len(b.Parent.Pages) != 1 {
		t.Errorf("parent %+v", b.Parent)
	}
}

func TestJobsKnowOnlyTheirPartOfTheParent(t *testing.T) {
	g := geometry(10 * 64 * gib)
	parent := &Parent{Point: "p", Geometry: g, Pages: refs(1, 7, 8)}
	jobs, err := Backup(job.Job{}, Disk{Geometry: g, Mode: Changed, Parent: parent})
	if err != nil {
		t.Fatal(err)
	}
	if len(jobs) != 2 || len(jobs[0].Backup.Parent.Pages) != 2 || len(jobs[1].Backup.Parent.Pages) != 1 || jobs[1].Backup.Parent.Pages[0].Page != 8 {
		t.Errorf("%d jobs: %+v", len(jobs), jobs)
	}
	if len(parent.Pages) != 3 {
		t.Error("the caller's parent was changed")
	}
}

func TestRefusals(t *testing.T) {
	g := geometry(gib)
	for name, c := range map[string]struct {
		disk Disk
		kind ivd.Kind
		text string
	}{
		"shrunk":        {Disk{Geometry: g, Mode: Changed, Parent: &Parent{Geometry: geometry(2 * gib)}}, ivd.Unsupported, "shrank"},
		"chunk size":    {Disk{Geometry: g, Mode: InUse, Parent: &Parent{Geometry: ivd.Geometry{Capacity: gib, ChunkSize: mib}}}, ivd.Invalid, "child keeps"},
		"no parent":     {Disk{Geometry: g, Mode: Changed}, ivd.Invalid, "without a parent"},
		"no mode":       {Disk{Geometry: g}, ivd.Invalid, "mode"},
		"areas":         {Disk{Geometry: g, Mode: Allocated, Areas: []ivd.Extent{{}}}, ivd.Invalid, "only VDDK"},
		"negative":      {Disk{Geometry: g, Mode: InUse, Areas: []ivd.Extent{{Offset: -1, Length: 5}}}, ivd.Corrupt, "area"},
		"length":        {Disk{Geometry: g, Mode: InUse, Areas: []ivd.Extent{{Offset: 1, Length: -5}}}, ivd.Corrupt, "area"},
		"geometry":      {Disk{Geometry: ivd.Geometry{Capacity: gib}, Mode: InUse}, ivd.Invalid, "chunk size"},
		"parent's page": {Disk{Geometry: g, Mode: Changed, Parent: &Parent{Geometry: g, Pages: refs(1)}}, ivd.Corrupt, "page 1"},
	} {
		_, err := Backup(job.Job{}, c.disk)
		if ivd.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: kind %q, %v", name, ivd.KindOf(err), err)
		}
	}
	_, err := Restore(job.Job{}, Target{Geometry: g, Pages: refs(0, 0)})
	if ivd.KindOf(err) != ivd.Corrupt {
		t.Errorf("a point that names a page twice: %v", err)
	}
	_, err = Restore(job.Job{}, Target{Point: "p", Geometry: ivd.Geometry{Capacity: gib}})
	if ivd.KindOf(err) != ivd.Corrupt || !strings.Contains(err.Error(), "restore point p") {
		t.Errorf("a point without a chunk size: %v", err)
	}
}

func TestRestore(t *testing.T) {
	target := Target{Point: "p", Geometry: geometry(3*64*gib + 1), Pages: refs(1, 3), Blank: true}
	jobs, err := Restore(job.Job{Run: "r"}, target)
	if err != nil {
		t.Fatal(err)
	}
	if len(jobs) != 2 || jobs[0].Restore.Pages[0].Page != 1 || jobs[1].Restore.Pages[0].Page != 3 || !jobs[0].Restore.Blank || jobs[1].ID != "j0002" || jobs[0].Kind != job.Restore || jobs[0].Run != "r" {
		t.Errorf("blank: %+v", jobs)
	}
	target.Blank, target.JobBytes = false, 64*gib+1
	if jobs, err = Restore(job.Job{}, target); err != nil {
		t.Fatal(err)
	}
	var pages []ivd.PageIndex
	for _, j := range jobs {
		for _, ref := range j.Restore.Pages {
			pages = append(pages, ref.Page)
			if zero := ref.Page == 0 || ref.Page == 2; zero != ref.ID.IsZero() {
				t.Errorf("page %d: %+v", ref.Page, ref)
			}
		}
	}
	if len(pages) != 4 || len(jobs) != 3 {
		t.Errorf("not blank: pages %v in %d jobs", pages, len(jobs))
	}
	jobs, err = Restore(job.Job{}, Target{Geometry: geometry(gib), Blank: true})
	if err != nil || len(jobs) != 0 {
		t.Errorf("a disk of zeros: %d jobs, %v", len(jobs), err)
	}
}

// A message of NATS ends at 1 MiB; a job must leave room for what the queue adds.
func TestLargestJobFitsAMessage(t *testing.T) {
	g := ivd.Geometry{Capacity: 62 * tib, ChunkSize: ivd.MinChunkSize}
	var all []ivd.PageIndex
	var areas []ivd.Extent
	for page := range g.Pages() {
		all = append(all, page)
	}
	// The last pages' spans have the longest numbers.
	for span := (g.Pages() - 2*job.MaxPages).FirstSpan(); span < g.Spans(); span++ {
		areas = append(areas, ivd.Extent{Offset: g.Span(span).Offset, Length: 1})
	}
	template := job.Job{
		Class: "a-class-with-a-long-name", Run: ivd.NewRunID(time.Now()), Lease: ivd.NewLeaseID(), Repository: "0123456789abcdef0123456789abcdef",
		Name: strings.Repeat("n", 512), Disk: job.IVD(ivd.NewDiskRef(ivd.SourceID(strings.Repeat("v", 128)), "datastore-123456", "8ca8c0a1-7b35-41fb-a8c9-0000deadbeef")),
	}
	jobs, err := Backup(template, Disk{
		Geometry: g, Mode: Changed, Areas: areas, Snapshot: "8ca8c0a1-7b35-41fb-a8c9-0000deadbeef",
		Parent: &Parent{Point: ivd.NewPointID(ivd.NewDomainID(), template.Disk.Ref.Source(), template.Disk.Ref.ID(), time.Now(), template.Run), Geometry: g, Pages: refs(all...)},
	})
	if err != nil {
		t.Fatal(err)
	}
	largest := 0
	for _, j := range jobs {
		body, err := json.Marshal(j)
		if err != nil {
			t.Fatal(err)
		}
		largest = max(largest, len(body))
	}
	if pages := len(jobs[0].Backup.Pages); pages != job.MaxPages {
		t.Fatalf("the first job has %d pages: not the worst case", pages)
	}
	if largest > 900_000 || largest < job.MaxPages*ivd.SpansPerPage*44 {
		t.Errorf("the largest of %d jobs has %d bytes as JSON", len(jobs), largest)
	}
}
