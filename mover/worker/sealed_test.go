package worker

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"ivdmover/coordinator/custody"
	"ivdmover/coordinator/engine"
	"ivdmover/coordinator/fleet"
	"ivdmover/mover/pipeline"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/pause"
	"ivdmover/shared/queue"
	"ivdmover/shared/repo"
	"ivdmover/shared/store/dir"
)

// encrypt gives the bench an encrypted repository in the place of its own. Movers started
// from now on ask for its keys; desk answers them once it is served.
func (b *bench) encrypt() (desk *custody.Desk) {
	b.t.Helper()
	st, err := dir.Open(b.t.TempDir())
	if err == nil {
		b.repo, err = repo.Init(b.t.Context(), st, repo.InitOptions{Passphrase: "a passphrase", Argon2: format.Argon2{Time: 1, Memory: 8 << 10, Threads: 1}})
	}
	if err == nil {
		b.lease, err = b.repo.OpenLease(b.t.Context(), repo.LeaseSpec{Kind: repo.WriteLease, Owner: "test", Run: "run-1"})
	}
	if err != nil {
		b.t.Fatal(err)
	}
	root := b.repo.Root()
	b.sealed = &Sealed{ID: b.repo.ID(), Open: func(ctx context.Context, k repo.Keys) (*repo.Repository, error) {
		k.Root = root
		return repo.OpenWith(ctx, st, k)
	}}
	return &custody.Desk{Repo: b.repo, Fleet: fleet.New(b.queue, nil), Runs: &works{b: b}, Log: slog.New(slog.DiscardHandler)}
}

// works are the runs that the bench's jobs are of. With failing, the first of each of its
// questions is answered with an error that passes.
type works struct {
	b       *bench
	failing bool

	mu     sync.Mutex
	asked  map[string]int
	points map[ivd.RunID]ivd.PointID
}

func (w *works) ask(what string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.asked == nil {
		w.asked = map[string]int{}
	}
	w.asked[what]++
	if w.failing && w.asked[what] == 1 {
		return ivd.Errorf(ivd.Transient, "away for a moment")
	}
	return nil
}

func (w *works) times(what string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.asked[what]
}

// restores says what a run restores.
func (w *works) restores(j job.Job) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.points = map[ivd.RunID]ivd.PointID{j.Run: j.Restore.Point}
}

func (w *works) Entitled(context.Context, ivd.RunID, ivd.DiskRef) error { return w.ask("entitled") }

func (w *works) Claimed(ctx context.Context, q job.LoginRequest) error {
	rec, _, err := w.b.queue.JobRecord(ctx, q.Run, q.Disk.ID(), q.Job)
	if err == nil && (rec.State != job.Running || rec.Mover != q.Mover || rec.Process != q.Process) {
		err = ivd.Errorf(ivd.Transient, "not claimed")
	}
	if err != nil {
		return err
	}
	return w.ask("claimed")
}

func (w *works) Reads(ctx context.Context, q job.LoginRequest) (engine.Reading, error) {
	rec, _, err := w.b.queue.JobRecord(ctx, q.Run, q.Disk.ID(), q.Job)
	if err == nil {
		err = w.ask("reads")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return engine.Reading{Point: w.points[q.Run], Lease: rec.Lease}, err
}

// export is the repository as a coordinator has it that only backs up.
func (b *bench) export() *repo.Repository {
	b.t.Helper()
	m, err := b.repo.Master(b.t.Context(), "a passphrase")
	if err != nil {
		b.t.Fatal(err)
	}
	e, err := m.Export(b.repo.Domain(), "second", time.Now())
	if err != nil {
		b.t.Fatal(err)
	}
	ring, err := m.Ring()
	if err == nil {
		err = b.repo.Store().Put(b.t.Context(), "keys/ring", ring)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	r, err := repo.OpenWith(b.t.Context(), b.repo.Store(), repo.Keys{Export: &e})
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

// serve answers movers until the test ends.
func (b *bench) serve(d *custody.Desk) (stop func()) {
	b.t.Helper()
	stop, err := d.Serve(b.t.Context(), b.queue)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(stop)
	return stop
}

// moment is between two looks.
func (b *bench) moment() {
	b.t.Helper()
	if err := pause.For(b.t.Context(), 10*time.Millisecond); err != nil {
		b.t.Fatal(err)
	}
}

// heartbeat waits for one of a mover that is as it should be.
func (b *bench) heartbeat(name string, as func(job.Mover) bool) {
	b.t.Helper()
	for {
		m, err := b.queue.Mover(b.t.Context(), name)
		if err == nil && as(m) {
			return
		}
		if err != nil && ivd.KindOf(err) != ivd.NotFound {
			b.t.Fatal(err)
		}
		b.moment()
	}
}

// A mover of an encrypted repository waits for the keys that a coordinator grants, says
// so, and takes nothing before; asked to stop, it ends.
func TestMoverWaitsForItsGrant(t *testing.T) {
	b := newBench(t)
	desk := b.encrypt()
	b.newDisk(diskID, 8<<20, 1)
	b.publish(b.job(diskID, 8<<20))
	m := b.start("m", 1, pipeline.Limits{})
	b.heartbeat("m", func(h job.Mover) bool { return strings.Contains(h.Waits, b.repo.ID()) && len(h.Active) == 0 })
	other := b.start("other", 1, pipeline.Limits{})
	b.end(other)
	if b.files.opens != 0 {
		t.Errorf("%d disks were opened without the keys", b.files.opens)
	}
	b.serve(desk)
	b.heartbeat("m", func(h job.Mover) bool { return h.Waits == "" })
	b.end(m)
	if m.Repository == nil || m.Repository.ID() != b.repo.ID() {
		t.Error("the repository is not open")
	}
}

// What a coordinator grants of another root or repository is no way in, and the mover ends
// with the reason.
func TestGrantOfAnotherRepository(t *testing.T) {
	b := newBench(t)
	b.encrypt()
	wanted := b.sealed
	desk := b.encrypt() // another one
	b.sealed = &Sealed{ID: b.repo.ID(), Open: wanted.Open}
	m := b.start("m", 1, pipeline.Limits{})
	b.serve(desk)
	err := <-m.ended
	close(m.ended)
	if ivd.KindOf(err) != ivd.Denied || !strings.Contains(err.Error(), b.repo.ID()) {
		t.Errorf("it ended with %v", err)
	}
}

// A job for an encrypted repository is not done where repo.json says that it is plain,
// nor one of another root: nothing is written.
func TestJobOfAnotherRootIsRefused(t *testing.T) {
	b := newBench(t)
	b.newDisk(diskID, 8<<20, 1)
	log := &lines{}
	b.log = slog.NewTextHandler(log, nil)
	m := b.start("m", 1, pipeline.Limits{})
	j := b.job(diskID, 8<<20)
	j.Root = ivd.KeyID{1}
	b.publish(j)
	for log.count("the repository has root key 01000000000000000000000000000000, and for this mover the repository is plain") == 0 {
		b.moment()
	}
	b.end(m)
	writers, err := b.repo.Writers(t.Context())
	if err != nil || len(writers) != 0 || b.files.opens != 0 {
		t.Errorf("%d writers, %d disks opened, %v", len(writers), b.files.opens, err)
	}
	if log.count("find out who changed repo.json") == 0 {
		t.Error("there is no remedy")
	}
}

// A disk goes to an encrypted repository and comes back, by movers that hold no key but
// their grant: a coordinator registers their writers, and gives them the keys of the packs
// that they read, while each of its answers fails once, while it is away for a moment, and
// while a second one with an export alone answers beside it.
func TestEncryptedBackupAndRestoreThroughTheQueue(t *testing.T) {
	b := newBench(t)
	desk := b.encrypt()
	runs := &works{b: b, failing: true}
	desk.Runs = runs
	refusals := &lines{}
	second := &custody.Desk{Repo: b.export(), Fleet: fleet.New(b.connect(queue.Options{InProcess: b.server}), nil), Runs: runs, Log: slog.New(slog.NewTextHandler(refusals, nil))}
	stop := b.serve(desk)
	b.serve(second)

	m := b.start("mover-1", 2, pipeline.Limits{})
	const size = 70<<20 + 3*512
	content := b.newDisk(diskID, size, 1)
	j := b.job(diskID, size)
	b.publish(j)
	rec := b.wait(j, state(job.Done))
	if rec.Attempt != 1 || rec.Mover != "mover-1" {
		t.Errorf("record %+v", rec)
	}
	writers, err := b.repo.Writers(t.Context())
	if err != nil || len(writers) != 1 || writers[0].Unknown != nil || writers[0].Mover != "mover-1" || writers[0].Run != j.Run || writers[0].Lease != b.lease.ID {
		t.Errorf("writers %+v, %v", writers, err)
	}
	if n := runs.times("claimed"); n != 2 {
		t.Errorf("a writer was asked for %d times, want 2: the first failed", n)
	}
	r := b.restoreJob(b.commit(j, rec), id(2), 71<<20)
	runs.restores(r)
	stop() // now the other one alone answers, which opens no chunk
	b.publish(r)
	for !(refusals.count("for backups only") > 0) {
		b.moment()
	}
	b.serve(desk)
	b.wait(r, state(job.Done))
	b.same(id(2), content)
	if n := runs.times("reads"); n != 2 {
		t.Errorf("keys were asked for %d times, want 2: the first failed, and one answer is enough for this disk", n)
	}
	b.end(m)
}
