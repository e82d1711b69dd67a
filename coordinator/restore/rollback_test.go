package restore_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"ivdmover/coordinator/backup"
	"ivdmover/coordinator/coordtest"
	"ivdmover/coordinator/engine"
	"ivdmover/coordinator/restore"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// The folder of the coordinator and of its queue is put back from a copy of before a
// restore's end, days later by the mover that has its job. The restore's disk is
// somebody's by then: neither is anything written to it, nor does it go or change its
// name, and the run comes to an end.
func TestStateThatIsPutBackFromAnOlderCopy(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	b.Disk("a", 8)
	m := b.Mover("m1")
	one, stop := b.Serving("one")
	point := b.Backup(b.Until(one, b.Begin(one, backup.Request{All: true}).ID, coordtest.Ended).Items[0]).Point
	hold := make(chan struct{})
	m.Set(func(p *coordtest.Puppet) {
		p.Work = func(ctx context.Context, _ job.Record) error {
			select {
			case <-hold:
			case <-ctx.Done():
			}
			return nil
		}
	})
	before := len(m.Began())
	id := b.BeginRestore(one, restore.Request{Point: point, Name: "back"}).ID
	v := b.Until(one, id, func(v engine.View) bool { return coordtest.AtStep(engine.Moving)(v) && len(m.Began()) > before })
	disk := working(b, v)
	copied := t.TempDir()
	b.RestartBroker(func(h *coordtest.Home) { b.Must(os.CopyFS(filepath.Join(copied, "queue"), os.DirFS(h.Dir))) })
	b.Must(os.CopyFS(filepath.Join(copied, "state"), os.DirFS(b.StateDir)))
	close(hold)
	if v := b.Until(one, id, coordtest.Ended); v.State != engine.Done {
		t.Fatalf("%s: %+v", v.State, v.Items)
	}
	stop()

	var mu sync.Mutex
	var asked []error // guarded by mu; for the login of a disk that is written to, as every mover does first
	two := b.Coordinator("one")
	m.Set(func(p *coordtest.Puppet) {
		p.Work = func(ctx context.Context, rec job.Record) error {
			err := login(ctx, two, "m", rec.Run, disk)
			mu.Lock()
			defer mu.Unlock()
			asked = append(asked, err)
			return err
		}
	})
	putBack := func(to, from string) {
		b.Must(os.RemoveAll(to))
		b.Must(os.CopyFS(to, os.DirFS(from)))
	}
	b.RestartBroker(func(h *coordtest.Home) { putBack(h.Dir, filepath.Join(copied, "queue")) })
	putBack(b.StateDir, filepath.Join(copied, "state"))
	late := func() { // a mover that wakes with its job in hand
		t.Helper()
		err := login(t.Context(), two, "m1", id, disk)
		if k := ivd.KindOf(err); k != ivd.Denied && k != ivd.Permanent {
			t.Errorf("a mover that came late got a login: %v (%s)", err, k)
		}
	}
	late()
	b.Serve(two)
	b.Until(two, id, coordtest.Ended)
	late()
	mu.Lock()
	defer mu.Unlock()
	for _, err := range asked {
		if ivd.KindOf(err) != ivd.Denied && ivd.KindOf(err) != ivd.Permanent {
			t.Errorf("a mover that came late got a login: %v (%s)", err, ivd.KindOf(err))
		}
	}
	if d, err := b.VC.Disk(t.Context(), disk); err != nil || d.Name != "back" {
		t.Errorf("the disk is %+v, %v", d, err)
	}
	if got := names(b); !slices.Equal(got, []string{"a", "back"}) {
		t.Errorf("disks %q", got)
	}
	for len(b.Ledger()) > 0 {
		b.Settle(two)
	}
	if d, err := b.VC.Disk(t.Context(), disk); err != nil || d.Name != "back" {
		t.Errorf("after the ledger was settled the disk is %+v, %v", d, err)
	}
}

// login asks for one as a mover that a coordinator has asked to.
func login(ctx context.Context, c *coordtest.Coordinator, mover string, run ivd.RunID, disk ivd.DiskRef) error {
	w, err := c.Fleet.Warrant(ctx, mover, run, disk)
	if err != nil {
		return err
	}
	_, err = c.Logins.Answer(ctx, job.LoginRequest{Mover: mover, Run: run, Disk: disk, Warrant: w}, job.Mover{Name: mover, Process: "p"})
	return err
}
