package backup_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"ivdmover/coordinator/backup"
	"ivdmover/coordinator/coordtest"
	"ivdmover/coordinator/engine"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// A disk whose snapshot has grown too old fails with that reason, whatever its backup waits
// for, and the snapshot is deleted; others go on. So it is after a restart.
func TestASnapshotThatGrowsTooOldEndsItsAttempt(t *testing.T) {
	t.Parallel()
	for what, restart := range map[string]bool{"while it is read": false, "after a restart": true} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			b := coordtest.New(t)
			slow := b.Disk("slow", 8)
			quick := b.Disk("quick", 8)
			m := b.Mover("m1")
			reached := make(chan struct{})
			var once sync.Once
			m.Set(func(p *coordtest.Puppet) {
				p.Work = func(ctx context.Context, rec job.Record) error {
					if rec.Disk != slow.Ref.ID() {
						return nil
					}
					once.Do(func() { close(reached) })
					<-ctx.Done() // it is read for ever
					return errors.New("stopped")
				}
			})
			c := b.Coordinator("one")
			if !restart {
				c.Backup.SnapshotAge = always(3 * time.Second)
			}
			stop := b.Serve(c)
			id := b.Begin(c, backup.Request{All: true}).ID
			select {
			case <-reached:
			case <-time.After(time.Minute):
				t.Fatal("never came so far")
			}
			if restart {
				stop()
				c = b.Coordinator("one")
				c.Backup.SnapshotAge = always(time.Millisecond)
				b.Serve(c)
			}
			v := b.Until(c, id, coordtest.Ended)
			it := b.Item(v, "slow")
			if it.Result != engine.Failed {
				t.Errorf("%s: %+v", v.State, v.Items)
			}
			// After the restart its snapshot may be too old as well.
			if !restart && (v.State != engine.Partial || b.Item(v, "quick").Result != engine.Done) {
				t.Errorf("%s: %+v", v.State, v.Items)
			}
			if f := it.Failure; f == nil || f.Kind != ivd.Permanent || !strings.Contains(f.Message, "snapshot has reached the age of") || !strings.Contains(f.Remedy, "snapshot_age") {
				t.Errorf("failure %+v", f)
			}
			if len(b.Points(slow.Ref.ID())) != 0 || !restart && len(b.Points(quick.Ref.ID())) != 1 {
				t.Error("points of the wrong disks")
			}
			b.NothingLeft(slow)
			b.NothingLeft(quick)
			if keys := b.Ledger(); len(keys) != 0 {
				t.Errorf("ledger %v", keys)
			}
		})
	}
}

// always is an age of snapshots in any source.
func always(age time.Duration) func(ivd.SourceID) time.Duration {
	return func(ivd.SourceID) time.Duration { return age }
}
