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
	sum, err := b.Repo.ReadRun(t.Context(), v.ID)
	b.Must(err)
	point, own, err := b.Repo.ReadPoint(t.Context(), b.Backup(v.Items[0]).Point)
	b.Must(err)
	if sum.State != string(engine.Done) || len(sum.Points) != 1 || len(sum.Failed) != 0 || sum.Ended.IsZero() || sum.Coordinator != "one" {
		t.Errorf("the run's record: %+v", sum)
	}
	if p := sum.Points[0]; p.Point != point.ID || p.Sum != own || !p.Time.Equal(point.Time) || !p.SealedAt.Equal(point.SealedAt) || p.Stats != point.Stats {
		t.Errorf("the run's record has point %+v, which is %+v", p, point)
	}
	if p := sum.Points[0]; p.Name != point.Disk.Name || p.Datastore != point.Disk.Datastore || p.Consistency != point.Consistency || !p.Tells() {
		t.Errorf("the run's record has point %+v, which is %+v", p, point)
	}
	if keys := b.Ledger(); len(keys) != 0 {
		t.Errorf("ledger %v", keys)
	}
}
