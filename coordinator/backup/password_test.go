package backup_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"ivdmover/coordinator/backup"
	"ivdmover/coordinator/coordtest"
	"ivdmover/coordinator/engine"
	"ivdmover/shared/job"
)

// A password that is changed in the middle of a run costs one wrong login for the
// whole process, and no disk: they wait until it is corrected.
func TestPasswordChangesInARun(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	for i := range 6 {
		b.Disk(fmt.Sprint("disk-", i), 8)
	}
	var once sync.Once
	b.Mover("m1").Set(func(p *coordtest.Puppet) {
		p.Work = func(ctx context.Context, _ job.Record) (err error) {
			once.Do(func() {
				b.Lab.SetPassword("new")
				_, err = b.Owner.EndLogins(ctx)
			})
			return err
		}
	})
	s, _ := b.Serving("one")
	run := b.Begin(s, backup.Request{All: true}).ID
	b.Until(s, run, func(v engine.View) bool {
		waiting := 0
		for _, it := range v.Items {
			if strings.Contains(it.Retried, "refused the login") {
				waiting++
			}
		}
		return waiting >= 3
	})
	if r := b.Lab.Report(); r.Wrong != 1 || r.Locked {
		t.Errorf("%d wrong logins while disks wait, locked: %v", r.Wrong, r.Locked)
	}
	if l := b.Said.Lines("refused the login", "run="+string(run)); len(l) != 1 {
		t.Errorf("want one line of it: %q", l)
	}
	b.SetPassword("new")
	v := b.Until(s, run, coordtest.Ended)
	if v.State != engine.Done {
		t.Errorf("%s: %+v", v.State, v.Items)
	}
	if r := b.Lab.Report(); r.Wrong != 1 || r.Locked {
		t.Errorf("%d wrong logins, locked: %v", r.Wrong, r.Locked)
	}
}
