package backup_test

import (
	"testing"

	"ivdmover/coordinator/backup"
	"ivdmover/coordinator/coordtest"
	"ivdmover/coordinator/engine"
	"ivdmover/shared/ivd"
	"ivdmover/shared/store/faults"
)

// Where the answer to a commit is lost, and nobody can say whether the point is
// there, the run's lease is left to expire. Where it is seen to be there, all is
// well and the lease is ended.
func TestCommitWhoseAnswerIsLost(t *testing.T) {
	t.Parallel()
	lost := faults.Fault{On: faults.Send, Prefix: "points/", After: faults.ErrInjected}
	blind := faults.Fault{On: faults.Get, Prefix: "points/", Before: ivd.Errorf(ivd.Denied, "no right to read"), Times: 1}
	for name, c := range map[string]struct {
		faults []faults.Fault
		state  engine.State
		leases int
	}{
		"seen":     {[]faults.Fault{lost}, engine.Done, 0},
		"in doubt": {[]faults.Fault{lost, blind}, engine.Failed, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := coordtest.New(t)
			d := b.Disk("a", 8)
			b.Faulty(c.faults...)
			b.Mover("m1")
			s, stop := b.Serving("one")
			v := b.Until(s, b.Begin(s, backup.Request{All: true}).ID, coordtest.Ended)
			stop()
			if v.State != c.state || len(b.Points(d.Ref.ID())) != 1 {
				t.Errorf("%s, %+v; points %v", v.State, v.Items[0].Failure, b.Points(d.Ref.ID()))
			}
			if n := b.Leases(); n != c.leases {
				t.Errorf("%d leases are left, want %d", n, c.leases)
			}
			b.NothingLeft(d)
		})
	}
}
