package engine_test

import (
	"context"
	"strings"
	"testing"

	"ivdmover/coordinator/backup"
	"ivdmover/coordinator/coordtest"
	"ivdmover/coordinator/engine"
	"ivdmover/coordinator/restore"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// lacks has a puppet do no job for want of something.
func lacks(what string) func(*coordtest.Puppet) {
	return func(p *coordtest.Puppet) {
		p.Work = func(context.Context, job.Record) error { return ivd.Errorf(ivd.Unsupported, "it has no %s", what) }
	}
}

// What one mover has not got, another may have: the job goes there. Where none has it,
// the item fails, and says of each mover what it lacks.
func TestAJobGoesToAMoverThatCanDoIt(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	b.Disk("a", 4)
	c, _ := b.Serving("one")
	b.Mover("m1", lacks("hands"))
	b.Mover("m2", lacks("eyes"))
	v := b.Until(c, b.Begin(c, backup.Request{All: true}).ID, coordtest.Ended)
	if f := v.Items[0].Failure; f == nil || !strings.Contains(f.Message, "mover m1: it has no hands") || !strings.Contains(f.Message, "mover m2: it has no eyes") {
		t.Errorf("where no mover can: %+v", f)
	}
	b.Mover("m3")
	v = b.Until(c, b.Begin(c, backup.Request{All: true}).ID, coordtest.Ended)
	if v.State != engine.Done {
		t.Errorf("where one can: %s, %+v", v.State, v.Items[0].Failure)
	}
}

// A restore waits for a mover that writes, and says so; it holds no other up.
func TestARestoreWaitsForAMoverThatWrites(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	b.Disk("a", 4)
	c, _ := b.Serving("one")
	b.Mover("m1", func(p *coordtest.Puppet) { p.Why = "VDDK 9 has no VixDiskLib_WriteAsync" })
	v := b.Until(c, b.Begin(c, backup.Request{All: true}).ID, coordtest.Ended)
	var restores []ivd.RunID
	for _, name := range []string{"r1", "r2", "r3", "r4", "r5"} { // more than there are slots
		restores = append(restores, b.BeginRestore(c, restore.Request{Point: b.Backup(v.Items[0]).Point, Name: name}).ID)
	}
	r := b.Until(c, restores[0], func(v engine.View) bool { return v.Waiting != "" })
	for _, want := range []string{"no mover takes restores", "m1", "VDDK 9 has no VixDiskLib_WriteAsync", "start a mover whose VDDK can write"} {
		if !strings.Contains(r.Waiting, want) {
			t.Errorf("it waits for %q, without %q", r.Waiting, want)
		}
	}
	again := b.Until(c, b.Begin(c, backup.Request{All: true, Full: true}).ID, coordtest.Ended)
	if again.State != engine.Done || again.Waiting != "" {
		t.Errorf("a backup beside it: %s, waits for %q", again.State, again.Waiting)
	}
	b.Mover("m2")
	for _, id := range restores {
		if v := b.Until(c, id, coordtest.Ended); v.State != engine.Done || v.Waiting != "" {
			t.Errorf("with a mover that writes: %s, waits for %q", v.State, v.Waiting)
		}
	}
}
