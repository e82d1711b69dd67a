package queue_test

import (
	"context"
	"encoding/hex"
	"testing"
	"time"

	"ivdmover/coordinator/broker"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/queue"
	"ivdmover/shared/sealed"
)

// sealedWire is a mover with a heartbeat and a coordinator on one server.
func sealedWire(t *testing.T) (ctx context.Context, coordinator, mover *queue.Queue, key *sealed.Key, s *broker.Server) {
	t.Helper()
	s, err := broker.Start(t.Context(), broker.Options{Dir: t.TempDir()})
	must(t, err)
	t.Cleanup(s.Close)
	connect := func() *queue.Queue {
		q, err := queue.Connect(t.Context(), queue.Options{InProcess: s})
		must(t, err)
		t.Cleanup(q.Close)
		return q
	}
	ctx, coordinator, mover = within(t, 30*time.Second), connect(), connect()
	must(t, coordinator.Setup(ctx))
	key, err = sealed.NewKey()
	must(t, err)
	must(t, mover.Beat(ctx, job.Mover{Version: job.Version, Name: "proxy-1", Process: "p1", PublicKey: key.Public()}))
	return ctx, coordinator, mover, key, s
}

// A grant is for the mover that asked, by the key in its heartbeat, and of that
// repository alone; it is in no message in the clear.
func TestGrantTravelsSealed(t *testing.T) {
	ctx, coordinator, mover, key, s := sealedWire(t)
	const secret = "grant-never-in-clear"
	req := job.GrantRequest{Version: job.Version, Mover: "proxy-1", Process: "p1", Repository: "r-1"}
	_, err := mover.AskGrant(ctx, req, key)
	wantKind(t, err, ivd.Transient) // nobody answers yet
	_, err = coordinator.ServeGrants(ctx, "r-1", func(_ context.Context, q job.GrantRequest, m job.Mover) ([]byte, error) {
		if m.Name != q.Mover {
			t.Errorf("%s asks, and the heartbeat is of %s", q.Mover, m.Name)
		}
		return []byte(secret), nil
	})
	must(t, err)
	for kind, change := range map[ivd.Kind]func(*job.GrantRequest){
		ivd.Conflict:    func(r *job.GrantRequest) { r.Process = "p2" },
		ivd.Transient:   func(r *job.GrantRequest) { r.Repository = "r-2" },
		ivd.Unsupported: func(r *job.GrantRequest) { r.Version++ },
		ivd.Invalid:     func(r *job.GrantRequest) { r.Repository = "r.>" },
	} {
		wrong := req
		change(&wrong)
		_, err = mover.AskGrant(ctx, wrong, key)
		wantKind(t, err, kind)
	}
	wire := newTap(t, s) // from now on somebody listens to all questions
	got, err := mover.AskGrant(ctx, req, key)
	must(t, err)
	if string(got) != secret {
		t.Errorf("the grant became %q", got)
	}
	other, err := sealed.NewKey()
	must(t, err)
	_, err = mover.AskGrant(ctx, req, other)
	wantKind(t, err, ivd.Denied)
	if wire.count(t, "ivd.keys.grant.r-1.proxy-1") == 0 || wire.count(t, "sealed") == 0 {
		t.Fatal("the tap does not hear the questions and answers")
	}
	for _, text := range []string{secret, hex.EncodeToString([]byte(secret)), "Z3JhbnQtbmV2ZXItaW4tY2xlYXI"} {
		if n := wire.count(t, text); n > 0 {
			t.Errorf("%q is on the wire in %d messages", text, n)
		}
	}
}
