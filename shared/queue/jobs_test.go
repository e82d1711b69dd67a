package queue_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/queue"
)

// shortWait is an AckWait that a test can wait for.
const shortWait = 600 * time.Millisecond

func fetchOne(ctx context.Context, t *testing.T, p *queue.Puller) *queue.Delivery {
	t.Helper()
	got, err := p.Fetch(ctx, 1)
	must(t, err)
	if len(got) != 1 {
		t.Fatalf("fetched %d deliveries, want 1", len(got))
	}
	return got[0]
}

// wantNone fails when a job comes within d.
func wantNone(t *testing.T, p *queue.Puller, d time.Duration) {
	t.Helper()
	got, err := p.Fetch(within(t, d), 1)
	if len(got) != 0 {
		t.Fatalf("job %s was delivered", got[0].Job.ID)
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("error %v, want the context's", err)
	}
}

func TestJobIsTakenOnceAndAcknowledged(t *testing.T) {
	h := newHouse(t)
	q := h.connect(queue.Options{AckWait: shortWait})
	ctx := within(t, 20*time.Second)
	must(t, q.Publish(ctx, testJob("0001")))
	restore := testJob("0002")
	restore.Kind = job.Restore
	must(t, q.Publish(ctx, restore))
	d := fetchOne(ctx, t, q.Jobs(job.Backup))
	if d.Job.ID != "0001" || d.Job.Disk != testJob("0001").Disk {
		t.Fatalf("fetched %+v", d.Job)
	}
	must(t, d.Ack(ctx))
	wantKind(t, d.Ack(ctx), ivd.Conflict)
	wantNone(t, h.connect(queue.Options{}).Jobs(job.Backup), 2*shortWait)
	if d := fetchOne(ctx, t, q.Jobs(job.Restore)); d.Job.ID != "0002" {
		t.Fatalf("fetched %s, want the restore", d.Job.ID)
	}
}

func TestFetchTakesNoMoreThanFree(t *testing.T) {
	h := newHouse(t)
	q := h.connect(queue.Options{})
	ctx := within(t, 20*time.Second)
	for i := range 5 {
		must(t, q.Publish(ctx, testJob(ivd.JobID(fmt.Sprintf("%04d", i)))))
	}
	one, err := q.Jobs(job.Backup).Fetch(ctx, 3)
	must(t, err)
	two, err := h.connect(queue.Options{}).Jobs(job.Backup).Fetch(ctx, 3)
	must(t, err)
	if len(one) != 3 || len(two) != 2 {
		t.Fatalf("fetched %d and %d of 5 jobs, want 3 and 2", len(one), len(two))
	}
	_, err = q.Jobs(job.Backup).Fetch(ctx, 0)
	wantKind(t, err, ivd.Invalid)
}

func TestFetchWaitsForAJob(t *testing.T) {
	q := newHouse(t).connect(queue.Options{})
	ctx := within(t, 20*time.Second)
	got := make(chan error, 1)
	go func() {
		d, err := q.Jobs(job.Backup).Fetch(ctx, 4)
		if err == nil && (len(d) != 1 || d[0].Job.ID != "0001") {
			err = fmt.Errorf("fetched %v", d)
		}
		got <- err
	}()
	select {
	case err := <-got:
		t.Fatalf("it did not wait: %v", err)
	case <-time.After(1500 * time.Millisecond): // longer than a request without waiting lasts
	}
	must(t, q.Publish(ctx, testJob("0001")))
	must(t, <-got)
}

func TestFetchSurvivesARestart(t *testing.T) {
	h := newHouse(t)
	q := h.connect(queue.Options{})
	ctx := within(t, 30*time.Second)
	got := make(chan error, 1)
	go func() {
		_, err := q.Jobs(job.Backup).Fetch(ctx, 4)
		got <- err
	}()
	h.stop()
	h.start()
	must(t, q.Publish(ctx, testJob("0001")))
	must(t, <-got)
	if ctx.Err() != nil {
		t.Fatal("it came too late")
	}
}

func TestCancelledFetchKeepsNothing(t *testing.T) {
	h := newHouse(t)
	q, other := h.connect(queue.Options{}), h.connect(queue.Options{})
	ctx := within(t, 15*time.Second) // AckWait is longer
	fetching, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		_, err := q.Jobs(job.Backup).Fetch(fetching, 1)
		ended <- err
	}()
	cancel()
	wantKind(t, <-ended, ivd.Cancelled)
	must(t, q.Publish(ctx, testJob("0001")))
	must(t, fetchOne(ctx, t, other.Jobs(job.Backup)).Ack(ctx))
}

func TestRedeliveryAfterSilence(t *testing.T) {
	h := newHouse(t)
	one, two := h.connect(queue.Options{AckWait: shortWait}), h.connect(queue.Options{AckWait: shortWait})
	ctx := within(t, 20*time.Second)
	must(t, one.Publish(ctx, testJob("0001")))
	first := fetchOne(ctx, t, one.Jobs(job.Backup))
	started := time.Now()
	second := fetchOne(ctx, t, two.Jobs(job.Backup))
	if waited := time.Since(started); waited < shortWait/2 {
		t.Fatalf("delivered to a second mover after %s", waited)
	}
	must(t, second.Ack(ctx))
	must(t, first.Ack(ctx)) // a late zombie: it says what is true already
	wantNone(t, one.Jobs(job.Backup), 2*shortWait)
}

func TestHeartKeepsADeliveryWhileItIsTouched(t *testing.T) {
	h := newHouse(t)
	one, two := h.connect(queue.Options{AckWait: shortWait}), h.connect(queue.Options{AckWait: shortWait})
	ctx := within(t, 20*time.Second)
	must(t, one.Publish(ctx, testJob("0001")))
	d := fetchOne(ctx, t, one.Jobs(job.Backup))
	heart := d.Heart(ctx)
	defer heart.Stop()

	working, hang := context.WithCancel(ctx)
	var worker sync.WaitGroup
	worker.Go(func() {
		calls := time.NewTicker(20 * time.Millisecond)
		defer calls.Stop()
		for working.Err() == nil {
			<-calls.C
			heart.Touch()
		}
	})
	wantNone(t, two.Jobs(job.Backup), 4*shortWait)
	hang()
	worker.Wait()
	must(t, fetchOne(ctx, t, two.Jobs(job.Backup)).Ack(ctx)) // who hangs loses it
	heart.Stop()
	heart.Stop()
}

func TestInProgressGivesTime(t *testing.T) {
	h := newHouse(t)
	const wait = 6 * shortWait // much longer than a busy machine takes between two calls
	one, two := h.connect(queue.Options{AckWait: wait}), h.connect(queue.Options{AckWait: wait})
	ctx := within(t, 30*time.Second)
	must(t, one.Publish(ctx, testJob("0001")))
	d := fetchOne(ctx, t, one.Jobs(job.Backup))
	for range 5 {
		wantNone(t, two.Jobs(job.Backup), wait/4)
		must(t, d.InProgress(ctx))
	}
	must(t, d.Ack(ctx))
}

func TestReturnAndDrop(t *testing.T) {
	q := newHouse(t).connect(queue.Options{})
	ctx := within(t, 15*time.Second) // AckWait is longer
	p := q.Jobs(job.Backup)
	must(t, q.Publish(ctx, testJob("0001")))
	must(t, fetchOne(ctx, t, p).Return(ctx, 0))
	must(t, fetchOne(ctx, t, p).Return(ctx, 700*time.Millisecond))
	started := time.Now()
	d := fetchOne(ctx, t, p)
	if waited := time.Since(started); waited < 500*time.Millisecond {
		t.Fatalf("delivered again after %s", waited)
	}
	must(t, d.Drop(ctx))
	wantNone(t, p, shortWait)
	ended, cancel := context.WithCancel(ctx)
	cancel()
	for _, err := range []error{d.Return(ended, 0), d.Drop(ended), d.InProgress(ended), q.Publish(ended, testJob("0002"))} {
		wantKind(t, err, ivd.Cancelled)
	}
}

func TestPublishFollowsTheRecord(t *testing.T) {
	q := newHouse(t).connect(queue.Options{})
	ctx := within(t, 15*time.Second)
	p := q.Jobs(job.Backup)
	j := testJob("0001")
	must(t, q.CreateJobRecord(ctx, testRecord("0001")))
	set := func(state job.State, attempt int) {
		t.Helper()
		rec, rev, err := q.JobRecord(ctx, testRun, testDisk, "0001")
		must(t, err)
		rec.State, rec.Attempt = state, attempt
		_, err = q.UpdateJobRecord(ctx, rec, rev)
		must(t, err)
	}
	for range 3 { // a coordinator that comes back does not know that it did
		must(t, q.Publish(ctx, j))
	}
	d := fetchOne(ctx, t, p)
	set(job.Running, 1)
	must(t, q.Publish(ctx, j))
	wantNone(t, p, shortWait)
	set(job.Failed, 1)
	set(job.Queued, 1) // by the coordinator, before the mover has acknowledged
	must(t, q.Publish(ctx, j))
	must(t, d.Ack(ctx))
	d = fetchOne(ctx, t, p)
	must(t, d.Drop(ctx)) // without an attempt
	must(t, q.Publish(ctx, j))
	must(t, q.Publish(ctx, j))
	must(t, fetchOne(ctx, t, p).Ack(ctx))
	set(job.Done, 2)
	must(t, q.Publish(ctx, j))
	wantNone(t, p, shortWait)
}

func TestPublishRefusesWhatIsNoJob(t *testing.T) {
	q := newHouse(t).connect(queue.Options{})
	for what, spoil := range map[string]func(*job.Job){
		"no version":          func(j *job.Job) { j.Version = 0 },
		"newer version":       func(j *job.Job) { j.Version = job.Version + 1 },
		"no kind":             func(j *job.Job) { j.Kind = "" },
		"run with a dot":      func(j *job.Job) { j.Run = "a.b" },
		"job with a wildcard": func(j *job.Job) { j.ID = "*" },
		"no disk":             func(j *job.Job) { j.Disk = job.IVD(ivd.NewDiskRef(j.Disk.Ref.Source(), j.Disk.Ref.Datastore(), "")) },
		"too big":             func(j *job.Job) { j.Name = strings.Repeat("x", 1<<20) },
	} {
		j := testJob("0001")
		spoil(&j)
		if err := q.Publish(t.Context(), j); ivd.KindOf(err) != ivd.Invalid && ivd.KindOf(err) != ivd.Unsupported {
			t.Errorf("%s: error %v", what, err)
		}
	}
}

func TestDeletedRunsLeaveNothing(t *testing.T) {
	q := newHouse(t).connect(queue.Options{})
	ctx := within(t, 15*time.Second)
	const otherDisk = testDisk + ".2000" // a VM's own disk, of a VM with the UUID of a disk
	publish := func(run ivd.RunID, disk ivd.DiskID) {
		t.Helper()
		j, rec := testJob("0001"), testRecord("0001")
		j.Run, rec.Run, rec.Disk = run, run, disk
		j.Disk = job.IVD(ivd.NewDiskRef(j.Disk.Ref.Source(), j.Disk.Ref.Datastore(), disk))
		must(t, q.CreateJobRecord(ctx, rec))
		must(t, q.Publish(ctx, j))
	}
	publish("run-1", testDisk)
	publish("run-1", otherDisk)
	publish("run-12", testDisk)
	must(t, q.DeleteJobRecords(ctx, "run-1", testDisk))
	recs, err := q.JobRecords(ctx, "run-1")
	must(t, err)
	if len(recs) != 1 || recs[0].Disk != otherDisk {
		t.Fatalf("records %v", recs)
	}
	must(t, q.DeleteRun(ctx, "run-1"))
	d := fetchOne(ctx, t, q.Jobs(job.Backup))
	if d.Job.Run != "run-12" {
		t.Fatalf("a job of %s is still there", d.Job.Run)
	}
	wantNone(t, q.Jobs(job.Backup), shortWait)
	wantKind(t, q.DeleteRun(ctx, "*"), ivd.Invalid)
}

// lines collects what is logged.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func TestMessagesThatAreNoJobsDoNoHarm(t *testing.T) {
	h := newHouse(t)
	var logged lines
	q := h.connect(queue.Options{Log: slog.New(slog.NewTextHandler(&logged, nil))})
	ctx := within(t, 15*time.Second)
	raw, err := nats.Connect("", nats.InProcessServer(h), nats.Token(h.Token()))
	must(t, err)
	t.Cleanup(raw.Close)
	for i, body := range []string{"", "null", "[]", `{"version":1}`, `{"version":"x"}`, `{"version":1,"kind":7}`, "\xff", `{"version":99,"kind":{}}`} {
		must(t, raw.Publish(fmt.Sprintf("ivd.job.backup.any.r.d.%d", i), []byte(body)))
	}
	must(t, raw.Flush())
	must(t, q.Publish(ctx, testJob("0001")))
	got, err := q.Jobs(job.Backup).Fetch(ctx, 100)
	must(t, err)
	if len(got) != 1 || got[0].Job.ID != "0001" {
		t.Fatalf("fetched %v, want the one that is a job", got)
	}
	text := logged.String()
	if n := strings.Count(text, "is no job: taken off"); n != 7 {
		t.Errorf("%d messages were taken off, want 7:\n%s", n, text)
	}
	if !strings.Contains(text, "handed back") || !strings.Contains(text, "version 99") || !strings.Contains(text, "upgrade") {
		t.Errorf("the newer job is not named:\n%s", text)
	}
}
