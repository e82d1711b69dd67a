package run

import (
	"testing"

	"ivdmover/coordinator/plan"
	"ivdmover/shared/job"
)

func TestBackupFromListToPoint(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	d := b.disk("a", 8)
	m := b.mover("m1")
	s, _ := b.serving("one")
	v := b.until(s, b.backup(s, BackupRequest{All: true}).ID, ended)
	if v.State != Done || v.Disks[0].Mode != plan.Allocated || v.Stats.ReadBytes != 256<<10 || v.Disks[0].Movers != nil {
		t.Errorf("%+v", v)
	}
	if got := b.points(d.Ref.ID()); len(got) != 1 || got[0] != v.Disks[0].Point {
		t.Errorf("points %v, want %s", got, v.Disks[0].Point)
	}
	if p, e := m.times(job.PrepareAccess), m.times(job.EndAccess); p != 1 || e != 1 {
		t.Errorf("prepared %d times, ended %d times", p, e)
	}
	b.nothingLeft(d)
	if n := b.leases(); n != 0 {
		t.Errorf("%d leases are left", n)
	}
	var sum View
	b.must(b.repo.ReadSummary(t.Context(), v.ID, &sum))
	if sum.State != Done || len(sum.Disks) != 1 || sum.Ended.IsZero() {
		t.Errorf("summary %+v", sum)
	}
	keys, err := b.queue.State().Keys(t.Context(), "ledger.")
	if err != nil || len(keys) != 0 {
		t.Errorf("ledger %v, %v", keys, err)
	}
}
