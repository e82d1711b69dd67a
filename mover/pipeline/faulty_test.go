package pipeline

import (
	"math/rand/v2"
	"testing"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/repo"
	"ivdmover/shared/store/dir"
	"ivdmover/shared/store/faults"
)

// Whichever request of the store fails, the attempt fails with that error, never
// looks done, and the next one brings it to its end.
func TestEveryRequestMayFail(t *testing.T) {
	st, err := dir.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	faulty := faults.New(t, st)
	r, err := repo.Init(t.Context(), faulty, repo.InitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(t, 64<<20)
	b.store, b.repo = faulty, r
	b.limits = Limits{Bytes: 1 << 20}
	rnd := rand.New(rand.NewPCG(15, 16))
	d := newMemoryDisk(5*spanBytes + 3*sector)
	d.fill(rnd, 40)
	parent, _ := b.backup(d, cs, job.BackupSpec{Unread: job.UnreadZero, Allocated: true})
	g := ivd.Geometry{Capacity: d.capacity, ChunkSize: cs}
	spec := job.BackupSpec{Unread: job.UnreadParent, Parent: parent.parent(), Spans: marked(g, d.fill(rnd, 20))}
	down := ivd.Errorf(ivd.Transient, "the store is away")

	attempt := func(l repo.Lease, rec *job.Record) error {
		return b.attempt(t.Context(), b.writer(l), b.job(l, g, spec), rec, d, nil)
	}
	for _, m := range []faults.Method{faults.Put, faults.ReadAt} {
		for call := 1; ; call++ {
			l := b.lease(repo.WriteLease)
			j := b.job(l, g, spec)
			w := b.writer(l)
			before := faulty.Calls(m)
			rec := b.record(j)
			if err := b.attempt(t.Context(), w, j, &rec, d, nil); err != nil {
				t.Fatal(err)
			}
			if calls := faulty.Calls(m) - before; call > calls {
				if call < 5 {
					t.Fatalf("only %d calls of %s", calls, m)
				}
				break
			}
			l = b.lease(repo.WriteLease)
			rec = b.record(b.job(l, g, spec))
			faulty.Add(faults.Fault{On: m, Call: call, Before: down})
			if err := attempt(l, &rec); ivd.KindOf(err) != ivd.Transient || rec.State == job.Done {
				t.Fatalf("%s %d failed: %v, the job is %q", m, call, err, rec.State)
			}
			if err := attempt(l, &rec); err != nil {
				t.Fatal(err)
			}
			p := b.commit(l, b.job(l, g, spec), &rec, d)
			if call%5 == 0 {
				b.restore(p)
			}
		}
	}

	p, _ := b.backup(d, cs, spec)
	before := faulty.Calls(faults.ReadAt)
	b.restore(p)
	for call := range faulty.Calls(faults.ReadAt) - before {
		faulty.Add(faults.Fault{On: faults.ReadAt, Call: call + 1, Before: down})
		target, rec := newMemoryDisk(d.capacity), job.Record{}
		if err := b.restoreAttempt(t.Context(), *b.restoreJob(p, true), &rec, target, nil); ivd.KindOf(err) != ivd.Transient || rec.State == job.Done {
			t.Fatalf("read %d failed: %v, the job is %q", call+1, err, rec.State)
		}
		if err := b.restoreAttempt(t.Context(), *b.restoreJob(p, true), &rec, target, nil); err != nil || rec.State != job.Done || differs(d, target) != "" {
			t.Fatalf("after read %d failed: %v, %q, %s", call+1, err, rec.State, differs(d, target))
		}
	}
}
