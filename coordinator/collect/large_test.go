package collect_test

import (
	"encoding/json"
	"runtime"
	"testing"
	"time"

	"ivdmover/coordinator/collect"
	"ivdmover/coordinator/plan"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/queue"
	"ivdmover/shared/repo"
	"ivdmover/shared/soak"
)

// neighbours are how many changed chunks lie together. In a soak each of them is far from
// the others, and every node of the disk is written, which takes a minute.
func neighbours() int64 {
	if soak.Times(1) > 1 {
		return 1
	}
	return 256
}

// A disk of 64 TiB of which 1,000,000 chunks have changed, all over it, is planned,
// committed and collected in little memory. Its nodes and pages are real; what would lie in
// its data packs is not.
func TestLargeDisk(t *testing.T) {
	const (
		changed  = 1_000_000
		packs    = changed / perPack
		garbage  = 500
		planning = 4 << 20 // all that it allocates, with the jobs
		perSpan  = 400     // beside that, of each that has a change
		writing  = 4 << 20 // what is in use at once, beside the disk's jobs
		perPackB = 24
		reading  = 2 << 20 // pages that are read at once, and lists
	)
	s := newSimulated(t)
	r := s.r
	g := ivd.Geometry{Capacity: 64 << 40}
	g.ChunkSize = ivd.AutoChunkSize(g.Capacity)
	areas := make([]ivd.Extent, changed)
	step, together := g.Capacity/g.ChunkSize/changed, neighbours()
	for i := range int64(changed) {
		chunk := i/together*together*step + i%together
		areas[i] = ivd.Extent{Offset: chunk * g.ChunkSize, Length: 512}
	}
	lease := s.lease(t)
	parent := commitPages(t, r, lease, g, disk, 0, nil)

	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	jobs, err := plan.Backup(job.Job{Run: "run-1", Lease: lease.ID}, plan.Disk{
		Geometry: g, Mode: plan.Changed, Areas: areas, Parent: &plan.Parent{Point: parent, Geometry: g},
	})
	runtime.ReadMemStats(&after)
	spans := 0
	for _, j := range jobs {
		spans += len(j.Backup.Spans)
	}
	use := after.TotalAlloc - before.TotalAlloc
	if err != nil || use > planning+perSpan*uint64(spans) {
		t.Fatalf("planning allocates %d MiB, %v", use>>20, err)
	}
	t.Logf("planned: %d jobs, %d spans, %d MiB allocated", len(jobs), spans, use>>20)

	w, err := r.NewWriter(lease, ivd.NewWriterID(), "a test")
	if err != nil {
		t.Fatal(err)
	}
	s.since()
	var pages []ivd.PageRef
	next := 0 // chunk that is stored
	for _, j := range jobs {
		if text, err := json.Marshal(j); err != nil || len(text) > queue.MaxValue {
			t.Fatalf("job %s has %d bytes, %v", j.ID, len(text), err)
		}
		pages = append(pages, writePages(t, r, w, j, &next)...)
	}
	if next != changed {
		t.Fatalf("the jobs read %d chunks of %d", next, changed)
	}
	point := commitPages(t, r, lease, g, disk, 1, pages)
	if use := s.since(); use > writing {
		t.Errorf("writing and committing %d pages had %d MiB in use", len(pages), use>>20)
	} else {
		t.Logf("committed: %d pages, %d KiB in use", len(pages), use>>10)
	}
	if err := r.EndLease(t.Context(), lease.ID); err != nil {
		t.Fatal(err)
	}

	if err := r.Forget(t.Context(), format.Forgotten{Point: parent, Reason: "a test"}); err != nil {
		t.Fatal(err)
	}
	s.needed, s.packs = packs, packs+garbage
	s.since()
	rep, err := collect.New(r, collect.Options{MinAge: 1, MaxShare: 1}).Collect(t.Context())
	if err != nil || rep.Deleted.Packs != garbage || rep.Deleted.Points != 1 || rep.Spared.Packs != 0 {
		t.Fatalf("%+v, %v", rep, err)
	}
	if use := s.since(); use > perPackB*uint64(s.packs)+reading {
		t.Errorf("collecting among %d packs had %d MiB in use", s.packs, use>>20)
	} else {
		t.Logf("collected: %d packs of %d, %d KiB in use", rep.Deleted.Packs, s.packs, use>>10)
	}
	if len(s.lost) > 0 {
		t.Fatalf("packs %v were deleted, which a restore needs", s.lost)
	}
	seen, nodes := 0, 0
	stored, _, err := r.ReadPoint(t.Context(), point)
	if err != nil {
		t.Fatal(err)
	}
	for _, ref := range stored.Pages {
		page, err := r.Page(t.Context(), ref, g)
		if err != nil {
			t.Fatal(err)
		}
		for span := page.Index.FirstSpan(); ; span++ {
			if page.Entry(span).State != format.SpanNode {
				continue
			}
			n, err := r.SpanNode(t.Context(), page, span) // one of each page
			if err != nil {
				t.Fatal(err)
			}
			nodes++
			for _, c := range n.Chunks {
				if !c.Zero() {
					seen++
				}
			}
			break
		}
	}
	if nodes != int(g.Pages()) || seen < nodes {
		t.Errorf("%d nodes of %d pages name %d chunks", nodes, g.Pages(), seen)
	}
}

// perPack is how many chunks lie in a simulated pack.
const perPack = 16

const disk = ivd.DiskID("5f0c1b1e-0000-4000-8000-0000000000d1")

// commitPages commits a point of a disk.
func commitPages(t testing.TB, r *repo.Repository, lease repo.Lease, g ivd.Geometry, disk ivd.DiskID, n int, pages []ivd.PageRef) ivd.PointID {
	t.Helper()
	at := time.Date(2026, 1, 1, 0, 0, n, 0, time.UTC)
	p := format.Point{
		ID: ivd.NewPointID(r.Domain(), "source", disk, at, "run-1"), Source: format.PointSource{Kind: format.VCenter, ID: "source"},
		Disk: format.PointDisk{Kind: ivd.IVD, ID: disk}, Geometry: g, Run: "run-1", Time: at, Pages: pages,
		Tracking: format.Tracking{CBT: format.CBTOn, Mode: format.ReadChanged}, Consistency: format.CrashConsistent,
	}
	if _, err := r.Commit(t.Context(), lease, p); err != nil {
		t.Fatal(err)
	}
	return p.ID
}

// writePages stores the nodes and pages of a job in one index pack. Its chunks lie in
// simulated packs, from number next on.
func writePages(t *testing.T, r *repo.Repository, w *repo.Writer, j job.Job, next *int) (refs []ivd.PageRef) {
	t.Helper()
	pack := w.NewPack(format.IndexPack)
	frame := func(kind format.FrameKind, plain []byte, err error) (ivd.ContentID, ivd.Place) {
		if err != nil {
			t.Fatal(err)
		}
		id := r.Suite().ID(plain)
		at, n := pack.Add(kind, id, len(plain), format.CompressionNone, plain)
		return id, ivd.Place{PackRef: format.OwnPack, Offset: at, Length: n}
	}
	spans := j.Backup.Spans
	for _, index := range j.Backup.Pages {
		page := format.NewPage(j.Geometry, index)
		for ; len(spans) > 0 && spans[0].Span.Page() == index; spans = spans[1:] {
			node := format.NewNode(j.Geometry, spans[0].Span)
			for i := range node.Chunks {
				if spans[0].Read.Has(i) {
					ref := ivd.PackRef{Pack: packID(*next / perPack), Writer: w.ID()}
					id := ivd.ContentID(packID(*next))
					node.Set(i, id, ivd.Place{PackRef: ref, Offset: uint32(1000 + *next%perPack<<20), Length: 1 << 20})
					*next++
				}
			}
			plain, err := node.Encode()
			id, at := frame(format.NodeFrame, plain, err)
			page.SetNode(ivd.NodeRef{Span: node.Span, ID: id, Place: at}, node.Packs)
		}
		plain, err := page.Encode()
		id, at := frame(format.PageFrame, plain, err)
		refs = append(refs, ivd.PageRef{Page: index, ID: id, Place: at})
	}
	stored, _, _, err := w.PutPack(t.Context(), pack)
	if err != nil {
		t.Fatal(err)
	}
	for i := range refs {
		refs[i].Place.PackRef = stored
	}
	return refs
}
