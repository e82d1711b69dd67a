package backup_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"ivdmover/coordinator/backup"
	"ivdmover/coordinator/coordtest"
	"ivdmover/coordinator/engine"
	"ivdmover/coordinator/inventory"
	"ivdmover/shared/ivd"
)

// restartedWithoutEast is a coordinator that was started again in the middle of a run over
// two vCenters, of which the one in the east is away now. What the movers had begun there
// is done meanwhile, and so is the other's disk.
func restartedWithoutEast(t *testing.T) (b *coordtest.Bench, c *coordtest.Coordinator, run ivd.RunID, east *coordtest.Replica, attempts func() int) {
	t.Helper()
	b = coordtest.New(t)
	b.Disk("a", 8)
	east = b.Replica("east")
	m := b.Mover("m1")
	hold := make(chan struct{})
	m.Set(func(p *coordtest.Puppet) { p.Work = holding(hold) })
	c = b.CoordinatorOf("one", inventory.NewSources(b.VC, east.VC))
	stop := b.Serve(c)
	run = b.Begin(c, backup.Request{All: true}).ID
	b.Until(c, run, func(engine.View) bool { return len(m.Began()) == 2 })
	stop()

	sources := inventory.NewSources(b.VC)
	sources.Miss("east", errors.New("vCenter east: connect: no way there"))
	c = b.CoordinatorOf("one", sources)
	b.Serve(c)
	close(hold)
	v := b.Until(c, run, func(v engine.View) bool {
		of := bySource(b, v)
		return of[b.VC.Source()].Result == engine.Done && strings.Contains(of[east.VC.Source()].Waits, "vCenter east is not reached: connect: no way there")
	})
	if it := bySource(b, v)[east.VC.Source()]; v.State != engine.Running || it.Result != "" || it.Failure != nil {
		t.Errorf("%s: %+v", v.State, it)
	}
	return b, c, run, east, func() int { return len(m.Began()) }
}

// bySource are a run's items, of which each is of another source.
func bySource(b *coordtest.Bench, v engine.View) map[ivd.SourceID]engine.ItemView {
	of := map[ivd.SourceID]engine.ItemView{}
	for _, it := range v.Items {
		of[b.Backup(it).Ref.Source()] = it
	}
	return of
}

func nothingLeftInTheEast(t *testing.T, b *coordtest.Bench, east *coordtest.Replica) {
	t.Helper()
	disks, err := east.Owner.Disks(t.Context())
	b.Must(err)
	for _, d := range disks {
		snaps, err := east.Owner.Snapshots(t.Context(), d.Ref)
		b.Must(err)
		if len(snaps) != 0 {
			t.Errorf("disk %s in the east has %d snapshots", d.Name, len(snaps))
		}
	}
	if keys := b.Ledger(); len(keys) != 0 {
		t.Errorf("ledger %v", keys)
	}
}

// A run whose disk is in a vCenter that is not reached yet waits for it, and goes on where
// it was.
func TestRunWaitsForAVCenterThatIsAway(t *testing.T) {
	t.Parallel()
	b, c, run, east, attempts := restartedWithoutEast(t)
	b.Must(c.Backup.Sources.Join(east.VC))
	v := b.Until(c, run, coordtest.Ended)
	it := bySource(b, v)[east.VC.Source()]
	if v.State != engine.Done || it.Result != engine.Done || it.Waits != "" || attempts() != 2 {
		t.Errorf("%s after %d attempts: %+v", v.State, attempts(), it)
	}
	nothingLeftInTheEast(t, b, east)
}

// Who does not want to wait cancels the run; what it has left there is undone when the
// vCenter is there.
func TestRunThatWaitsForAVCenterIsCancelled(t *testing.T) {
	t.Parallel()
	b, c, run, east, _ := restartedWithoutEast(t)
	b.Must(c.Engine.Cancel(t.Context(), run))
	v := b.Until(c, run, coordtest.Ended)
	it := bySource(b, v)[east.VC.Source()]
	if it.Result != engine.Cancelled || !strings.Contains(it.Pending, "vCenter east is not reached") || len(b.Ledger()) == 0 {
		t.Errorf("%s: %+v; ledger %v", v.State, it, b.Ledger())
	}
	b.Must(c.Backup.Sources.Join(east.VC))
	for range 100 { // what was tried meanwhile is tried again after a pause
		c.Clock.Advance(time.Minute)
		if b.Settle(c); len(b.Ledger()) == 0 {
			break
		}
	}
	nothingLeftInTheEast(t, b, east)
}
