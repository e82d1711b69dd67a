package backup_test

import (
	"fmt"
	"testing"

	"ivdmover/coordinator/backup"
	"ivdmover/coordinator/coordtest"
	"ivdmover/coordinator/engine"
	"ivdmover/coordinator/plan"
)

// lanes share the calls of a workflow between them: each waits out its own faults.
const lanes = 4

// Whichever call of a backup fails once, to the vCenter or to the store, from the request
// on: the disk is backed up, and nothing is left of it.
func TestAnyCallOfABackupMayFailOnce(t *testing.T) {
	t.Parallel()
	for lane := range lanes {
		t.Run(fmt.Sprint(lane), func(t *testing.T) {
			t.Parallel()
			b := coordtest.New(t)
			d := b.Disk("a", 1)
			b.Must(b.VC.EnableCBT(t.Context(), b.InLab(d.Ref)))
			p := b.Passing()
			b.Mover("m1")
			c, _ := b.Serving("one")
			mode := plan.Mode("")
			back := func() error {
				v, err := c.StartBackup(t.Context(), backup.Request{All: true})
				if err != nil {
					return err
				}
				v = b.Until(c, v.ID, coordtest.Ended)
				if v.State != engine.Done {
					return fmt.Errorf("%s: %+v", v.State, v.Items[0].Failure)
				}
				mode = b.Backup(v.Items[0]).Mode
				return nil
			}
			b.Must(back())
			call := "none"
			for n := lane + 1; call != ""; n += lanes {
				b.Write(d, int64(n)<<10, 1<<10)
				p.Fail(n)
				err := back()
				if call = p.Failed(); err != nil {
					t.Errorf("%s: %v", call, err)
				} else if points := b.Points(d.Ref.ID()); len(points) != (n-1)/lanes+2 || mode != plan.Changed {
					t.Errorf("%s: %d points, mode %q", call, len(points), mode)
				}
				b.NothingLeft(d)
			}
		})
	}
}
