// Package coordtest is what the coordinator's rooms are tested with: a laboratory,
// a queue and a repository, all real, a mover without VDDK, a wire to the vCenter
// that can be cut, and coordinators put together as `ivd serve` does.
//
// Only tests import it.
package coordtest

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ivdmover/coordinator/inventory"
	"ivdmover/deploy/lab"
	"ivdmover/deploy/lab/owner"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/queue"
	"ivdmover/shared/repo"
	"ivdmover/shared/store"
	"ivdmover/shared/store/dir"
	"ivdmover/shared/store/faults"
	"ivdmover/shared/store/storetest"
)

// Bench is a laboratory, a queue and a repository.
type Bench struct {
	*testing.T
	LabDir   string
	Owner    *owner.Owner
	VC       *inventory.VCenter
	Wire     *Wire
	Broker   *Home
	Queue    *queue.Queue
	Repo     *repo.Repository
	Folder   string // of the repository
	Lab      *lab.Lab
	password atomic.Pointer[ivd.Secret] // what coordinators log in with
	// StateDir is where coordinators keep what they know.
	StateDir string
	Said     Log // by all coordinators
	// StoreClock is that of the repository's store.
	StoreClock *storetest.Clock
}

var startLab sync.Mutex

// New starts everything; it ends with the test.
func New(t *testing.T) *Bench {
	t.Helper()
	return NewWith(t, lab.Options{})
}

// NewWith is New with a laboratory that differs from others. Its folder is the bench's.
func NewWith(t *testing.T, o lab.Options) *Bench {
	t.Helper()
	b := &Bench{T: t, LabDir: t.TempDir(), Folder: t.TempDir(), StateDir: t.TempDir()}
	o.Dir = b.LabDir
	startLab.Lock() // the simulator's models are shared by all of a process
	l, err := lab.Start(t.Context(), o)
	startLab.Unlock()
	b.Must(err)
	t.Cleanup(func() { _ = l.Close() })
	r := l.Ready()
	b.Lab = l
	b.SetPassword(r.Password)
	b.Owner, err = owner.Connect(t.Context(), r.URL, r.Username, r.Password, r.Thumbprint)
	b.Must(err)
	b.Wire = newWire(t, r.URL)
	b.VC = b.VCenter(inventory.Config{Name: "lab"})
	b.Broker = newHome(t)
	b.Queue = b.Connect()
	b.Must(b.Queue.Setup(t.Context()))
	st, err := dir.Open(b.Folder)
	b.Must(err)
	b.StoreClock = &storetest.Clock{Store: st}
	b.Repo, err = repo.Init(t.Context(), b.StoreClock, repo.InitOptions{})
	b.Must(err)
	return b
}

// VCenter is the bench's, with what a configuration says beside where it is and whose
// the login is.
func (b *Bench) VCenter(c inventory.Config) *inventory.VCenter {
	b.Helper()
	c.URL, c.Username, c.Thumbprint, c.Log = b.Wire.url, b.Lab.Ready().Username, b.Wire.thumbprint, slog.New(slog.DiscardHandler)
	c.ReadPassword = func() (ivd.Secret, error) { return *b.password.Load(), nil }
	v, err := inventory.Connect(b.Context(), c)
	b.Must(err)
	b.Cleanup(func() { _ = v.Close() })
	return v
}

// SetPassword is what coordinators log in with from now on.
func (b *Bench) SetPassword(p string) {
	secret := ivd.Secret(p)
	b.password.Store(&secret)
}

// Connect is one more connection to the queue.
func (b *Bench) Connect() *queue.Queue {
	b.Helper()
	q, err := queue.Connect(b.Context(), queue.Options{InProcess: b.Broker, Name: "test", AckWait: 2 * time.Second, Patience: 2 * time.Second})
	b.Must(err)
	b.Cleanup(q.Close)
	return q
}

// Must ends the test at an error.
func (b *Bench) Must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// Pass lets time pass by the store's clock, and the coordinators see it.
func (b *Bench) Pass(d time.Duration) {
	b.Helper()
	b.StoreClock.Pass(d)
	if _, err := b.Repo.Begin(b.Context(), "none", repo.Reading); ivd.KindOf(err) != ivd.Expired { // any question
		b.Fatal(err)
	}
}

// Disk makes an IVD with something on it.
func (b *Bench) Disk(name string, mib int64) owner.Disk {
	b.Helper()
	d, err := b.Owner.Create(b.Context(), "datastore1", name, mib)
	b.Must(err)
	b.Write(d, 0, 64<<10)
	return d
}

// Write writes to a disk.
func (b *Bench) Write(d owner.Disk, offset, n int64) {
	b.Helper()
	_, err := lab.Write(b.Context(), b.LabDir, d.Ref.ID(), offset, lab.Random(uint64(offset+n), n))
	b.Must(err)
}

// InLab is a disk of the laboratory as the coordinator refers to it.
func (b *Bench) InLab(r ivd.DiskRef) ivd.DiskRef {
	return ivd.NewDiskRef(b.VC.Source(), r.Datastore(), r.ID())
}

// NothingLeft fails for snapshots of the disk.
func (b *Bench) NothingLeft(d owner.Disk) {
	b.Helper()
	if n := b.Snapshots(d); n != 0 {
		b.Errorf("disk %s has %d snapshots", d.Name, n)
	}
}

// Snapshots counts a disk's snapshots.
func (b *Bench) Snapshots(d owner.Disk) int {
	b.Helper()
	list, err := b.Owner.Snapshots(b.Context(), d.Ref)
	b.Must(err)
	return len(list)
}

// Points lists a disk's points.
func (b *Bench) Points(d ivd.DiskID) []ivd.PointID {
	b.Helper()
	var ids []ivd.PointID
	for p, err := range b.Repo.Points(b.Context(), repo.PointsOf{Disk: d}) {
		b.Must(err)
		ids = append(ids, p.ID)
	}
	return ids
}

// Leases counts the leases that stand.
func (b *Bench) Leases() int {
	b.Helper()
	n := 0
	for _, err := range b.Repo.Leases(b.Context()) {
		b.Must(err)
		n++
	}
	return n
}

// Ledger lists the ledger's keys.
func (b *Bench) Ledger() []string {
	b.Helper()
	keys, err := b.Queue.State().Keys(b.Context(), "ledger.")
	b.Must(err)
	return keys
}

// Job waits for the one job of a run to be done.
func (b *Bench) Job(id ivd.RunID) job.Record {
	b.Helper()
	ctx, stop := context.WithTimeout(b.Context(), time.Minute)
	defer stop()
	for rec, err := range b.Queue.WatchJobs(ctx, id) {
		b.Must(err)
		if rec.State == job.Done {
			return rec
		}
	}
	b.Fatal("the job is not done")
	return job.Record{}
}

// Condemn publishes a collector's list.
func (b *Bench) Condemn(packs ...ivd.PackID) {
	b.Helper()
	name := "collect/" + b.Repo.Domain().String() + "/one/condemned"
	head := format.Head{Repository: b.Repo.ID(), Domain: b.Repo.Domain(), Object: name, Program: "a test"}
	body, err := format.Condemned{Head: head, Packs: packs}.Encode()
	b.Must(err)
	b.Must(b.Repo.Store().Put(b.Context(), store.Name(name), body))
}

// Faulty has the coordinators made from now on work with a store that fails as
// scripted.
func (b *Bench) Faulty(script ...faults.Fault) {
	b.Helper()
	var err error
	b.Repo, err = repo.Open(b.Context(), faults.New(b, b.StoreClock, script...))
	b.Must(err)
}
