package restore_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"ivdmover/coordinator/backup"
	"ivdmover/coordinator/coordtest"
	"ivdmover/coordinator/engine"
	"ivdmover/coordinator/restore"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/repo"
	"ivdmover/shared/store/dir"
	"ivdmover/shared/store/storetest"
)

// readOnly has the coordinators made from now on work with the repository as one that
// cannot be written to.
func readOnly(b *coordtest.Bench) {
	b.Helper()
	storetest.WriteProtect(b, b.Folder)
	st, err := dir.OpenReadOnly(b.Folder)
	b.Must(err)
	b.Cleanup(func() { _ = st.Close() })
	b.Repo, err = repo.Open(b.Context(), st)
	b.Must(err)
}

// Where no lease can be stored, a point is restored without one, if it is asked for
// so; whoever takes the run up goes on without one, too.
func TestRestoreWithoutALease(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	b.Disk("a", 8)
	m := b.Mover("m1")
	c, stop := b.Serving("one")
	v := b.Until(c, b.Begin(c, backup.Request{All: true}).ID, coordtest.Ended)
	point := b.Backup(v.Items[0]).Point
	stop()
	readOnly(b)
	first, stop := b.Serving("one")
	s, err := first.Restore.Run(t.Context(), restore.Request{Point: point, Name: "back"})
	b.Must(err)
	if _, err := first.Engine.Begin(t.Context(), s); ivd.KindOf(err) != ivd.Denied {
		t.Errorf("a restore under a lease: %v", err)
	}
	before := len(m.Began())
	held, let := make(chan struct{}, 10), make(chan struct{})
	m.Set(func(p *coordtest.Puppet) {
		p.Work = func(ctx context.Context, _ job.Record) error {
			held <- struct{}{}
			select {
			case <-let:
			case <-ctx.Done():
			}
			return nil
		}
	})
	v = b.BeginRestore(first, restore.Request{Point: point, Name: "back", NoLease: true})
	<-held
	stop()
	second, _ := b.Serving("one")
	close(let)
	v = b.Until(second, v.ID, coordtest.Ended)
	if v.State != engine.Done || v.Lease != "" || v.LeaseKind != engine.NoLease {
		t.Errorf("%s under lease %q of kind %q: %+v", v.State, v.Lease, v.LeaseKind, v.Items[0].Failure)
	}
	if age := time.Since(v.Created); age < -time.Minute || age > 10*time.Minute {
		t.Errorf("the run began %s ago, by a store that tells no time", age)
	}
	if got := names(b); !slices.Equal(got, []string{"a", "back"}) {
		t.Errorf("disks %q", got)
	}
	jobs := m.Began()[before:]
	if len(jobs) == 0 || slices.ContainsFunc(jobs, func(j job.Job) bool { return !j.Restore.WithoutLease || j.Lease != "" }) {
		t.Errorf("jobs %+v", jobs)
	}
	if len(b.Ledger()) != 0 || b.Leases() != 0 {
		t.Errorf("the ledger has %v, %d leases are left", b.Ledger(), b.Leases())
	}
}
