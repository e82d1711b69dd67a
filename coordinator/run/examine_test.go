package run

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"ivdmover/coordinator/inventory"
	"ivdmover/deploy/lab/estate"
	"ivdmover/deploy/lab/owner"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/queue"
	"ivdmover/shared/sealed"
)

// visitor is a doctor's side of an examination.
type visitor struct {
	b     *bench
	q     *queue.Queue
	ask   job.ExamineRequest
	begin func(change func(*job.ExamineRequest)) (job.Examination, error)
}

func (b *bench) visitor(disk string) *visitor {
	b.Helper()
	key, err := sealed.NewKey()
	b.must(err)
	v := &visitor{b: b, q: b.connect(), ask: job.ExamineRequest{Version: job.Version, Doctor: "p-doctor-1", Process: uuid.NewString(), Disk: disk}}
	b.must(v.q.Beat(b.Context(), job.Mover{
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
func (b *bench) begun(d owner.Disk) (*visitor, job.Examination) {
	b.Helper()
	v := b.visitor(string(d.Ref.ID()))
	x, err := v.begin(nil)
	b.must(err)
	return v, x
}

// examining is a coordinator that answers doctors, and looks at the ledger only when
// told.
func (b *bench) examining(instance string) (s *Service, c *skipped, stop func()) {
	b.Helper()
	s, c = b.watching(instance)
	stop, err := s.Queue.ServeExaminations(b.Context(), s.examine)
	b.must(err)
	c.advance(silentMover) // it has been there for a while
	return s, c, stop
}

func (b *bench) look(s *Service) {
	b.Helper()
	b.must(s.settleLedger(b.Context()))
	s.settling.group.Wait()
}

// A doctor is told what vSphere says, may read a snapshot of its own, and leaves
// nothing. The disk is found by its id, the beginning of that, and its name.
func TestExamination(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	d, other := b.disk("a", 8), b.disk("b", 8)
	byHand, err := b.vc.CreateSnapshot(t.Context(), b.inLab(d.Ref), "by hand")
	b.must(err)
	s, _ := b.serving("one")
	for _, text := range []string{string(d.Ref.ID()), strings.ToUpper(string(d.Ref.ID())), string(d.Ref.ID())[:30], "a"} {
		v := b.visitor(text)
		x, err := v.begin(nil)
		b.must(err)
		if x.Disk != b.inLab(d.Ref) || x.Name != "a" || x.Datastore != "datastore1" || x.Capacity != 8<<20 || !x.Made || x.Snapshot == byHand || x.Deadline.IsZero() {
			t.Errorf("%q: %+v", text, x)
		}
		if x.Login.Cookie == "" || x.Login.Allows == nil || !slices.Equal(x.Login.Allows.ProxyVMs, []string{estate.BIOSUUID("lab-vm-1")}) {
			t.Errorf("%q: the login says %+v", text, x.Login.Allows)
		}
		b.look(s) // it is being read
		if n := b.snapshots(d); n != 2 || len(b.ledger()) != 1 {
			t.Errorf("%d snapshots while it is examined, the ledger has %v", n, b.ledger())
		}
		v.ask.Disk = string(x.Disk.ID())
		b.must(v.q.EndExamination(t.Context(), v.ask))
		b.must(v.q.EndExamination(t.Context(), v.ask)) // again
	}
	v := b.visitor(string(d.Ref.ID()))
	x, err := v.begin(func(q *job.ExamineRequest) { q.Snapshot = byHand })
	b.must(err)
	if x.Made || x.Snapshot != byHand || len(b.ledger()) != 0 {
		t.Errorf("%+v, the ledger has %v", x, b.ledger())
	}
	b.must(v.q.EndExamination(t.Context(), v.ask))
	if b.snapshots(d) != 1 || b.snapshots(other) != 0 || len(b.ledger()) != 0 {
		t.Errorf("%d and %d snapshots are left, the ledger has %v", b.snapshots(d), b.snapshots(other), b.ledger())
	}
}

// inLab is a disk of the laboratory as the coordinator refers to it.
func (b *bench) inLab(r ivd.DiskRef) ivd.DiskRef {
	return ivd.NewDiskRef(b.vc.Source(), r.Datastore(), r.ID())
}

// What cannot be examined is said with what to do, and leaves nothing.
func TestExaminationThatCannotBegin(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	d := b.disk("data", 8)
	b.disk("data", 8)
	s, _, _ := b.examining("one")
	full := false
	b.wire.intercept(func(method, _ string) error {
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
		{"a name of two", "data", "", false, ivd.Invalid, "whole id"},
		{"nothing", "", "", false, ivd.NotFound, "`ivd disks`"},
		{"no such snapshot", string(d.Ref.ID()), "gone", false, ivd.Invalid, "leave --snapshot out"},
		{"vSphere makes none", string(d.Ref.ID()), "", true, ivd.Transient, ""},
	} {
		full = c.full
		_, err := b.visitor(c.disk).begin(func(q *job.ExamineRequest) { q.Snapshot = c.snapshot })
		if ivd.KindOf(err) != c.kind || ivd.RemedyOf(err) == "" || !strings.Contains(ivd.RemedyOf(err), c.says) {
			t.Errorf("%s: %v (%s), want kind %q", c.what, err, ivd.RemedyOf(err), c.kind)
		}
	}
	_, err := b.visitor("x").begin(func(q *job.ExamineRequest) { q.Process = "not one's own" })
	if ivd.KindOf(err) != ivd.Denied {
		t.Errorf("another's process: %v", err)
	}
	_, err = s.examine(t.Context(), job.ExamineRequest{Op: "cure", Process: uuid.NewString()}, job.Mover{})
	if ivd.KindOf(err) != ivd.Unsupported {
		t.Errorf("another question: %v", err)
	}
	b.nothingLeft(d)
	if l := b.ledger(); len(l) != 1 { // what was asked of vSphere may still appear
		t.Errorf("the ledger has %v", l)
	}
}

// A doctor that is killed says nothing: its snapshot goes when its heartbeat does.
func TestDoctorThatIsKilled(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	d := b.disk("a", 8)
	s, _, _ := b.examining("one")
	v, _ := b.begun(d)
	b.look(s)
	if b.snapshots(d) != 1 {
		t.Fatal("the snapshot was deleted under a doctor that lives")
	}
	b.must(v.q.Leave(t.Context(), v.ask.Doctor))
	b.look(s)
	b.nothingLeft(d)
	if l := b.ledger(); len(l) != 0 {
		t.Errorf("the ledger has %v", l)
	}
	v, _ = b.begun(d) // a second doctor of that name, after which the first is not there
	b.must(v.q.Beat(t.Context(), job.Mover{Version: job.Version, Name: v.ask.Doctor, Process: "another", Doctor: true}))
	b.look(s)
	b.nothingLeft(d)
}

// One that never comes to its end is not waited for.
func TestExaminationHasALimit(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	d := b.disk("a", 8)
	s, clock, _ := b.examining("one")
	b.begun(d)
	clock.advance(examinationLimit - time.Minute)
	b.look(s)
	if b.snapshots(d) != 1 {
		t.Error("deleted too soon")
	}
	clock.advance(2 * time.Minute)
	b.look(s)
	b.nothingLeft(d)
}

// A coordinator that is started again, or another one, goes by the ledger: also where
// vSphere had not answered when the first one died.
func TestExaminationOutlivesItsCoordinator(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	d := b.disk("a", 8)
	_, _, stop := b.examining("one")
	v, _ := b.begun(d)
	stop()
	s, _, stop := b.examining("one")
	b.look(s)
	if b.snapshots(d) != 1 {
		t.Fatal("deleted under a doctor that lives")
	}
	b.must(v.q.EndExamination(t.Context(), v.ask))
	b.nothingLeft(d)

	v, _ = b.begun(d)
	stop()
	two, clock, _ := b.examining("two")
	if err := v.q.EndExamination(t.Context(), v.ask); ivd.KindOf(err) != ivd.Conflict {
		t.Errorf("another coordinator ends it: %v", err)
	}
	b.must(v.q.Leave(t.Context(), v.ask.Doctor))
	clock.advance(-silentMover) // as if it had begun just now: heartbeats may have been lost
	b.look(two)
	if b.snapshots(d) != 1 {
		t.Error("a doctor has no time to say that it lives")
	}
	clock.advance(silentMover)
	b.look(two)
	b.nothingLeft(d)

	l := Ledger{Version: Version, Run: examination + "x", Ref: b.inLab(d.Ref), Key: d.Ref.ID(), Opened: time.Now(), Examiner: &Examiner{Doctor: "gone"}}
	_, err := two.open(t.Context(), l)
	b.must(err)
	_, err = b.vc.CreateSnapshot(t.Context(), l.Ref, l.mark())
	b.must(err)
	b.look(two)
	b.nothingLeft(d)
	if n := len(b.ledger()); n != 1 {
		t.Errorf("%d entries: vSphere was asked and may make another one", n)
	}
}

// Of two coordinators of one vCenter one examines; of two with a vCenter each, the
// one that has the disk.
func TestOneOfTheCoordinatorsExamines(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	d := b.disk("a", 8)
	blind := b.service("blind")
	blind.VCenters = map[ivd.SourceID]*inventory.VCenter{}
	stop, err := blind.Queue.ServeExaminations(t.Context(), blind.examine)
	b.must(err)
	defer stop()
	b.examining("one")
	b.examining("two")
	v, _ := b.begun(d)
	if n := b.snapshots(d); n != 1 || len(b.ledger()) != 1 {
		t.Errorf("%d snapshots, the ledger has %v", n, b.ledger())
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	b.must(v.q.EndExamination(ctx, v.ask))
	b.nothingLeft(d)
}
