package collect_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"iter"
	"runtime"
	"strings"
	"sync"
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
	"ivdmover/shared/store"
	"ivdmover/shared/store/dir"
)

// simulated is a store that says of data packs that they are there, of which none takes
// space: their ids are numbers. It measures what memory is in use while it is worked with.
type simulated struct {
	store.Store
	r *repo.Repository

	mu      sync.Mutex
	packs   int          // numbered from 0
	deleted map[int]bool // of them
	calls   int
	base    uint64
	most    uint64 // bytes in use, more than base
}

// packID is the id of a simulated pack. Of each folder of the store there are as many.
func packID(n int) (id ivd.PackID) {
	binary.LittleEndian.PutUint64(id[:], uint64(n)+1)
	id[31] = 1
	return id
}

func packNumber(id ivd.PackID) (n int, ok bool) {
	n = int(binary.LittleEndian.Uint64(id[:])) - 1
	return n, id == packID(n)
}

// measure counts a call, and looks after some of them at the memory in use.
func (s *simulated) measure() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.calls++; s.calls%64 == 1 {
		if use := inUse(); use > s.base {
			s.most = max(s.most, use-s.base)
		}
	}
}

// since returns what was in use at most, and begins to measure anew.
func (s *simulated) since() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	most := s.most
	s.base, s.most, s.calls = inUse(), 0, 0
	return most
}

func inUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func (s *simulated) Put(ctx context.Context, name store.Name, body []byte) error {
	s.measure()
	return s.Store.Put(ctx, name, body)
}

func (s *simulated) ReadAt(ctx context.Context, name store.Name, p []byte, offset int64) error {
	s.measure()
	return s.Store.ReadAt(ctx, name, p, offset)
}

func (s *simulated) Delete(ctx context.Context, name store.Name) error {
	s.measure()
	id, err := ivd.ParsePackID(string(name[strings.LastIndex(string(name), "/")+1:]))
	if n, ok := packNumber(id); err == nil && ok && s.r.PackName(format.DataPack, id) == name {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.deleted[n] = true
		return nil
	}
	return s.Store.Delete(ctx, name)
}

func (s *simulated) List(ctx context.Context, prefix string) iter.Seq2[store.Info, error] {
	return func(yield func(store.Info, error) bool) {
		for info, err := range s.Store.List(ctx, prefix) {
			if !yield(info, err) {
				return
			}
		}
		if !strings.HasPrefix(prefix, "data/") {
			return
		}
		for n := range s.packs {
			if n%1000 == 0 {
				s.measure()
			}
			name := s.r.PackName(format.DataPack, packID(n))
			if strings.HasPrefix(string(name), prefix) && !yield(store.Info{Name: name, Size: 16 << 20, Modified: time.Unix(0, 0)}, nil) {
				return
			}
		}
	}
}

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
	folder, err := dir.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = folder.Close() })
	s := &simulated{Store: folder, deleted: map[int]bool{}}
	r, err := repo.Init(t.Context(), s, repo.InitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s.r = r

	g := ivd.Geometry{Capacity: 64 << 40}
	g.ChunkSize = ivd.AutoChunkSize(g.Capacity)
	areas := make([]ivd.Extent, changed)
	step, together := g.Capacity/g.ChunkSize/changed, neighbours()
	for i := range int64(changed) {
		chunk := i/together*together*step + i%together
		areas[i] = ivd.Extent{Offset: chunk * g.ChunkSize, Length: 512}
	}
	lease, err := r.OpenLease(t.Context(), repo.LeaseSpec{Kind: repo.WriteLease, Owner: "a test", Run: "run-1"})
	if err != nil {
		t.Fatal(err)
	}
	parent := commitPages(t, r, lease, g, 0, nil)

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
	point := commitPages(t, r, lease, g, 1, pages)
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
	s.packs = packs + garbage
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
	for n := range s.deleted {
		if n < packs {
			t.Fatalf("pack %d was deleted, which a restore needs", n)
		}
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

// commitPages commits a point of the disk.
func commitPages(t *testing.T, r *repo.Repository, lease repo.Lease, g ivd.Geometry, n int, pages []ivd.PageRef) ivd.PointID {
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
