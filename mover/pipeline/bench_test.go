package pipeline

import (
	"context"
	"slices"
	"testing"
	"time"

	"ivdmover/shared/budget"
	"ivdmover/shared/format"
	"ivdmover/shared/index"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/repo"
	"ivdmover/shared/store"
	"ivdmover/shared/store/dir"
	"ivdmover/shared/trust"
)

// bench is a repository with one disk's points, and a coordinator's part of the
// work reduced to what the pipeline needs.
type bench struct {
	t      testing.TB
	store  store.Store
	repo   *repo.Repository
	memory *budget.Memory
	limits Limits

	depth   int // requests in flight
	request int64
	disk    ivd.DiskRef
	points  int
}

func newBench(t testing.TB, memory int64) *bench {
	t.Helper()
	return newBenchWith(t, memory, repo.InitOptions{})
}

// encrypted are a repository's options whose passphrase costs little.
var encrypted = repo.InitOptions{Passphrase: "a test", Argon2: format.Argon2{Time: 1, Memory: 8 << 10, Threads: 1}}

func newBenchWith(t testing.TB, memory int64, o repo.InitOptions) *bench {
	t.Helper()
	st, err := dir.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	r, err := repo.Init(t.Context(), st, o)
	if err != nil {
		t.Fatal(err)
	}
	return &bench{
		t: t, store: st, repo: r, memory: testMemory(t, memory),
		disk: ivd.NewDiskRef("lab", "datastore-1", "0f0e0d0c-0000-4000-8000-000000000001"),
	}
}

// point is a committed restore point and the disk as it was.
type point struct {
	format.Point
	disk *memoryDisk
}

func (p *point) parent() *job.Parent {
	if p == nil {
		return nil
	}
	return &job.Parent{Point: p.ID, SealedAt: p.SealedAt, Geometry: p.Geometry, Pages: p.Pages}
}

func (b *bench) lease(kind format.LeaseKind) repo.Lease {
	b.t.Helper()
	l, err := b.repo.OpenLease(b.t.Context(), repo.LeaseSpec{Kind: kind, Owner: "test"})
	if err != nil {
		b.t.Fatal(err)
	}
	return l
}

// writer is one under a lease, with what it may build on and what it remembers.
type writer struct {
	*repo.Writer
	trust *trust.Trust
	index *index.Index
}

func (b *bench) writer(l repo.Lease) writer { return b.writerWith(l, 1<<20) }

func (b *bench) writerWith(l repo.Lease, memory int64) writer {
	b.t.Helper()
	t, err := trust.Open(b.t.Context(), b.repo, l.ID, trust.Recheck)
	if err != nil {
		b.t.Fatal(err)
	}
	w, err := b.repo.NewWriter(t.Lease(), ivd.NewWriterID(), "test")
	if err != nil {
		b.t.Fatal(err)
	}
	return writer{w, t, index.New(memory, index.Sparse{})}
}

func allPages(g ivd.Geometry) []ivd.PageIndex {
	var list []ivd.PageIndex
	for i := range g.Pages() {
		list = append(list, i)
	}
	return list
}

// marked is the work of areas.
func marked(g ivd.Geometry, areas []ivd.Extent) []job.SpanWork {
	m := map[ivd.SpanIndex]*ivd.Bitmap{}
	for _, a := range areas {
		for c := ivd.ChunkIndex(a.Offset / g.ChunkSize); int64(c)*g.ChunkSize < a.End(); c++ {
			if m[c.Span()] == nil {
				m[c.Span()] = new(ivd.Bitmap)
			}
			m[c.Span()].Set(int(c - c.Span().FirstChunk()))
		}
	}
	var list []job.SpanWork
	for s := range g.Spans() {
		if m[s] != nil {
			list = append(list, job.SpanWork{Span: s, Read: *m[s]})
		}
	}
	return list
}

// job is a backup's whole disk as one job.
func (b *bench) job(l repo.Lease, g ivd.Geometry, spec job.BackupSpec) job.Job {
	spec.Pages = allPages(g)
	return job.Job{
		Version: job.Version, Kind: job.Backup, ID: "j0001", Run: "run", Lease: l.ID,
		Repository: b.repo.ID(), Disk: job.IVD(b.disk), Geometry: g, Backup: &spec,
	}
}

func (b *bench) record(j job.Job) job.Record {
	return job.Record{Version: job.Version, ID: j.ID, Run: j.Run, Disk: j.Disk.Ref.ID(), Lease: j.Lease}
}

// seal is what a worker does with a batch.
func seal(rec *job.Record, lease ivd.LeaseID, c Batch) {
	rec.Next, rec.Pages, rec.Nodes = c.Next, slices.Clone(c.Pages), slices.Clone(c.Nodes)
	rec.SealedUnder = lease
	if !c.SealedAt.IsZero() {
		rec.SealedAt, rec.Incarnation = c.SealedAt, c.Incarnation
	}
	rec.Batches++
	rec.Stats.Add(c.Stats)
	rec.Damaged = append(rec.Damaged, c.Damaged...)
	if c.Done {
		rec.State = job.Done
	}
}

// attempt does a job from its record once, as one process would.
func (b *bench) attempt(ctx context.Context, w writer, j job.Job, rec *job.Record, d Source, stop chan struct{}) error {
	return Backup{
		Job: j, From: *rec, Source: d, Repository: b.repo, Writer: w.Writer, Trust: w.trust, Index: w.index, Memory: b.memory, Meter: new(Meter), Limits: b.limits, Stop: stop,
		InFlight: b.depth, Request: b.request,
		Checkpoint: func(_ context.Context, c Batch) error { seal(rec, j.Lease, c); return nil },
	}.Run(ctx)
}

// commit makes a point of a job that is done.
func (b *bench) commit(l repo.Lease, j job.Job, rec *job.Record, d *memoryDisk) *point {
	b.t.Helper()
	if rec.State != job.Done {
		b.t.Fatalf("the job is %q", rec.State)
	}
	b.points++
	p := format.Point{
		ID:     ivd.NewPointID(b.repo.Domain(), b.disk.Source(), b.disk.ID(), time.Date(2026, 1, b.points, 0, 0, 0, 0, time.UTC), "run"),
		Source: format.PointSource{Kind: format.VCenter, ID: b.disk.Source()}, Disk: format.PointDisk{Kind: ivd.IVD, ID: b.disk.ID()},
		Tracking: format.Tracking{CBT: format.CBTOff, Mode: format.ReadAllocated}, Consistency: format.CrashConsistent,
		Geometry: j.Geometry, Run: j.Run, Pages: rec.Pages, Time: time.Now().UTC(),
	}
	if _, err := b.repo.Commit(b.t.Context(), l, p); err != nil {
		b.t.Fatal(err)
	}
	got, _, err := b.repo.ReadPoint(b.t.Context(), p.ID)
	if err != nil {
		b.t.Fatal(err)
	}
	return &point{got, d.clone()}
}

// backup is a whole backup without an incident.
func (b *bench) backup(d *memoryDisk, chunk int64, spec job.BackupSpec) (*point, ivd.Stats) {
	b.t.Helper()
	l := b.lease(repo.WriteLease)
	j := b.job(l, ivd.Geometry{Capacity: d.capacity, ChunkSize: chunk}, spec)
	rec := b.record(j)
	if err := b.attempt(b.t.Context(), b.writer(l), j, &rec, d, nil); err != nil {
		b.t.Fatal(err)
	}
	return b.commit(l, j, &rec, d), rec.Stats
}

// restoreJob is a whole point as one job; nil where there is nothing to do.
func (b *bench) restoreJob(p *point, blank bool) *job.Job {
	spec := &job.RestoreSpec{Point: p.ID, Pages: p.Pages, Blank: blank}
	if !blank {
		spec.Pages = nil
		for i := range p.Geometry.Pages() {
			ref := ivd.PageRef{Page: i}
			if n := slices.IndexFunc(p.Pages, func(r ivd.PageRef) bool { return r.Page == i }); n >= 0 {
				ref = p.Pages[n]
			}
			spec.Pages = append(spec.Pages, ref)
		}
	}
	if len(spec.Pages) == 0 {
		return nil
	}
	return &job.Job{Version: job.Version, Kind: job.Restore, ID: "j0001", Run: "run", Disk: job.IVD(b.disk), Geometry: p.Geometry, Restore: spec}
}

func (b *bench) restoreAttempt(ctx context.Context, j job.Job, rec *job.Record, d Target, stop chan struct{}) error {
	b.t.Helper()
	j.Lease = b.lease(repo.ReadLease).ID
	im, err := OpenImage(ctx, b.repo, j, Reading{Memory: b.memory, Request: b.request, Mover: "test"})
	if err != nil {
		return err
	}
	defer im.Close(ctx)
	return Restore{
		Job: j, From: *rec, Target: d, Image: im, Meter: new(Meter), Limits: b.limits, Stop: stop,
		InFlight: b.depth, Request: b.request,
		Checkpoint: func(_ context.Context, c Batch) error { seal(rec, j.Lease, c); return nil },
	}.Run(ctx)
}

// restore restores a point to a new disk and compares.
func (b *bench) restore(p *point) ivd.Stats {
	b.t.Helper()
	d := newMemoryDisk((p.Geometry.Capacity + 1<<20 - 1) &^ (1<<20 - 1))
	var rec job.Record
	if j := b.restoreJob(p, true); j != nil {
		if err := b.restoreAttempt(b.t.Context(), *j, &rec, d, nil); err != nil {
			b.t.Fatal(err)
		}
	}
	if diff := differs(p.disk, d); diff != "" || d.dirty {
		b.t.Fatalf("restore of %s: %s; unflushed: %t", p.ID, diff, d.dirty)
	}
	return rec.Stats
}
