package worker

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"ivdmover/coordinator/custody"
	"ivdmover/coordinator/fleet"
	"ivdmover/mover/pipeline"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/pause"
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
		b.lease, err = b.repo.OpenLease(b.t.Context(), repo.LeaseSpec{Kind: repo.WriteLease, Owner: "test"})
	}
	if err != nil {
		b.t.Fatal(err)
	}
	root := b.repo.Root()
	b.sealed = &Sealed{ID: b.repo.ID(), Open: func(ctx context.Context, k repo.Keys) (*repo.Repository, error) {
		k.Root = root
		return repo.OpenWith(ctx, st, k)
	}}
	return &custody.Desk{Repo: b.repo, Fleet: fleet.New(b.queue, nil), Log: slog.New(slog.DiscardHandler)}
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
