package run

import (
	"testing"

	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/store/dir"
	"ivdmover/shared/store/storetest"
)

// faulty has the services made from now on work with a store that fails as scripted.
func (b *bench) faulty(faults ...storetest.Fault) {
	b.Helper()
	st, err := dir.Open(b.folder)
	b.must(err)
	b.repo, err = repo.Open(b.Context(), storetest.NewFaulty(b, st, faults...))
	b.must(err)
}

// Where the answer to a commit is lost, and nobody can say whether the point is
// there, the run's lease is left to expire. Where it is seen to be there, all is
// well and the lease is ended.
func TestCommitWhoseAnswerIsLost(t *testing.T) {
	t.Parallel()
	lost := storetest.Fault{On: storetest.Send, Prefix: "points/", After: storetest.ErrInjected}
	blind := storetest.Fault{On: storetest.Get, Prefix: "points/", Before: ivd.Errorf(ivd.Denied, "no right to read"), Times: 1}
	for name, c := range map[string]struct {
		faults []storetest.Fault
		state  State
		leases int
	}{
		"seen":     {[]storetest.Fault{lost}, Done, 0},
		"in doubt": {[]storetest.Fault{lost, blind}, Failed, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			d := b.disk("a", 8)
			b.faulty(c.faults...)
			b.mover("m1")
			s, stop := b.serving("one")
			v := b.until(s, b.backup(s, BackupRequest{All: true}).ID, ended)
			stop()
			if v.State != c.state || len(b.points(d.Ref.ID())) != 1 {
				t.Errorf("%s, %+v; points %v", v.State, v.Disks[0].Failure, b.points(d.Ref.ID()))
			}
			if n := b.leases(); n != c.leases {
				t.Errorf("%d leases are left, want %d", n, c.leases)
			}
			b.nothingLeft(d)
		})
	}
}
