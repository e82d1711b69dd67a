package engine_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"ivdmover/coordinator/backup"
	"ivdmover/coordinator/coordtest"
	"ivdmover/coordinator/engine"
	"ivdmover/coordinator/restore"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/repo"
	"ivdmover/shared/store/faults"
)

// half is a little more than half of a lease's life.
const half = repo.DefaultLife/2 + time.Minute

// hold has a puppet's jobs wait until release.
func hold(m *coordtest.Puppet) (release func()) {
	hold := make(chan struct{})
	m.Set(func(p *coordtest.Puppet) {
		p.Work = func(ctx context.Context, _ job.Record) error {
			select {
			case <-hold:
			case <-ctx.Done():
			}
			return nil
		}
	})
	return func() { close(hold) }
}

// outlast has a run that is moving go on under several leases, and returns them.
func outlast(b *coordtest.Bench, c *coordtest.Coordinator, id ivd.RunID) []ivd.LeaseID {
	b.Helper()
	r, _, err := c.Engine.Stored(b.Context(), id)
	b.Must(err)
	leases := []ivd.LeaseID{r.Lease}
	for n := range 5 {
		b.Must(c.Engine.Succeed(b.Context(), id)) // not yet due
		b.Pass(half)
		b.Must(c.Engine.Succeed(b.Context(), id))
		r, _, err := c.Engine.Stored(b.Context(), id)
		b.Must(err)
		leases = append(leases, r.Lease)
		if slices.Contains(leases[:n+1], r.Lease) || r.Deadline.Before(b.Repo.Now().Add(repo.DefaultLife-time.Minute)) {
			b.Fatalf("lease %d is %s until %s, after %v", n+1, r.Lease, r.Deadline, leases)
		}
	}
	return leases
}

// A run lasts as long as it takes, under one lease after the other, each half over
// when the next is opened. Its jobs go on under the last one, and so does its commit.
func TestRunLastsLongerThanALease(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	d := b.Disk("a", 8)
	m := b.Mover("m1")
	release := hold(m)
	c, _ := b.Serving("one")
	begun := func(n int) func(engine.View) bool {
		return func(v engine.View) bool { return coordtest.AtStep(engine.Moving)(v) && len(m.Began()) >= n }
	}
	id := b.Begin(c, backup.Request{All: true}).ID
	b.Until(c, id, begun(1))
	leases := outlast(b, c, id)
	release()
	v := b.Until(c, id, coordtest.Ended)
	if v.State != engine.Done {
		t.Fatalf("%s: %+v", v.State, v.Items)
	}
	last := leases[len(leases)-1]
	// What the puppet began under a lease that is over by then is done anew.
	if began := m.Began(); began[0].Lease != leases[0] || began[len(began)-1].Lease != last {
		t.Errorf("the attempts were under %s to %s, the leases are %v", began[0].Lease, began[len(began)-1].Lease, leases)
	}
	p, _, err := b.Repo.ReadPoint(t.Context(), b.Points(d.Ref.ID())[0])
	if err != nil || p.Lease != last {
		t.Errorf("the point was committed under %s, not %s: %v", p.Lease, last, err)
	}
	if n := b.Leases(); n != len(leases)-1 {
		t.Errorf("%d leases are left: all but the last are left to expire", n)
	}
	b.NothingLeft(d)

	before, release := len(m.Began()), hold(m)
	id = b.BeginRestore(c, restore.Request{Point: p.ID, Name: "back"}).ID
	b.Until(c, id, begun(before+1))
	outlast(b, c, id)
	release()
	if v := b.Until(c, id, coordtest.Ended); v.State != engine.Done {
		t.Errorf("the restore is %s: %+v", v.State, v.Items)
	}
}

// A run that waits for movers keeps a lease that lasts.
func TestRunThatWaitsLongerThanALease(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	b.Disk("a", 8)
	c, _ := b.Serving("one")
	id := b.Begin(c, backup.Request{All: true}).ID
	b.Until(c, id, coordtest.AtStep(engine.Waiting))
	leases := outlast(b, c, id)
	m := b.Mover("m1")
	if v := b.Until(c, id, coordtest.Ended); v.State != engine.Done {
		t.Errorf("%s: %+v", v.State, v.Items)
	}
	if got := m.Began()[0].Lease; got != leases[len(leases)-1] {
		t.Errorf("the job began under %s, the leases are %v", got, leases)
	}
}

// While no lease can be opened the run keeps the one that it has, and tries again.
func TestNextLeaseCannotBeOpened(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	b.Disk("a", 8)
	m := b.Mover("m1")
	release := hold(m)
	b.Faulty(faults.Fault{On: faults.Put, Prefix: "leases/", Call: 2, Before: faults.ErrInjected})
	c, _ := b.Serving("one")
	v := b.Begin(c, backup.Request{All: true})
	b.Until(c, v.ID, func(v engine.View) bool { return coordtest.AtStep(engine.Moving)(v) && len(m.Began()) > 0 })
	b.Pass(half)
	if err := c.Engine.Succeed(t.Context(), v.ID); err == nil {
		t.Error("a lease that was not stored counts")
	}
	if r, _, err := c.Engine.Stored(t.Context(), v.ID); err != nil || r.Lease != v.Lease {
		t.Errorf("the run's lease is %s, not %s: %v", r.Lease, v.Lease, err)
	}
	release()
	if v := b.Until(c, v.ID, coordtest.Ended); v.State != engine.Done {
		t.Errorf("%s: %+v", v.State, v.Items)
	}
}

// A run whose lease is gone, whoever removed it, goes on under another one as soon as a
// job says so, and does not try under the old one again.
func TestLeaseThatIsGone(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	b.Disk("a", 8)
	m := b.Mover("m1")
	release := hold(m)
	c, _ := b.Serving("one")
	v := b.Begin(c, backup.Request{All: true})
	b.Until(c, v.ID, func(v engine.View) bool { return coordtest.AtStep(engine.Moving)(v) && len(m.Began()) > 0 })
	b.Must(b.Repo.EndLease(t.Context(), v.Lease))
	release()
	if v := b.Until(c, v.ID, coordtest.Ended); v.State != engine.Done {
		t.Errorf("%s: %+v", v.State, v.Items)
	}
	if began := m.Began(); len(began) != 2 || began[1].Lease == v.Lease {
		t.Errorf("attempts: %+v", began)
	}
}

// Where there can be no other lease the run ends, with the reason.
func TestLeaseThatIsGoneAndNoOther(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	d := b.Disk("a", 8)
	m := b.Mover("m1")
	release := hold(m)
	no := &ivd.Error{Kind: ivd.Denied, Err: errors.New("no rights to write leases")}
	b.Faulty(faults.Fault{On: faults.Put, Prefix: "leases/", Call: 2, Times: faults.Always, Before: no})
	c, _ := b.Serving("one")
	v := b.Begin(c, backup.Request{All: true})
	b.Until(c, v.ID, func(v engine.View) bool { return coordtest.AtStep(engine.Moving)(v) && len(m.Began()) > 0 })
	b.Must(b.Repo.EndLease(t.Context(), v.Lease))
	release()
	v = b.Until(c, v.ID, coordtest.Ended)
	if v.State != engine.Failed || v.Items[0].Failure == nil || !strings.Contains(v.Items[0].Failure.Message, "no rights to write leases") {
		t.Errorf("%s: %+v", v.State, v.Items)
	}
	if began := m.Began(); len(began) != 1 {
		t.Errorf("%d attempts under a lease that is gone", len(began))
	}
	b.NothingLeft(d)
}
