package backup_test

import (
	"slices"
	"testing"
	"time"

	"ivdmover/coordinator/backup"
	"ivdmover/coordinator/catalogue"
	"ivdmover/coordinator/coordtest"
	"ivdmover/coordinator/engine"
	"ivdmover/coordinator/inventory"
	"ivdmover/deploy/lab"
	"ivdmover/shared/config"
	"ivdmover/shared/ivd"
)

// What a restore makes is left out of every selection, and is left as it is. What only
// looks like it is the estate's.
func TestUnfinishedDisksAreNotTheEstate(t *testing.T) {
	t.Parallel()
	marks := []inventory.Mark{inventory.NewMark("run", "20261124t231500z-1f0c2a9b"), inventory.NewMark("item", "11111111-1111-4111-8111-111111111111")}
	const working = inventory.WorkingPrefix + "20261124t231500z-1f0c2a9b-11111111"
	for what, old := range map[string]bool{"with marks": false, "by its name alone": true} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			b := coordtest.NewWith(t, lab.Options{Old: old})
			b.Disk("data", 8)
			ds, err := b.VC.Datastore(t.Context(), "datastore1")
			b.Must(err)
			made := func(name string, marks ...inventory.Mark) ivd.DiskRef {
				t.Helper()
				ref, err := b.VC.CreateDisk(t.Context(), ds.ID, name, 8, marks...)
				b.Must(err)
				return ref
			}
			half := made(working, marks...)
			want := []string{"data", "ivdmover-restore-drill", "named"}
			made("ivdmover-restore-drill", marks...)
			made("named", marks...) // whose marks could not be removed
			if !old {
				made(working) // somebody has named it so
				want = append(want, working)
			}
			b.Mover("m1")
			c := b.Coordinator("one")
			p := config.DefaultPolicy()
			p.Name, p.CBT = "all", "enable"
			c.Backup.Policies = []config.Policy{p}
			b.Serve(c)
			slices.Sort(want)
			for what, q := range map[string]backup.Request{"all": {All: true}, "by a policy": {Policy: "all"}} {
				v := b.Until(c, b.Begin(c, q).ID, coordtest.Ended)
				var names []string
				for _, it := range v.Items {
					names = append(names, b.Backup(it).Name)
				}
				slices.Sort(names)
				if v.State != engine.Done || v.Failure != nil || !slices.Equal(names, want) {
					t.Errorf("%s: %s, %+v, of %q", what, v.State, v.Failure, names)
				}
				c.Clock.Advance(time.Second)
			}
			if _, err := c.StartBackup(t.Context(), backup.Request{Disks: []catalogue.Disk{{ID: half.ID()}}}); ivd.KindOf(err) != ivd.Unmet || ivd.RemedyOf(err) == "" {
				t.Errorf("by its id: %v", err)
			}
			if d, err := b.VC.Disk(t.Context(), half); err != nil || d.CBT || d.Unfinished != "20261124t231500z-1f0c2a9b" {
				t.Errorf("the disk: %+v, %v", d, err)
			}
			if len(b.Points(half.ID())) != 0 {
				t.Error("it has a point")
			}
		})
	}
}
