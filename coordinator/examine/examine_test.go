package examine_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"ivdmover/coordinator/backup"
	"ivdmover/coordinator/coordtest"
	"ivdmover/coordinator/examine"
	"ivdmover/coordinator/fleet"
	"ivdmover/coordinator/inventory"
	"ivdmover/coordinator/ledger"
	"ivdmover/deploy/lab/estate"
	"ivdmover/deploy/lab/owner"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/queue"
	"ivdmover/shared/repo"
	"ivdmover/shared/sealed"
)

// visitor is a doctor's side of an examination.
type visitor struct {
	b     *coordtest.Bench
	q     *queue.Queue
	ask   job.ExamineRequest
	begin func(change func(*job.ExamineRequest)) (job.Examination, error)
}

func visit(b *coordtest.Bench, disk string) *visitor {
	b.Helper()
	key, err := sealed.NewKey()
	b.Must(err)
	v := &visitor{b: b, q: b.Connect(), ask: job.ExamineRequest{Version: job.Version, Doctor: "p/doctor-1", Process: uuid.NewString(), Disk: disk}}
	b.Must(v.q.Beat(b.Context(), job.Mover{
		Version: job.Version, Name: v.ask.Doctor, Process: v.ask.Process, Host: "host-1", Doctor: true,
		BIOSUUID: estate.BIOSUUID("lab-vm-1"), PublicKey: key.Public(),
	}))
	v.begin = func(change func(*job.ExamineRequest)) (job.Examination, error) {
		q := v.ask
		if change != nil {
			change(&q)
		}
		return v.q.BeginExamination(b.Context(), q, key)
	}
	return v
}

// begun is an examination of a disk by its id.
func begun(b *coordtest.Bench, d owner.Disk) (*visitor, job.Examination) {
	b.Helper()
	v := visit(b, string(d.Ref.ID()))
	x, err := v.begin(nil)
	b.Must(err)
	return v, x
}

// examining is a coordinator that answers doctors, and looks at the ledger only when
// told.
func examining(b *coordtest.Bench, instance string) (c *coordtest.Coordinator, stop func()) {
	b.Helper()
	c = b.Coordinator(instance)
	stop, err := c.Doctors.Serve(b.Context(), c.Queue)
	b.Must(err)
	c.Clock.Advance(fleet.SilentMover) // it has been there for a while
	return c, stop
}

// A doctor is told what vSphere says, may read a snapshot of its own, and leaves
// nothing. The disk is found by its id, the beginning of that, and its name.
func TestExamination(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	d, other := b.Disk("a", 8), b.Disk("b", 8)
	byHand, err := b.VC.CreateSnapshot(t.Context(), b.InLab(d.Ref), "by hand")
	b.Must(err)
	s, _ := examining(b, "one")
	for _, text := range []string{string(d.Ref.ID()), strings.ToUpper(string(d.Ref.ID())), string(d.Ref.ID())[:30], "a"} {
		v := visit(b, text)
		x, err := v.begin(nil)
		b.Must(err)
		if x.Disk.Ref != b.InLab(d.Ref) || x.Name != "a" || x.Datastore != "datastore1" || x.Capacity != 8<<20 || !x.Made || x.Snapshot == byHand || x.Deadline.IsZero() {
			t.Errorf("%q: %+v", text, x)
		}
		if x.Login.Cookie == "" || x.Login.Allows == nil || !slices.Equal(x.Login.Allows.ProxyVMs, []string{estate.BIOSUUID("lab-vm-1")}) {
			t.Errorf("%q: the login says %+v", text, x.Login.Allows)
		}
		b.Settle(s) // it is being read
		if n := b.Snapshots(d); n != 2 || len(b.Ledger()) != 1 {
			t.Errorf("%d snapshots while it is examined, the ledger has %v", n, b.Ledger())
		}
		v.ask.Disk = string(x.Disk.Ref.ID())
		b.Must(v.q.EndExamination(t.Context(), v.ask))
		b.Must(v.q.EndExamination(t.Context(), v.ask)) // again
	}
	v := visit(b, string(d.Ref.ID()))
	x, err := v.begin(func(q *job.ExamineRequest) { q.Snapshot = byHand })
	b.Must(err)
	if x.Made || x.Snapshot != byHand || len(b.Ledger()) != 0 {
		t.Errorf("%+v, the ledger has %v", x, b.Ledger())
	}
	b.Must(v.q.EndExamination(t.Context(), v.ask))
	if b.Snapshots(d) != 1 || b.Snapshots(other) != 0 || len(b.Ledger()) != 0 {
		t.Errorf("%d and %d snapshots are left, the ledger has %v", b.Snapshots(d), b.Snapshots(other), b.Ledger())
	}
}

// What cannot be examined is said with what to do, and leaves nothing.
func TestExaminationThatCannotBegin(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	d := b.Disk("data", 8)
	b.Disk("data", 8)
	s, _ := examining(b, "one")
	full := false
	b.Wire.Intercept(func(method, _ string) error {
		if full && method == "VStorageObjectCreateSnapshot_Task" {
			return errors.New("away")
		}
		return nil
	})
	for _, c := range []struct {
		what, disk string
		snapshot   ivd.SnapshotID
		full       bool
		kind       ivd.Kind
		says       string
	}{
		{"nobody's", "33333333-3333-4333-8333-333333333333", "", false, ivd.NotFound, "`ivd disks`"},
		{"a name of two", "data", "", false, ivd.Unmet, "whole id"},
		{"nothing", "", "", false, ivd.NotFound, "`ivd disks`"},
		{"no such snapshot", string(d.Ref.ID()), "gone", false, ivd.NotFound, "leave --snapshot out"},
		{"vSphere makes none", string(d.Ref.ID()), "", true, ivd.Transient, ""},
	} {
		full = c.full
		_, err := visit(b, c.disk).begin(func(q *job.ExamineRequest) { q.Snapshot = c.snapshot })
		if ivd.KindOf(err) != c.kind || ivd.RemedyOf(err) == "" || !strings.Contains(ivd.RemedyOf(err), c.says) {
			t.Errorf("%s: %v (%s), want kind %q", c.what, err, ivd.RemedyOf(err), c.kind)
		}
	}
	_, err := visit(b, "x").begin(func(q *job.ExamineRequest) { q.Process = "not one's own" })
	if ivd.KindOf(err) != ivd.Denied {
		t.Errorf("another's process: %v", err)
	}
	_, err = s.Doctors.Answer(t.Context(), job.ExamineRequest{Op: "cure", Process: uuid.NewString()}, job.Mover{})
	if ivd.KindOf(err) != ivd.Unsupported {
		t.Errorf("another question: %v", err)
	}
	b.NothingLeft(d)
	if l := b.Ledger(); len(l) != 1 { // what was asked of vSphere may still appear
		t.Errorf("the ledger has %v", l)
	}
}

// A doctor that is killed says nothing: its snapshot goes when its heartbeat does.
func TestDoctorThatIsKilled(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	d := b.Disk("a", 8)
	s, _ := examining(b, "one")
	v, _ := begun(b, d)
	b.Settle(s)
	if b.Snapshots(d) != 1 {
		t.Fatal("the snapshot was deleted under a doctor that lives")
	}
	b.Must(v.q.Leave(t.Context(), v.ask.Doctor))
	b.Settle(s)
	b.NothingLeft(d)
	if l := b.Ledger(); len(l) != 0 {
		t.Errorf("the ledger has %v", l)
	}
	v, _ = begun(b, d) // a second doctor of that name, after which the first is not there
	b.Must(v.q.Beat(t.Context(), job.Mover{Version: job.Version, Name: v.ask.Doctor, Process: "another", Doctor: true}))
	b.Settle(s)
	b.NothingLeft(d)
}

// One that never comes to its end is not waited for.
func TestExaminationHasALimit(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	d := b.Disk("a", 8)
	s, _ := examining(b, "one")
	begun(b, d)
	s.Clock.Advance(examine.Limit - time.Minute)
	b.Settle(s)
	if b.Snapshots(d) != 1 {
		t.Error("deleted too soon")
	}
	s.Clock.Advance(2 * time.Minute)
	b.Settle(s)
	b.NothingLeft(d)
}

// A coordinator that is started again, or another one, goes by the ledger: also where
// vSphere had not answered when the first one died.
func TestExaminationOutlivesItsCoordinator(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	d := b.Disk("a", 8)
	_, stop := examining(b, "one")
	v, _ := begun(b, d)
	stop()
	s, stop := examining(b, "one")
	b.Settle(s)
	if b.Snapshots(d) != 1 {
		t.Fatal("deleted under a doctor that lives")
	}
	b.Must(v.q.EndExamination(t.Context(), v.ask))
	b.NothingLeft(d)

	v, _ = begun(b, d)
	stop()
	two, _ := examining(b, "two")
	if err := v.q.EndExamination(t.Context(), v.ask); ivd.KindOf(err) != ivd.Conflict {
		t.Errorf("another coordinator ends it: %v", err)
	}
	b.Must(v.q.Leave(t.Context(), v.ask.Doctor))
	two.Clock.Advance(-fleet.SilentMover) // as if it had begun just now: heartbeats may have been lost
	b.Settle(two)
	if b.Snapshots(d) != 1 {
		t.Error("a doctor has no time to say that it lives")
	}
	two.Clock.Advance(fleet.SilentMover)
	b.Settle(two)
	b.NothingLeft(d)

	run := ivd.RunID("examination-x")
	_, err := two.Ledger.Open(t.Context(), ledger.Obligation{Run: run, Item: string(d.Ref.ID()), Kind: "examination", Asked: true},
		map[string]any{"disk": b.InLab(d.Ref), "doctor": "gone"})
	b.Must(err)
	_, err = b.VC.CreateSnapshot(t.Context(), b.InLab(d.Ref), "ivdmover examination-x")
	b.Must(err)
	b.Settle(two)
	b.NothingLeft(d)
	if n := len(b.Ledger()); n != 1 {
		t.Errorf("%d entries: vSphere was asked and may make another one", n)
	}
}

// Of two coordinators of one vCenter one examines; of two with a vCenter each, the
// one that has the disk.
func TestOneOfTheCoordinatorsExamines(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	d := b.Disk("a", 8)
	blind := b.CoordinatorOf("blind", inventory.NewSources())
	stop, err := blind.Doctors.Serve(t.Context(), blind.Queue)
	b.Must(err)
	defer stop()
	examining(b, "one")
	examining(b, "two")
	v, _ := begun(b, d)
	if n := b.Snapshots(d); n != 1 || len(b.Ledger()) != 1 {
		t.Errorf("%d snapshots, the ledger has %v", n, b.Ledger())
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	b.Must(v.q.EndExamination(ctx, v.ask))
	b.NothingLeft(d)
}

// The mark of an examination's snapshot names the repository, and its lease there says
// whether somebody works with it: though the ledger be lost, it is found and deleted when
// the lease is over, and not before.
func TestExaminationThatTheLedgerHasLost(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	d := b.Disk("a", 8)
	s, _ := examining(b, "one")
	v, x := begun(b, d)
	snaps, err := b.VC.Snapshots(t.Context(), b.InLab(d.Ref))
	b.Must(err)
	m, ok := backup.ReadMark(snaps[0].Description)
	if len(snaps) != 1 || !ok || m.Run != x.Run || !s.Backup.Ours(m) || b.Leases() != 1 {
		t.Fatalf("%+v, %+v, %d leases", snaps, m, b.Leases())
	}
	b.Must(s.Queue.State().DeletePrefix(t.Context(), "ledger"))
	sweep := func() {
		t.Helper()
		b.Must(s.Queue.State().DeletePrefix(t.Context(), "turn"))
		b.Must(s.Backup.Sweep(t.Context(), s.Engine))
	}
	sweep()
	if b.Snapshots(d) != 1 {
		t.Error("deleted under its lease")
	}
	b.Must(v.q.EndExamination(t.Context(), v.ask)) // of which nobody knows any more
	for l, err := range b.Repo.Leases(t.Context()) {
		b.Must(err)
		if l.Deadline.After(time.Now().Add(examine.Limit + 2*repo.Margin)) {
			t.Errorf("its lease lasts until %s", l.Deadline)
		}
		b.Must(b.Repo.EndLease(t.Context(), l.ID))
	}
	sweep()
	b.NothingLeft(d)

	begun(b, d) // one that ends as it should leaves no lease
	s.Clock.Advance(examine.Limit + time.Minute)
	b.Settle(s)
	b.NothingLeft(d)
	if n := b.Leases(); n != 0 {
		t.Errorf("%d leases are left", n)
	}
}

// An examination's snapshot grows no older than the vCenter's limit for snapshots.
func TestExaminationKeepsToTheSnapshotAge(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	d := b.Disk("a", 8)
	s := b.Coordinator("one")
	s.Doctors.SnapshotAge = func(ivd.SourceID) time.Duration { return 10 * time.Minute }
	stop, err := s.Doctors.Serve(t.Context(), s.Queue)
	b.Must(err)
	defer stop()
	_, x := begun(b, d)
	if left := time.Until(x.Deadline); left > 10*time.Minute {
		t.Errorf("it may last for %s", left)
	}
	s.Clock.Advance(9 * time.Minute)
	b.Settle(s)
	if b.Snapshots(d) != 1 {
		t.Error("deleted too soon")
	}
	s.Clock.Advance(2 * time.Minute)
	b.Settle(s)
	b.NothingLeft(d)
}
