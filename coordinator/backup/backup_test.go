package backup_test

import (
	"testing"

	"ivdmover/coordinator/backup"
	"ivdmover/coordinator/coordtest"
	"ivdmover/coordinator/engine"
	"ivdmover/coordinator/plan"
	"ivdmover/shared/job"
)

func TestBackupFromListToPoint(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	d := b.Disk("a", 8)
	m := b.Mover("m1")
	s, _ := b.Serving("one")
	v := b.Until(s, b.Begin(s, backup.Request{All: true}).ID, coordtest.Ended)
	if v.State != engine.Done || b.Backup(v.Items[0]).Mode != plan.Allocated || v.Stats.ReadBytes != 256<<10 || v.Items[0].Movers != nil {
		t.Errorf("%+v", v)
	}
	if got := b.Points(d.Ref.ID()); len(got) != 1 || got[0] != b.Backup(v.Items[0]).Point {
		t.Errorf("points %v, want %s", got, b.Backup(v.Items[0]).Point)
	}
	if p, e := m.Times(job.PrepareAccess), m.Times(job.EndAccess); p != 1 || e != 1 {
		t.Errorf("prepared %d times, ended %d times", p, e)
	}
	b.NothingLeft(d)
	if n := b.Leases(); n != 0 {
		t.Errorf("%d leases are left", n)
	}
	var sum backup.Summary
	b.Must(b.Repo.ReadSummary(t.Context(), v.ID, &sum))
	if sum.State != engine.Done || len(sum.Disks) != 1 || sum.Ended.IsZero() {
		t.Errorf("summary %+v", sum)
	}
	if keys := b.Ledger(); len(keys) != 0 {
		t.Errorf("ledger %v", keys)
	}
}
