package queue_test

import (
	"context"
	"testing"
	"time"

	"ivdmover/coordinator/broker"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/queue"
	"ivdmover/shared/sealed"
)

// surgery is a server with a tap, and a doctor that has a heartbeat.
type surgery struct {
	server *broker.Server
	wire   *tap
	doctor *queue.Queue
	key    *sealed.Key
	ask    job.ExamineRequest
}

func newSurgery(t *testing.T) *surgery {
	t.Helper()
	s, err := broker.Start(t.Context(), broker.Options{Dir: t.TempDir()})
	must(t, err)
	t.Cleanup(s.Close)
	g := &surgery{server: s, wire: newTap(t, s)}
	g.doctor = g.connect(t)
	must(t, g.doctor.Setup(t.Context()))
	g.key, err = sealed.NewKey()
	must(t, err)
	g.ask = job.ExamineRequest{Version: job.Version, Doctor: "proxy-1/doctor-1", Process: "p1", Disk: string(testDisk)}
	return g
}

func (g *surgery) connect(t *testing.T) *queue.Queue {
	t.Helper()
	q, err := queue.Connect(t.Context(), queue.Options{InProcess: g.server})
	must(t, err)
	t.Cleanup(q.Close)
	return q
}

func (g *surgery) beat(t *testing.T) {
	t.Helper()
	must(t, g.doctor.Beat(t.Context(), job.Mover{
		Version: job.Version, Name: g.ask.Doctor, Process: g.ask.Process, Host: "host-1", Doctor: true, PublicKey: g.key.Public(),
	}))
}

func testExamination() job.Examination {
	return job.Examination{Run: "examination-p1", Disk: testJob("x").Disk, Name: "data", Capacity: 8 << 20, Snapshot: "snap", Made: true, Login: testLogin()}
}

func TestExaminationsLoginTravelsSealed(t *testing.T) {
	g := newSurgery(t)
	ctx := within(t, 30*time.Second)
	var asked []job.Mover
	stop, err := g.connect(t).ServeExaminations(ctx, func(_ context.Context, q job.ExamineRequest, m job.Mover) (job.Examination, error) {
		asked = append(asked, m)
		if q.Op == job.ExamineEnd {
			return job.Examination{}, ivd.Errorf(ivd.Locked, "not yet")
		}
		return testExamination(), nil
	})
	must(t, err)
	_, err = g.doctor.BeginExamination(ctx, g.ask, g.key)
	wantKind(t, err, ivd.Transient) // no heartbeat, no key
	g.beat(t)
	x, err := g.doctor.BeginExamination(ctx, g.ask, g.key)
	must(t, err)
	if x.Login != testLogin() || x.Name != "data" || x.Snapshot != "snap" || !x.Made || x.Disk != testJob("x").Disk {
		t.Errorf("%+v", x)
	}
	other, err := sealed.NewKey()
	must(t, err)
	_, err = g.doctor.BeginExamination(ctx, g.ask, other)
	wantKind(t, err, ivd.Denied)
	wrong := g.ask
	wrong.Process = "p2"
	_, err = g.doctor.BeginExamination(ctx, wrong, other)
	wantKind(t, err, ivd.Denied)
	wrong = g.ask
	wrong.Version++
	_, err = g.doctor.BeginExamination(ctx, wrong, g.key)
	wantKind(t, err, ivd.Unsupported)

	must(t, g.doctor.Leave(ctx, g.ask.Doctor))
	wantKind(t, g.doctor.EndExamination(ctx, g.ask), ivd.Locked) // its heartbeat may be gone by then
	stop()
	if len(asked) != 3 || asked[0].Host != "host-1" || asked[2].Host != "" {
		t.Errorf("asked for %+v", asked)
	}
	if g.wire.count(t, "sealed") == 0 {
		t.Error("the tap does not hear the answers")
	}
	for _, secret := range []string{testPassword, "cookie-never-in-clear", "[secret]"} {
		if n := g.wire.count(t, secret); n > 0 {
			t.Errorf("%q is on the wire in %d messages", secret, n)
		}
	}
}

// Each coordinator knows its own vCenters: the one that has the disk is waited for,
// and that nobody has it is said when all have answered.
func TestTheCoordinatorWhoHasTheDiskAnswers(t *testing.T) {
	g := newSurgery(t)
	g.beat(t)
	ctx := within(t, 30*time.Second)
	refused := make(chan struct{}, 8)
	answer := func(kind ivd.Kind, wait <-chan struct{}) {
		_, err := g.connect(t).ServeExaminations(ctx, func(ctx context.Context, q job.ExamineRequest, _ job.Mover) (job.Examination, error) {
			select {
			case <-wait:
			case <-ctx.Done():
			}
			if q.Disk == "nowhere" {
				kind = ivd.NotFound
			}
			if kind != "" {
				defer func() { refused <- struct{}{} }()
				return job.Examination{}, ivd.Errorf(kind, "not mine")
			}
			return testExamination(), nil
		})
		must(t, err)
	}
	now := make(chan struct{})
	close(now)
	answer(ivd.NotFound, now)
	answer(ivd.Conflict, now)
	_, err := g.doctor.BeginExamination(ctx, g.ask, g.key)
	wantKind(t, err, ivd.Conflict) // it says more than "not found"
	<-refused
	<-refused
	late := make(chan struct{})
	go func() { // the one who has it answers after the others
		<-refused
		<-refused
		close(late)
	}()
	answer("", late)
	x, err := g.doctor.BeginExamination(ctx, g.ask, g.key)
	must(t, err)
	if x.Name != "data" {
		t.Errorf("%+v", x)
	}
	g.ask.Disk = "nowhere"
	_, err = g.doctor.BeginExamination(ctx, g.ask, g.key)
	wantKind(t, err, ivd.NotFound)
}

// Nobody counts on a doctor for work.
func TestADoctorIsNoMover(t *testing.T) {
	g := newSurgery(t)
	g.beat(t)
	must(t, g.doctor.Beat(t.Context(), job.Mover{Version: job.Version, Name: "proxy-1"}))
	movers, _, err := g.doctor.Movers(t.Context())
	must(t, err)
	if len(movers) != 1 || movers[0].Name != "proxy-1" {
		t.Errorf("%+v", movers)
	}
	m, err := g.doctor.Mover(t.Context(), g.ask.Doctor)
	must(t, err)
	if !m.Doctor || m.Process != g.ask.Process {
		t.Errorf("%+v", m)
	}
	_, err = g.doctor.Mover(t.Context(), "proxy-2")
	wantKind(t, err, ivd.NotFound)
}
