package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"ivdmover/coordinator/broker"
	"ivdmover/mover/disk"
	"ivdmover/mover/disk/disktest"
	"ivdmover/mover/pipeline"
	"ivdmover/shared/budget"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/queue"
	"ivdmover/shared/repo"
	"ivdmover/shared/store/dir"
	"ivdmover/vddk"
)

var (
	lib  *vddk.Library
	host *disk.Host
)

func TestMain(m *testing.M) {
	disktest.Main(m, func(l *vddk.Library) (err error) {
		lib = l
		host, err = disk.NewHost(l, disk.Options{Transports: []string{"file"}})
		return err
	})
}

const (
	cs     = ivd.MinChunkSize
	diskID = "0f0e0d0c-0000-4000-8000-000000000001"
)

// files are disks that lie in local files, opened by the real library.
type files struct {
	mu      sync.Mutex
	paths   map[ivd.DiskID]string
	opens   int
	refuse  error    // what Open answers, if anything
	onOpen  func()   // called at each
	access  []job.Op // what was asked for
	secrets []string // that logins brought
}

func (f *files) Open(_ context.Context, s disk.Spec) (*disk.Disk, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.opens++
	f.secrets = append(f.secrets, s.Login.Password.Reveal())
	if f.onOpen != nil {
		f.onOpen()
	}
	if f.refuse != nil {
		return nil, f.refuse
	}
	path, ok := f.paths[s.Disk.Ref.ID()]
	if !ok {
		return nil, ivd.Errorf(ivd.NotFound, "no disk %s", s.Disk.Ref.ID())
	}
	return host.OpenFile(path, s.Write)
}

func (f *files) PrepareAccess(context.Context, job.Disk, job.Login, string) error {
	return f.note(job.PrepareAccess)
}

func (f *files) EndAccess(context.Context, job.Disk, job.Login, string) error {
	return f.note(job.EndAccess)
}

func (f *files) note(op job.Op) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.access = append(f.access, op)
	if op == job.PrepareAccess {
		return ivd.Errorf(ivd.Denied, "no right to disable methods")
	}
	return nil
}

// bench is a queue, a repository, and the parts of a coordinator that a mover
// talks to.
type bench struct {
	server  *broker.Server
	t       *testing.T
	queue   *queue.Queue
	repo    *repo.Repository
	sealed  *Sealed // movers started from now on have it in the place of repo; nil: repo
	files   *files
	lease   repo.Lease
	facts   func() disk.Facts // of movers started from now on
	relieve func()            // of movers started from now on
	cannot  string            // why movers started from now on take no restores
	disks   Disks             // likewise; nil: files
	log     slog.Handler      // likewise; nil: the test's output
	// devices are likewise; nil: none.
	devices Devices

	mu     sync.Mutex
	login  func(job.LoginRequest) job.Login
	refuse map[ivd.DiskID]error // instead of a login; set before a mover is started
}

// logins has logins answered so from now on.
func (b *bench) logins(login func(job.LoginRequest) job.Login) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.login = login
}

func newBench(t *testing.T) *bench {
	t.Helper()
	ctx := t.Context()
	s, err := broker.Start(ctx, broker.Options{Dir: t.TempDir(), Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	b := &bench{t: t, files: &files{paths: map[ivd.DiskID]string{}}}
	b.logins(func(req job.LoginRequest) job.Login {
		return job.Login{Server: "lab", User: "u", Password: ivd.Secret("of " + string(req.Disk.ID()))}
	})
	b.server = s
	b.queue = b.connect(queue.Options{InProcess: s, Name: "test"})
	if err := b.queue.Setup(ctx); err != nil {
		t.Fatal(err)
	}
	stop, err := b.queue.ServeLogins(ctx, func(_ context.Context, req job.LoginRequest, _ job.Mover) (job.Login, error) {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.login(req), b.refuse[req.Disk.ID()]
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	st, err := dir.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if b.repo, err = repo.Init(ctx, st, repo.InitOptions{}); err != nil {
		t.Fatal(err)
	}
	if b.lease, err = b.repo.OpenLease(ctx, repo.LeaseSpec{Kind: repo.WriteLease, Owner: "test"}); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) connect(o queue.Options) *queue.Queue {
	b.t.Helper()
	o.AckWait = 2 * time.Second
	q, err := queue.Connect(b.t.Context(), o)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(q.Close)
	return q
}

// mover is a worker that runs.
type mover struct {
	*Worker
	stop   chan struct{}
	kill   context.CancelFunc
	ended  chan error
	memory *budget.Memory
}

func (b *bench) start(name string, handles int, limits pipeline.Limits) *mover {
	b.t.Helper()
	return b.startWith(name, handles, limits, 128<<20)
}

func (b *bench) startWith(name string, handles int, limits pipeline.Limits, memory int64) *mover {
	b.t.Helper()
	m := &mover{
		stop: make(chan struct{}), ended: make(chan error, 1),
		memory: budget.NewMemory(memory, func(n int) budget.Buffer { return vddk.Alloc(n) }),
	}
	disks, log := b.disks, b.log
	if disks == nil {
		disks = b.files
	}
	if log == nil {
		log = slog.NewTextHandler(b.t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})
	}
	repository := b.repo
	if b.sealed != nil {
		repository = nil
	}
	creds, err := b.server.MoverCreds(name)
	if err != nil {
		b.t.Fatal(err)
	}
	m.Worker, err = New(Options{
		Name: name, Handles: handles, DedupMemory: 1 << 20, Modes: host.Modes(), VDDK: host.Version(), NoRestore: b.cannot,
		Queue: b.connect(queue.Options{URL: b.server.ClientURL(), CredsFile: creds, Mover: name, Log: slog.New(log)}), Repository: repository, Sealed: b.sealed, Disks: disks, Devices: b.devices, Memory: m.memory, Limits: limits, Facts: b.facts, Yield: b.relieve,
		Log: slog.New(log),
	})
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, kill := context.WithCancel(b.t.Context())
	m.kill = kill
	go func() { m.ended <- m.Run(ctx, m.stop) }()
	b.t.Cleanup(func() {
		kill()
		if err, ok := <-m.ended; ok && err != nil && !errors.Is(err, context.Canceled) {
			b.t.Errorf("mover %s ended with %v", name, err)
		}
		if m.memory.Used() != 0 {
			b.t.Errorf("mover %s holds %d bytes at its end", name, m.memory.Used())
		}
	})
	return m
}

// end asks a mover to stop and waits for it.
func (b *bench) end(m *mover) {
	b.t.Helper()
	close(m.stop)
	if err := <-m.ended; err != nil {
		b.t.Errorf("mover %s: %v", m.Name, err)
	}
	close(m.ended)
}

// newDisk makes a disk with content and returns its content.
func (b *bench) newDisk(id ivd.DiskID, size int64, seed uint64) []byte {
	b.t.Helper()
	content := make([]byte, size)
	rnd := rand.New(rand.NewPCG(seed, 1))
	for range 12 {
		off := rnd.Int64N(size)
		n := min(size-off, int64(rnd.IntN(2<<20)))
		for i := off; i < off+n; i++ {
			content[i] = byte(rnd.Uint32())
		}
	}
	path := filepath.Join(b.t.TempDir(), string(id)+".raw")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		b.t.Fatal(err)
	}
	b.files.mu.Lock()
	b.files.paths[id] = path
	b.files.mu.Unlock()
	return content
}

func (b *bench) job(id ivd.DiskID, size int64) job.Job {
	g := ivd.Geometry{Capacity: size, ChunkSize: cs}
	j := job.Job{
		Version: job.Version, Kind: job.Backup, Class: job.AnyClass, ID: "j0001", Run: "run-1",
		Lease: b.lease.ID, Repository: b.repo.ID(), Root: b.repo.Root(),
		Disk: job.IVD(ivd.NewDiskRef("lab", "datastore-1", id)), Name: "disk", Geometry: g,
		Backup: &job.BackupSpec{Snapshot: "s1", Unread: job.UnreadZero, Allocated: true},
	}
	for p := range g.Pages() {
		j.Backup.Pages = append(j.Backup.Pages, p)
	}
	return j
}

func recordOf(j job.Job) job.Record {
	return job.Record{Version: job.Version, ID: j.ID, Run: j.Run, Disk: j.Disk.Ref.ID(), Lease: j.Lease, State: job.Queued}
}

func (b *bench) publish(j job.Job) {
	b.t.Helper()
	if err := b.queue.CreateJobRecord(b.t.Context(), recordOf(j)); err != nil {
		b.t.Fatal(err)
	}
	if err := b.queue.Publish(b.t.Context(), j); err != nil {
		b.t.Fatal(err)
	}
}

// wait waits until a record is as is says.
func (b *bench) wait(j job.Job, is func(job.Record) bool) job.Record {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 60*time.Second)
	defer cancel()
	last := job.Record{}
	for rec, err := range b.queue.WatchJobs(ctx, j.Run) {
		if err != nil {
			b.t.Fatal(err)
		}
		if rec.Disk == j.Disk.Ref.ID() && rec.ID == j.ID {
			last = rec
			if is(rec) {
				return rec
			}
		}
	}
	b.t.Fatalf("the record stayed at %+v", last)
	return last
}

func state(s job.State) func(job.Record) bool {
	return func(r job.Record) bool { return r.State == s }
}

// commit makes a point of a done job.
func (b *bench) commit(j job.Job, rec job.Record) format.Point {
	b.t.Helper()
	p := format.Point{
		ID:     ivd.NewPointID(b.repo.Domain(), j.Disk.Ref.Source(), j.Disk.Ref.ID(), time.Now(), j.Run),
		Source: format.PointSource{Kind: format.VCenter, ID: j.Disk.Ref.Source()}, Disk: format.PointDisk{Kind: ivd.IVD, ID: j.Disk.Ref.ID()},
		Tracking: format.Tracking{CBT: format.CBTOff, Mode: format.ReadAllocated}, Consistency: format.CrashConsistent,
		Geometry: j.Geometry, Run: j.Run, Pages: rec.Pages, Time: time.Now().UTC(),
	}
	if _, err := b.repo.Commit(b.t.Context(), b.lease, p); err != nil {
		b.t.Fatal(err)
	}
	return p
}

// restoreJob makes a blank disk and the job that fills it with a point.
func (b *bench) restoreJob(p format.Point, to ivd.DiskID, size int64) job.Job {
	b.t.Helper()
	path := filepath.Join(b.t.TempDir(), string(to)+".raw")
	f, err := os.Create(path)
	if err != nil {
		b.t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(size); err != nil {
		b.t.Fatal(err)
	}
	b.files.mu.Lock()
	b.files.paths[to] = path
	b.files.mu.Unlock()
	lease, err := b.repo.OpenLease(b.t.Context(), repo.LeaseSpec{Kind: repo.ReadLease, Owner: "test"})
	if err != nil {
		b.t.Fatal(err)
	}
	return job.Job{
		Version: job.Version, Kind: job.Restore, Class: job.AnyClass, ID: "j0001", Run: "run-2",
		Lease: lease.ID, Repository: b.repo.ID(), Root: b.repo.Root(),
		Disk: job.IVD(ivd.NewDiskRef("lab", "datastore-1", to)), Geometry: p.Geometry,
		Restore: &job.RestoreSpec{Point: p.ID, Pages: p.Pages, Blank: true},
	}
}

// same compares a disk with content; what lies beyond must be zeros.
func (b *bench) same(id ivd.DiskID, content []byte) {
	b.t.Helper()
	got, err := os.ReadFile(b.files.paths[id])
	if err != nil {
		b.t.Fatal(err)
	}
	if len(got) < len(content) || !bytes.Equal(got[:len(content)], content) || len(bytes.Trim(got[len(content):], "\x00")) > 0 {
		b.t.Fatalf("disk %s is not what was backed up", id)
	}
}

func id(n int) ivd.DiskID { return ivd.DiskID(fmt.Sprintf("0f0e0d0c-0000-4000-8000-%012d", n)) }
