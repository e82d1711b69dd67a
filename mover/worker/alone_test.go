package worker

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"ivdmover/mover/disk"
	"ivdmover/mover/pipeline"
	"ivdmover/shared/job"
)

// eventually waits for what no event tells.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick, limit := time.NewTicker(10*time.Millisecond), time.After(30*time.Second)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatal("never: " + what)
		}
	}
}

// A job that took movers down before waits until its neighbours are done, and
// nothing is begun beside it.
func TestASuspectRunsAlone(t *testing.T) {
	b := newBench(t)
	const size = 4 << 20
	var jobs []job.Job
	for n := range 3 {
		b.newDisk(id(n), size, uint64(n))
		jobs = append(jobs, b.job(id(n), size))
	}
	neighbour, suspect, other := jobs[0], jobs[1], jobs[2]
	hold := make(chan struct{})
	letGo := sync.OnceFunc(func() { close(hold) })
	b.files.onOpen = func() { <-hold }
	m := b.start("mover-1", 3, pipeline.Limits{})
	t.Cleanup(letGo) // or the mover would never end
	b.publish(neighbour)
	b.wait(neighbour, state(job.Running))

	rec := recordOf(suspect)
	rec.Lost, rec.Attempt = aloneFrom, aloneFrom
	if err := b.queue.CreateJobRecord(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	if err := b.queue.Publish(t.Context(), suspect); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the suspect wants to be alone", func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.alone != nil
	})
	if now, _, err := b.queue.JobRecord(t.Context(), suspect.Run, suspect.Disk.Ref.ID(), suspect.ID); err != nil || now.Attempt != aloneFrom {
		t.Errorf("it began beside another: %+v, %v", now, err)
	}
	b.publish(other)
	eventually(t, "the heartbeat says so", func() bool {
		movers, _, err := b.queue.Movers(t.Context())
		return err == nil && len(movers) == 1 && movers[0].Alone && movers[0].Free == 0
	})
	letGo()
	b.wait(other, state(job.Done))
	for _, j := range []job.Job{neighbour, suspect} {
		if rec := b.wait(j, state(job.Done)); rec.Lost != 0 {
			t.Errorf("%+v", rec)
		}
	}
	b.files.mu.Lock()
	defer b.files.mu.Unlock()
	if want := []string{"of " + string(id(0)), "of " + string(id(1)), "of " + string(id(2))}; !slices.Equal(b.files.secrets, want) {
		t.Errorf("opened %v, want %v", b.files.secrets, want)
	}
}

// A process that has lost too many threads to the library hands its jobs back, and
// says that another one should go on.
func TestAProcessThatLostThreadsAsksToBeReplaced(t *testing.T) {
	b := newBench(t)
	lost := make(chan struct{})
	b.facts = func() disk.Facts {
		select {
		case <-lost:
			return disk.Facts{Lost: maxLostCalls + 1, Machine: disk.Machine{BIOSUUID: "u"}}
		default:
			return disk.Facts{Lost: maxLostCalls}
		}
	}
	const size = 200 << 20
	b.newDisk(diskID, size, 3)
	j := b.job(diskID, size)
	m := b.start("first", 1, pipeline.Limits{})
	b.files.mu.Lock()
	b.files.onOpen = func() { close(lost); <-m.replace }
	b.files.mu.Unlock()
	b.publish(j)
	if err := <-m.ended; !errors.Is(err, ErrReplace) {
		t.Fatal(err)
	}
	close(m.ended)
	rec, _, err := b.queue.JobRecord(t.Context(), j.Run, j.Disk.Ref.ID(), j.ID)
	if err != nil || rec.State != job.Queued && rec.State != job.Done || rec.Lost != 0 {
		t.Fatalf("after it: %+v, %v", rec, err)
	}
	b.files.mu.Lock()
	b.files.onOpen = nil
	b.files.mu.Unlock()
	b.facts = nil
	b.start("second", 1, pipeline.Limits{})
	b.wait(j, state(job.Done))
}
