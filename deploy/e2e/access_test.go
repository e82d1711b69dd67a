package e2e

import (
	"context"
	"strings"
	"testing"
	"time"

	"ivdmover/deploy/lab"
	"ivdmover/deploy/lab/owner"
	"ivdmover/deploy/lab/script"
	"ivdmover/deploy/stage"
)

// audit is the laboratory's own report, whatever stands before its vCenter.
func audit(ctx context.Context, at stage.Ready) (lab.Report, error) {
	return lab.Audit(ctx, lab.Ready{URL: at.URL, Thumbprint: at.Thumbprint})
}

// accessEnded waits until no access is prepared and nothing else is left: neither
// snapshots nor handles nor disabled methods. No rule of the library was broken.
func accessEnded(t *testing.T, s *stage.Stage, at stage.Ready, p *stage.Process) {
	t.Helper()
	var r lab.Report
	err := p.Await(t.Context(), "nothing is left", limit, func() bool {
		var err error
		r, err = audit(t.Context(), at)
		return err == nil && len(r.Prepared) == 0 && len(r.Disabled) == 0 && len(r.Snapshots) == 0 && len(r.Handles) == 0
	})
	if err != nil {
		t.Fatalf("%v; the laboratory has %+v", err, r)
	}
	nothingLeft(t, s)
	for _, m := range r.Misuses {
		t.Errorf("a rule of the library was broken: %+v", m)
	}
}

// shared makes a disk that two virtual machines have.
func shared(t *testing.T, s *stage.Stage) owner.Disk {
	t.Helper()
	d := filled(t, s, "shared", 16, 9)
	must(t, s.Owner.Attach(t.Context(), d.Ref, 0))
	must(t, s.Owner.Attach(t.Context(), d.Ref, 1))
	return d
}

// died waits for a process that was killed.
func died(t *testing.T, p *stage.Process) {
	t.Helper()
	end := make(chan error, 1)
	go func() { end <- p.Wait() }()
	select {
	case <-end:
	case <-time.After(limit):
		t.Fatalf("%s lives; it says:\n%s", p.Name, p.LastLines())
	}
}

// PrepareForAccess disables the relocation of several machines, and then fails. What
// it has disabled is undone, whether it is tried again or not, and even where
// EndAccess fails as well until long after the run; neighbours are done.
func TestPrepareThatFailsIsUndone(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := newStage(t)
	d := shared(t, s)
	filled(t, s, "neighbour", 8, 2)
	coordinator, _ := serve(t, s, "m1", "m2")
	fault := func(call string, times int) script.Fault {
		return script.Fault{Call: call, Disk: string(d.Ref.ID()), Times: times, Shared: true, Do: script.Code(26)}
	}

	must(t, script.WriteFaults(s.Path("lab"), fault("PrepareForAccess", 4))) // more than one step asks
	passed := backup(t, s, coordinator)
	if rec := recordOf(t, s, passed.ID, "shared"); passed.State != "done" || rec.Retries == 0 || !strings.Contains(rec.Retried, "prepare") {
		t.Errorf("a host that was away for a moment: %s, %+v", passed.State, rec)
	}
	accessEnded(t, s, s.Lab, coordinator)

	// The right to disable methods is there for the first machine and not for the second.
	must(t, script.WriteHosts(s.Path("lab"), script.Hosts{AccessRefused: []string{"lab-vm-2"}}))
	must(t, script.WriteFaults(s.Path("lab"), fault("EndAccess", script.Always)))
	id, err := s.Backup(ctx)
	must(t, err)
	r, err := s.Ended(ctx, coordinator, id, limit)
	if err == nil || r.State != "partial" || r.Disk("neighbour").Result != "done" {
		t.Errorf("without the right to disable methods: %v, %+v", err, r)
	}
	f := r.Disk("shared").Failure
	if f == nil || f.Kind != "denied" || !strings.Contains(f.Message, "prepare") || !strings.Contains(f.Message, "3014") {
		t.Errorf("the run tells %+v", f)
	}
	left, err := audit(ctx, s.Lab)
	must(t, err)
	if len(left.Prepared) != 1 || len(left.Disabled) != 1 || len(left.Snapshots) != 0 {
		t.Errorf("while EndAccess fails: %+v", left)
	}
	if note := recordOf(t, s, id, "shared").Note; !strings.Contains(note, "tried again") || !strings.Contains(note, "(26)") {
		t.Errorf("what is left to be done is told as %q", note)
	}
	must(t, script.WriteFaults(s.Path("lab")))
	accessEnded(t, s, s.Lab, coordinator)
	must(t, script.WriteHosts(s.Path("lab"), script.Hosts{}))
	if r := backup(t, s, coordinator); r.State != "done" {
		t.Errorf("afterwards: %+v", r)
	}
	accessEnded(t, s, s.Lab, coordinator)
}

// The coordinator is killed when access is prepared and there is no snapshot yet,
// and when the snapshot is deleted and access is not ended. After its next start
// both machines may be relocated, and the run is done.
func TestCoordinatorKilledBetweenAccessAndSnapshot(t *testing.T) {
	t.Parallel()
	for name, last := range map[string]bool{"before the snapshot": false, "after its deletion": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			s := newStage(t)
			d := shared(t, s)
			real := s.Lab
			p := newProxy(t, s.Lab.URL)
			s.Lab.URL, s.Lab.Thumbprint = p.url, p.thumbprint
			coordinator, _ := serve(t, s, "m1")
			had := false
			p.killWhen(coordinator.PID(), func() bool {
				r, err := audit(ctx, real)
				if err != nil {
					return false
				}
				had = had || len(r.Snapshots) > 0
				return had == last && len(r.Snapshots) == 0 && len(r.Disabled) == 2
			})
			id, err := s.Backup(ctx)
			must(t, err)
			died(t, coordinator)
			if r, err := audit(ctx, real); err != nil || len(r.Prepared) != 1 || len(r.Disabled) != 2 || len(r.Snapshots) != 0 {
				t.Fatalf("at the kill: %v, %+v", err, r)
			}
			p.arm(0, 0)
			coordinator, err = s.StartCoordinator(ctx)
			must(t, err)
			r, err := s.Ended(ctx, coordinator, id, limit)
			must(t, err)
			accessEnded(t, s, real, coordinator)
			flat, err := s.Flat(d)
			must(t, err)
			restoreAndCompare(t, s, coordinator, r.Disk("shared").Point, "back", flat)
		})
	}
}
