package worker

import (
	"log/slog"
	"testing"
	"time"

	"ivdmover/mover/pipeline"
	"ivdmover/shared/budget"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/repo"
	"ivdmover/shared/repo/repotest"
	"ivdmover/shared/store/faults"
)

// A mover leaves hooks of what it has stored when it ends, and another one, of another day,
// finds what is proven by them.
func TestAnotherMoverFindsWhatIsProven(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const size = 24 << 20
	b.newDisk(id(1), size, 1)
	b.newDisk(id(2), size, 1) // the same
	b.newDisk(id(3), size, 1)
	first := b.start("proxy-1", 1, pipeline.Limits{})
	j := b.job(id(1), size)
	b.publish(j)
	b.commit(j, b.wait(j, state(job.Done)))
	b.end(first)
	lists, err := b.repo.HookLists(t.Context())
	if err != nil || len(lists) != 1 {
		t.Fatalf("%d lists of hooks: %v", len(lists), err)
	}
	second := b.start("proxy-2", 1, pipeline.Limits{})
	j = b.job(id(2), size)
	b.publish(j)
	if rec := b.wait(j, state(job.Done)); rec.Stats.DedupBytes != 0 || rec.Stats.NewBytes == 0 {
		t.Errorf("nothing is proven: %+v", rec.Stats)
	}
	b.end(second)
	var packs []ivd.PackID
	for p, err := range b.repo.Packs(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if p.Kind == format.DataPack {
			packs = append(packs, p.ID)
		}
	}
	if err := b.repo.PutVerified(t.Context(), "a test", packs); err != nil {
		t.Fatal(err)
	}
	third := b.start("proxy-3", 1, pipeline.Limits{})
	j = b.job(id(3), size)
	b.publish(j)
	rec := b.wait(j, state(job.Done))
	if s := rec.Stats; s.NewBytes != 0 || s.DedupBytes == 0 || s.UnprovenBytes != 0 || s.Asked == 0 {
		t.Errorf("all of it is stored and proven: %+v", s)
	}
	b.commit(j, rec)
	b.end(third)
}

// Hooks are stored when a lease's jobs have ended, or there are many; where that fails it is
// tried again, and those of a lease that is let go are not lost.
func TestHooksAreStoredInTime(t *testing.T) {
	t.Parallel()
	r := repotest.New(t)
	w := newWriters(Options{Repository: r.Repository, Name: "m", DedupMemory: 1 << 20, Memory: budget.NewMemory(1<<20, nil), Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	put := func(l *leased) {
		t.Helper()
		p := l.writer.NewPack(format.DataPack)
		content := []byte(time.Now().String())
		repotest.Chunk(p, r.Suite().ID(content), content)
		if _, _, _, err := l.writer.PutPack(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	stored := func(want int) {
		t.Helper()
		w.putHooks(t.Context(), false)
		if lists, err := r.HookLists(t.Context()); err != nil || len(lists) != want {
			t.Errorf("%d lists, want %d: %v", len(lists), want, err)
		}
	}
	l, release, err := w.get(t.Context(), r.Lease(repo.WriteLease).ID, job.Claim{Run: "run-1"})
	if err != nil {
		t.Fatal(err)
	}
	put(l)
	stored(0) // the job goes on
	for range hooksMany {
		put(l)
	}
	stored(2)
	l.later = time.Time{}
	put(l)
	release()
	stored(2)
	l.idle = l.idle.Add(-hooksIdle)
	r.Store.Add(faults.Fault{On: faults.Put, Prefix: "hooks/", Before: faults.ErrInjected})
	stored(2) // it fails
	stored(2) // and is not tried at once
	l.later = time.Time{}
	stored(3)
	put(l)
	if _, _, err := w.get(t.Context(), r.Lease(repo.WriteLease).ID, job.Claim{Run: "run-2"}); err != nil { // the first lease is let go
		t.Fatal(err)
	}
	stored(4)
}

// A store that fails whatever is asked for others' packs keeps no job from beginning.
func TestLearningFails(t *testing.T) {
	t.Parallel()
	for _, folder := range []string{"hooks/", "verified/"} {
		r := repotest.New(t)
		log := &lines{}
		w := newWriters(Options{Repository: r.Repository, Name: "m", DedupMemory: 1 << 20, Memory: budget.NewMemory(1<<20, nil), Log: slog.New(slog.NewTextHandler(log, nil))})
		r.Store.Add(faults.Fault{On: faults.List, Prefix: folder, Times: faults.Always, Before: faults.ErrInjected})
		for range 3 {
			_, release, err := w.get(t.Context(), r.Lease(repo.WriteLease).ID, job.Claim{Run: "run-1"})
			if err != nil {
				t.Fatal(err)
			}
			release()
		}
		if n := log.count("backups go on"); n != 1 {
			t.Errorf("it is said %d times", n)
		}
	}
}

// What a process remembers of a run counts under the run's next lease, but for what is on
// that lease's lists; another run, another incarnation and another week remember nothing.
func TestWhatIsRememberedOfARun(t *testing.T) {
	t.Parallel()
	r := repotest.New(t)
	w := newWriters(Options{Repository: r.Repository, Name: "m", DedupMemory: 1 << 20, Memory: budget.NewMemory(1<<20, nil), Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	get := func(run ivd.RunID) (*leased, func()) {
		t.Helper()
		l, release, err := w.get(t.Context(), r.Lease(repo.WriteLease).ID, job.Claim{Run: run})
		if err != nil {
			t.Fatal(err)
		}
		return l, release
	}
	first, release := get("run-1")
	pack := ivd.PackID{7}
	first.index.Add(ivd.ContentID{1}, ivd.Place{PackRef: ivd.PackRef{Pack: pack}, Length: 1})
	release()
	r.Condemn([]ivd.PackID{pack})
	second, releaseSecond := get("run-1")
	if _, ok := second.index.Find(ivd.ContentID{1}); !ok || second.writer.ID() == first.writer.ID() || !second.trust.Barred(pack) || first.trust.Barred(pack) {
		t.Error("what the run has stored is forgotten, or is taken from a list")
	}
	other, releaseOther := get("run-2")
	if other.remembered == second.remembered || other.bytes+second.bytes > 1<<19 {
		t.Errorf("another run remembers the same, or too much: %d and %d bytes", other.bytes, second.bytes)
	}
	releaseSecond()
	releaseOther()
	r.Pass(5 * 24 * time.Hour)
	late, _ := get("run-1")
	if late.remembered == second.remembered {
		t.Error("it is remembered for too long")
	}
	late.incarnation = "before the bucket was restored"
	if again, _ := get("run-1"); again.remembered == late.remembered || again.incarnation != r.Incarnation() {
		t.Error("what was known of another incarnation is remembered")
	}
}
