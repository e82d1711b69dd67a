package queue_test

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"ivdmover/coordinator/broker"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/queue"
	"ivdmover/shared/sealed"
)

const testPassword = "pa55-never-in-clear"

func testLogin() job.Login {
	return job.Login{
		Server: "vc.example.net", Port: 443, NFCPort: 902, User: "administrator@vsphere.local",
		Password: testPassword, Cookie: "cookie-never-in-clear", Thumbprint: "AA:BB",
	}
}

// tap records every message of a server, the internal ones of JetStream's API included.
type tap struct {
	nc *nats.Conn

	mu   sync.Mutex
	wire [][]byte
}

func newTap(t *testing.T, s *broker.Server) *tap {
	t.Helper()
	nc, err := nats.Connect("", nats.InProcessServer(s), nats.Token(s.Token()))
	must(t, err)
	t.Cleanup(nc.Close)
	p := &tap{nc: nc}
	_, err = nc.Subscribe(">", func(m *nats.Msg) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.wire = append(p.wire, append([]byte(m.Subject+" "), m.Data...))
	})
	must(t, err)
	must(t, nc.Flush())
	return p
}

func (p *tap) count(t *testing.T, text string) int {
	t.Helper()
	must(t, p.nc.Flush()) // what was sent before is here
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, m := range p.wire {
		if bytes.Contains(m, []byte(text)) {
			n++
		}
	}
	return n
}

func TestLoginTravelsSealed(t *testing.T) {
	s, err := broker.Start(t.Context(), broker.Options{Dir: t.TempDir()})
	must(t, err)
	t.Cleanup(s.Close)
	connect := func() *queue.Queue {
		q, err := queue.Connect(t.Context(), queue.Options{InProcess: s})
		must(t, err)
		t.Cleanup(q.Close)
		return q
	}
	wire := newTap(t, s)
	coordinator, mover := connect(), connect()
	ctx := within(t, 30*time.Second)
	must(t, coordinator.Setup(ctx))
	_, err = coordinator.ServeLogins(ctx, func(_ context.Context, r job.LoginRequest, _ job.Mover) (job.Login, error) {
		if r.Disk.Datastore() == "datastore-none" {
			return job.Login{}, &ivd.Error{Kind: ivd.NotFound, Op: "login", Err: context.Canceled, Remedy: "look"}
		}
		l := testLogin()
		l.Allows = &job.Allows{DatastoreType: "VMFS", Placement: true, ProxyVMs: []string{"vm-never-in-clear"}}
		return l, nil
	})
	must(t, err)
	key, err := sealed.NewKey()
	must(t, err)
	req := job.LoginRequest{Version: job.Version, Mover: "proxy-1.example", Process: "p1", Run: testRun, Disk: testJob("x").Disk.Ref}

	_, err = mover.AskLogin(ctx, req, key)
	wantKind(t, err, ivd.Transient) // no heartbeat yet
	must(t, mover.Beat(ctx, job.Mover{Version: job.Version, Name: req.Mover, Process: "p1", PublicKey: key.Public()}))
	got, err := mover.AskLogin(ctx, req, key)
	must(t, err)
	if a := got.Allows; a == nil || a.DatastoreType != "VMFS" || !a.Placement || !slices.Equal(a.ProxyVMs, []string{"vm-never-in-clear"}) {
		t.Fatalf("what bears on the transports became %+v", a)
	}
	if got.Allows = nil; got != testLogin() {
		t.Fatal("the login is not the one that was sent")
	}

	other, err := sealed.NewKey()
	must(t, err)
	_, err = mover.AskLogin(ctx, req, other) // in another's name
	wantKind(t, err, ivd.Denied)
	wrong := req
	wrong.Process = "p2"
	_, err = mover.AskLogin(ctx, wrong, other)
	wantKind(t, err, ivd.Conflict)
	wrong = req
	wrong.Disk = wrong.Disk.On("datastore-none")
	_, err = mover.AskLogin(ctx, wrong, key)
	wantKind(t, err, ivd.NotFound)
	if ivd.RemedyOf(err) != "look" {
		t.Fatalf("the remedy was lost: %v", err)
	}
	wrong = req
	wrong.Version = job.Version + 1
	_, err = mover.AskLogin(ctx, wrong, key)
	wantKind(t, err, ivd.Unsupported)

	if wire.count(t, string(testDisk)) == 0 || wire.count(t, "sealed") == 0 {
		t.Fatal("the tap does not hear the questions and answers")
	}
	for _, secret := range []string{testPassword, "cookie-never-in-clear", "vm-never-in-clear", "[secret]"} {
		if n := wire.count(t, secret); n > 0 {
			t.Fatalf("%q is on the wire in %d messages", secret, n)
		}
	}
}

// Coordinators on one queue need not know the same vCenters: who knows the disk's is
// asked.
func TestLoginsAreAskedOfWhoKnowsTheSource(t *testing.T) {
	h := newHouse(t)
	mover := h.connect(queue.Options{})
	ctx := within(t, 20*time.Second)
	key, err := sealed.NewKey()
	must(t, err)
	must(t, mover.Beat(ctx, job.Mover{Version: job.Version, Name: "m", PublicKey: key.Public()}))
	for who, sources := range map[string][]ivd.SourceID{"first": {"a", "vc.b"}, "second": {"c"}} {
		stop, err := h.connect(queue.Options{}).ServeLogins(ctx, func(_ context.Context, r job.LoginRequest, _ job.Mover) (job.Login, error) {
			return job.Login{Server: string(r.Disk.Source()), User: who}, nil
		}, sources...)
		must(t, err)
		defer stop()
	}
	ask := func(source ivd.SourceID) (job.Login, error) {
		return mover.AskLogin(ctx, job.LoginRequest{Version: job.Version, Mover: "m", Disk: ivd.NewDiskRef(source, "", testDisk)}, key)
	}
	for source, who := range map[ivd.SourceID]string{"a": "first", "vc.b": "first", "c": "second"} {
		for range 8 {
			l, err := ask(source)
			must(t, err)
			if l.User != who || l.Server != string(source) {
				t.Fatalf("%s: %+v", source, l)
			}
		}
	}
	_, err = ask("d")
	wantKind(t, err, ivd.Transient)
	for _, source := range []ivd.SourceID{"*", ">", "a b"} {
		_, err = ask(source)
		wantKind(t, err, ivd.Invalid)
	}
}

func TestNobodyAnswers(t *testing.T) {
	q := newHouse(t).connect(queue.Options{})
	ctx := within(t, 10*time.Second)
	key, err := sealed.NewKey()
	must(t, err)
	_, err = q.AskLogin(ctx, job.LoginRequest{Version: job.Version, Mover: "m"}, key)
	wantKind(t, err, ivd.Transient)
	_, err = q.Ask(ctx, "m", job.Request{Version: job.Version, Op: job.Inspect})
	wantKind(t, err, ivd.Transient)
	_, err = q.BeginExamination(ctx, job.ExamineRequest{Version: job.Version, Doctor: "m", Disk: "d"}, key)
	wantKind(t, err, ivd.Transient)
	if ivd.RemedyOf(err) == "" {
		t.Errorf("no remedy: %v", err)
	}
	if ctx.Err() != nil {
		t.Fatal("it took too long to learn that nobody answers")
	}
}

func TestRequestsToMovers(t *testing.T) {
	h := newHouse(t)
	coordinator, mover := h.connect(queue.Options{}), h.connect(queue.Options{})
	ctx := within(t, 20*time.Second)
	stop, err := mover.ServeRequests(ctx, "proxy.one", func(_ context.Context, r job.Request) job.Reply {
		if r.Op == job.PrepareAccess {
			return job.Reply{Failure: ivd.FailureOf(ivd.Errorf(ivd.Locked, "in use"))}
		}
		return job.Reply{Capacity: 42}
	})
	must(t, err)
	reply, err := coordinator.Ask(ctx, "proxy.one", job.Request{Version: job.Version, Op: job.Inspect})
	must(t, err)
	if reply.Capacity != 42 {
		t.Fatalf("answer %+v", reply)
	}
	for kind, req := range map[ivd.Kind]job.Request{
		ivd.Locked:      {Version: job.Version, Op: job.PrepareAccess},
		ivd.Unsupported: {Version: job.Version + 1, Op: job.Inspect},
	} {
		reply, err := coordinator.Ask(ctx, "proxy.one", req)
		must(t, err)
		wantKind(t, reply.Failure.Err(), kind)
	}
	_, err = coordinator.Ask(ctx, "proxy.*", job.Request{Version: job.Version})
	wantKind(t, err, ivd.Invalid)

	stop()
	stop()
	_, err = coordinator.Ask(ctx, "proxy.one", job.Request{Version: job.Version, Op: job.Inspect})
	wantKind(t, err, ivd.Transient)
}

// A mover asks in its own name: the server holds it to its subjects, and they to what it
// says.
func TestQuestionsInAnothersName(t *testing.T) {
	h := newHouse(t)
	coordinator := h.connect(queue.Options{})
	ctx := within(t, 20*time.Second)
	_, err := coordinator.ServeLogins(ctx, func(context.Context, job.LoginRequest, job.Mover) (job.Login, error) {
		return testLogin(), nil
	})
	must(t, err)
	_, err = coordinator.ServeExaminations(ctx, func(context.Context, job.ExamineRequest, job.Mover) (job.Examination, error) {
		return testExamination(), nil
	})
	must(t, err)
	_, err = coordinator.ServeGrants(ctx, "repository-1", func(context.Context, job.GrantRequest, job.Mover) ([]byte, error) { return []byte("grant"), nil })
	must(t, err)
	_, err = coordinator.ServePackKeys(ctx, "repository-1", true, func(context.Context, job.PackKeysRequest, job.Mover) ([]job.PackKey, error) { return nil, nil })
	must(t, err)
	key, err := sealed.NewKey()
	must(t, err)
	for _, name := range []string{"victim", "victim/doctor-1"} {
		must(t, coordinator.Beat(ctx, job.Mover{Version: job.Version, Name: name, Process: "p", PublicKey: key.Public()}))
	}
	raw, err := nats.Connect("", nats.InProcessServer(h), nats.Token(h.Token()))
	must(t, err)
	t.Cleanup(raw.Close)
	for subject, body := range map[string]any{
		"ivd.login.vc-lab.mallory":            job.LoginRequest{Version: job.Version, Mover: "victim", Process: "p", Run: testRun, Disk: testJob("x").Disk.Ref},
		"ivd.keys.packs.repository-1.mallory": job.PackKeysRequest{Version: job.Version, Repository: "repository-1", Claim: job.Claim{Mover: "victim", Process: "p", Run: testRun, Disk: testJob("x").Disk.Ref}},
		"ivd.keys.grant.repository-1.mallory": job.GrantRequest{Version: job.Version, Mover: "victim", Process: "p", Repository: "repository-1"},
		"ivd.examine.mallory":                 job.ExamineRequest{Version: job.Version, Op: job.ExamineBegin, Doctor: "victim/doctor-1", Process: "p"},
	} {
		text, err := json.Marshal(body)
		must(t, err)
		for said, want := range map[string]bool{subject: false, strings.Replace(subject, "mallory", "victim", 1): true} {
			answers, err := raw.SubscribeSync(nats.NewInbox())
			must(t, err)
			must(t, raw.PublishRequest(said, answers.Subject, text))
			var a struct {
				Failure *ivd.Failure `json:"failure"`
				Sealed  []byte       `json:"sealed"`
			}
			for a.Failure == nil && a.Sealed == nil { // first they say that they work
				m, err := answers.NextMsgWithContext(ctx)
				must(t, err)
				if len(m.Data) > 0 {
					must(t, json.Unmarshal(m.Data, &a))
				}
			}
			if (a.Sealed != nil) != want || !want && a.Failure.Kind != ivd.Denied {
				t.Errorf("%s: %+v", said, a.Failure)
			}
		}
	}
}
