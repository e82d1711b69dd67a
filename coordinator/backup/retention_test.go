package backup_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ivdmover/coordinator/backup"
	"ivdmover/coordinator/catalogue"
	"ivdmover/coordinator/coordtest"
	"ivdmover/coordinator/engine"
	"ivdmover/shared/config"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

// keeping has a coordinator keep the newest point of each disk only.
func keeping(s *coordtest.Coordinator) {
	p := config.DefaultPolicy()
	p.Name, p.Keep = "nightly", config.Keep{Last: 1}
	all := config.DefaultPolicy()
	all.Name = "all"
	s.Backup.Policies = []config.Policy{p, all}
	s.Forget.Policies = s.Backup.Policies
}

// At the end of a run of a policy that keeps only some points, the others are given up, of
// the disks that it has a point of; the run's record says which. Nothing builds on them.
func TestRunForgets(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	d := b.Disk("a", 8)
	b.Mover("m1")
	s := b.Coordinator("one")
	keeping(s)
	b.Serve(s)
	run := func(q backup.Request) (backup.Disk, format.Run) {
		t.Helper()
		s.Clock.Advance(time.Second) // points are named by the second
		v := b.Until(s, b.Begin(s, q).ID, coordtest.Ended)
		if v.State != engine.Done {
			t.Fatalf("%s: %+v", v.State, v.Items)
		}
		r, err := b.Repo.ReadRun(t.Context(), v.ID)
		b.Must(err)
		if r.NotForgotten != "" {
			t.Errorf("not forgotten: %s", r.NotForgotten)
		}
		return b.Backup(v.Items[0]), r
	}
	byHand, r := run(backup.Request{All: true})
	if len(r.Forgotten) != 0 {
		t.Errorf("a run without a policy has forgotten %v", r.Forgotten)
	}
	first, _ := run(backup.Request{Policy: "nightly"})
	second, r := run(backup.Request{Policy: "nightly"})
	if !slices.Equal(r.Forgotten, []ivd.PointID{first.Point}) || second.Parent != first.Point {
		t.Errorf("the second run has forgotten %v, and built on %s", r.Forgotten, second.Parent)
	}
	if m, err := b.Repo.Mark(t.Context(), first.Point); err != nil || !m.GivenUp() || m.Forgotten.Run != r.ID || m.Forgotten.Policy != "nightly" {
		t.Errorf("the mark says %+v, %v", m.Forgotten, err)
	}
	_, r = run(backup.Request{Policy: "all"})
	if len(r.Forgotten) != 0 {
		t.Errorf("a policy that keeps everything has forgotten %v", r.Forgotten)
	}
	if got := b.Points(d.Ref.ID()); len(got) != 4 || !slices.Contains(got, byHand.Point) {
		t.Errorf("nothing is deleted, and there are %v", got)
	}
}

// away stores no record of a run for as long as it is.
type away struct {
	backup.Runs
	is atomic.Bool
}

func (a *away) PutRun(ctx context.Context, r format.Run) error {
	if a.is.Load() {
		return ivd.Errorf(ivd.Permanent, "it died here")
	}
	return a.Runs.PutRun(ctx, r)
}

// A successor that concludes a run again, whose first coordinator died after it had
// forgotten and before it said so, tells of the same points.
func TestRunThatHasForgottenIsConcludedAgain(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	b.Disk("a", 8)
	b.Mover("m1")
	s := b.Coordinator("one")
	keeping(s)
	runs := &away{Runs: s.Backup.Runs}
	s.Backup.Runs = runs
	b.Serve(s)
	var v engine.View
	var points []ivd.PointID
	for n := range 2 {
		runs.is.Store(n == 1)
		s.Clock.Advance(time.Second)
		v = b.Until(s, b.Begin(s, backup.Request{Policy: "nightly"}).ID, coordtest.Ended)
		points = append(points, b.Backup(v.Items[0]).Point)
	}
	if has, err := b.Repo.HasRun(t.Context(), v.ID); has || err != nil {
		t.Fatalf("the run has a record: %t, %v", has, err)
	}
	runs.is.Store(false)
	b.Must(s.Backup.Conclude(t.Context(), v))
	r, err := b.Repo.ReadRun(t.Context(), v.ID)
	b.Must(err)
	if !slices.Equal(r.Forgotten, points[:1]) {
		t.Errorf("it has forgotten %v, want %v", r.Forgotten, points[:1])
	}
}

// retention is one that cannot do what it is asked for.
type retention struct{ err error }

func (r retention) AfterRun(context.Context, string, ivd.RunID, []catalogue.Disk) ([]ivd.PointID, error) {
	return nil, r.err
}

// A coordinator that may not forget, or cannot, says so in the run's record and in the log,
// and the run is as good as ever.
func TestRunThatCannotForget(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	b.Disk("a", 8)
	b.Mover("m1")
	s := b.Coordinator("one")
	keeping(s)
	s.Backup.Retention = retention{&ivd.Error{Kind: ivd.Denied, Err: context.Canceled, Remedy: "do it elsewhere"}}
	b.Serve(s)
	v := b.Until(s, b.Begin(s, backup.Request{Policy: "nightly"}).ID, coordtest.Ended)
	r, err := b.Repo.ReadRun(t.Context(), v.ID)
	b.Must(err)
	if v.State != engine.Done || len(r.Points) != 1 || r.NotForgotten != "context canceled; do it elsewhere" {
		t.Errorf("%s: %+v", v.State, r)
	}
	if len(b.Said.Lines("forgetting what the policy does not keep failed")) != 1 {
		t.Error("the log says nothing")
	}
}

// The newest point that was not given up is built on. Where all were, the newest is: the
// last good one stays. What was decided before a point was forgotten stays so.
func TestForgottenPointIsNoParent(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	b.Disk("a", 8)
	b.Mover("m1")
	s, _ := b.Serving("one")
	var made []backup.Disk
	for range 2 {
		s.Clock.Advance(time.Second)
		made = append(made, b.Backup(b.Until(s, b.Begin(s, backup.Request{All: true}).ID, coordtest.Ended).Items[0]))
	}
	want := func(what string, d backup.Disk, parent ivd.PointID) {
		t.Helper()
		if id, err := s.Backup.ParentOf(t.Context(), d); err != nil || id != parent {
			t.Errorf("%s: parent %s, %v, want %s", what, id, err, parent)
		}
	}
	old, newest, next := made[0].Point, made[1].Point, made[1]
	next.Geometry, next.Parent = ivd.Geometry{}, ""
	decided := made[1]
	decided.Parent = newest
	want("none is forgotten", next, newest)
	b.Must(b.Repo.Forget(t.Context(), format.Forgotten{Point: newest, Reason: "a test"}))
	want("the newest is forgotten", next, old)
	want("it was decided before", decided, newest)
	b.Must(b.Repo.Pin(t.Context(), newest, ""))
	want("it is pinned", next, newest)
	b.Must(b.Repo.Unpin(t.Context(), newest))
	b.Must(b.Repo.Forget(t.Context(), format.Forgotten{Point: old, Reason: "a test"}))
	want("both are forgotten", next, newest)
}

// The finished point makes the partial points before it needless.
func TestFinishedPointForgetsItsPartialOnes(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	b.Disk("a", 8)
	b.Mover("m1")
	s, _ := b.Serving("one")
	good := b.Backup(b.Until(s, b.Begin(s, backup.Request{All: true}).ID, coordtest.Ended).Items[0])
	p, _, err := b.Repo.ReadPoint(t.Context(), good.Point)
	b.Must(err)
	var parts []ivd.PointID
	for _, before := range []time.Duration{-time.Hour, time.Second} { // the whole point that is there
		q := p
		q.Run = "made"
		q.ID = ivd.NewPointID(q.Domain, q.Source.ID, q.Disk.ID, p.ID.Time().Add(before), q.Run).Part(1)
		q.Partial = &format.Partial{Next: 1}
		body, err := q.Encode()
		b.Must(err)
		b.Must(os.WriteFile(filepath.Join(b.Folder, "points", string(q.ID)), body, 0o600))
		parts = append(parts, q.ID)
	}
	s.Clock.Advance(time.Minute)
	next := b.Backup(b.Until(s, b.Begin(s, backup.Request{All: true}).ID, coordtest.Ended).Items[0])
	if next.Parent != good.Point {
		t.Errorf("built on %s", next.Parent)
	}
	for _, id := range parts {
		if m, err := b.Repo.Mark(t.Context(), id); err != nil || !m.GivenUp() || !strings.Contains(m.Forgotten.Reason, string(next.Point)) {
			t.Errorf("%s: %+v, %v", id, m.Forgotten, err)
		}
	}
	if m, err := b.Repo.Mark(t.Context(), good.Point); err != nil || m.Forgotten != nil {
		t.Errorf("the whole point: %+v, %v", m.Forgotten, err)
	}
}
