package backup_test

import (
	"context"
	"strings"
	"testing"

	"ivdmover/coordinator/backup"
	"ivdmover/coordinator/coordtest"
	"ivdmover/coordinator/engine"
	"ivdmover/shared/job"
)

// A disk that another run works on says that it waits for that, and is backed up after it.
func TestDiskThatAnotherRunWorksOnWaitsForIt(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	d := b.Disk("a", 1)
	m := b.Mover("m1")
	held := make(chan struct{})
	m.Set(func(p *coordtest.Puppet) {
		p.Work = func(ctx context.Context, _ job.Record) error {
			select {
			case <-held:
			case <-ctx.Done():
			}
			return nil
		}
	})
	c, _ := b.Serving("one")
	first := b.Begin(c, backup.Request{All: true}).ID
	b.Until(c, first, coordtest.AtStep(engine.Moving))
	second := b.Begin(c, backup.Request{All: true}).ID
	b.Until(c, second, func(v engine.View) bool {
		return len(v.Items) == 1 && v.Items[0].Step == engine.Waiting && strings.Contains(v.Items[0].Waits, "another run works on it")
	})
	close(held)
	for _, v := range []engine.View{b.Until(c, first, coordtest.Ended), b.Until(c, second, coordtest.Ended)} {
		if v.State != engine.Done || v.Items[0].Waits != "" {
			t.Errorf("%s: %+v", v.State, v.Items)
		}
	}
	b.NothingLeft(d)
}
