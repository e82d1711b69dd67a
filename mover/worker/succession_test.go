package worker

import (
	"crypto/ed25519"
	"errors"
	"os"
	"sync"
	"testing"

	"ivdmover/mover/pipeline"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/repo"
)

// succeed gives a job's record another lease, as a coordinator does.
func (b *bench) succeed(j job.Job, kind format.LeaseKind) repo.Lease {
	b.t.Helper()
	l, err := b.repo.OpenLease(b.t.Context(), repo.LeaseSpec{Kind: kind, Owner: "test"})
	if err != nil {
		b.t.Fatal(err)
	}
	for {
		rec, rev, err := b.queue.JobRecord(b.t.Context(), j.Run, j.Disk.Ref.ID(), j.ID)
		if err != nil {
			b.t.Fatal(err)
		}
		rec.Lease = l.ID
		if _, err = b.queue.UpdateJobRecord(b.t.Context(), rec, rev); err == nil {
			return l
		}
		if ivd.KindOf(err) != ivd.Conflict {
			b.t.Fatal(err)
		}
	}
}

// A job whose run gets another lease goes on under it from its last batch: the mover
// that has it seals, hands it back, and takes it again. What was sealed is neither
// read nor written twice.
func TestJobGoesOnUnderAnotherLease(t *testing.T) {
	b := newBench(t)
	const size, times = 80 << 20, 3 // five spans
	content := b.newDisk(diskID, size, 1)
	for off := 0; off < size; off += 16 << 20 { // each span has something
		content[off] = 1
	}
	if err := os.WriteFile(b.files.paths[diskID], content, 0o600); err != nil {
		t.Fatal(err)
	}
	b.start("mover-1", 1, pipeline.Limits{Time: 1})

	// The lease is another one whenever the mover has just opened the disk.
	var mu sync.Mutex
	var leases []repo.Lease
	var j job.Job
	kind := repo.WriteLease
	b.files.mu.Lock()
	b.files.onOpen = func() {
		mu.Lock()
		defer mu.Unlock()
		if len(leases) < times {
			leases = append(leases, b.succeed(j, kind))
		}
	}
	b.files.mu.Unlock()
	run := func(what job.Job, k format.LeaseKind) job.Record {
		mu.Lock()
		j, kind, leases = what, k, nil
		mu.Unlock()
		b.publish(what)
		rec := b.wait(what, state(job.Done))
		mu.Lock()
		defer mu.Unlock()
		if n := rec.Attempt - 1; n != times || rec.Batches <= n || rec.Lost != 0 || rec.SealedUnder != leases[n-1].ID {
			t.Errorf("%s: %d attempts, %d batches, the last one under %s of %v", what.Kind, rec.Attempt, rec.Batches, rec.SealedUnder, leases)
		}
		b.lease = leases[len(leases)-1]
		return rec
	}
	backup := b.job(diskID, size)
	rec := run(backup, repo.WriteLease)
	undisturbed := b.job(diskID, size)
	undisturbed.Run = "run-0"
	b.publish(undisturbed)
	want := b.wait(undisturbed, state(job.Done)).Stats
	if rec.Stats.DiskBytes != want.DiskBytes || rec.Stats.ReadBytes != want.ReadBytes {
		t.Errorf("undisturbed %+v, under several leases %+v", want, rec.Stats)
	}
	restore := b.restoreJob(b.commit(backup, rec), id(2), size)
	if rec = run(restore, repo.ReadLease); rec.Stats.WrittenBytes > size {
		t.Errorf("%d bytes were written of %d", rec.Stats.WrittenBytes, int64(size))
	}
	b.same(id(2), content)
}

// What else somebody changes in a record takes the job from the mover that has it.
func TestAnotherLeaseHidesNothing(t *testing.T) {
	b := newBench(t)
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func(*job.Record){
		"stopped":      func(r *job.Record) { r.State = job.Failed },
		"taken":        func(r *job.Record) { r.Attempt++; r.Process = "another" },
		"sealed":       func(r *job.Record) { r.Batches++ },
		"its own word": func(*job.Record) {},
	} {
		j := b.job(diskID, 1<<20)
		j.ID = ivd.JobID(what[:2])
		if err := b.queue.CreateJobRecord(t.Context(), recordOf(j)); err != nil {
			t.Fatal(err)
		}
		r, err := claim(t.Context(), b.queue, &j, signer{"m", "p", key}, func(job.Record) (bool, error) { return false, nil })
		if err != nil {
			t.Fatal(err)
		}
		other := r.rec
		change(&other)
		if what != "its own word" {
			other.Lease = ivd.NewLeaseID()
		}
		if _, err := b.queue.UpdateJobRecord(t.Context(), other, r.rev); err != nil {
			t.Fatal(err)
		}
		if err := r.seal(t.Context(), j.Lease, pipeline.Batch{Next: 1}); !errors.Is(err, errLost) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
