package queue_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
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

func testClaim() job.Claim {
	return job.Claim{Mover: "proxy-1", Process: "p1", Run: testRun, Disk: testJob("x").Disk.Ref, Job: "x"}
}

// A coordinator that opens no chunk is asked for keys of packs only where no other one
// listens, and its refusal is told as such.
func TestPackKeysAreAskedOfWhoOpensChunks(t *testing.T) {
	ctx, coordinator, mover, key, s := sealedWire(t)
	second, err := queue.Connect(ctx, queue.Options{InProcess: s})
	must(t, err)
	t.Cleanup(second.Close)
	packs := []ivd.PackRef{{Pack: ivd.PackID{1}}, {Pack: ivd.PackID{2}}}
	req := job.PackKeysRequest{Version: job.Version, Repository: "r-1", Claim: testClaim(), Page: 3, Packs: packs}
	_, err = mover.AskPackKeys(ctx, req, key)
	wantKind(t, err, ivd.Transient) // nobody answers yet
	_, err = second.ServePackKeys(ctx, "r-1", false, func(context.Context, job.PackKeysRequest, job.Mover) ([]job.PackKey, error) {
		return nil, &ivd.Error{Kind: ivd.Denied, Err: context.Canceled, Remedy: "look"}
	})
	must(t, err)
	if _, err = mover.AskPackKeys(ctx, req, key); ivd.KindOf(err) != ivd.Denied || !errors.Is(err, queue.ErrNoChunks) || ivd.RemedyOf(err) != "look" {
		t.Errorf("of who opens no chunk: %v", err)
	}
	secret := ivd.NewKey()
	stop, err := coordinator.ServePackKeys(ctx, "r-1", true, func(_ context.Context, q job.PackKeysRequest, m job.Mover) ([]job.PackKey, error) {
		if m.Name != "proxy-1" || q.Page != 3 || q.Claim != testClaim() {
			t.Errorf("the question became %+v", q)
		}
		if q.Packs[0] == packs[1] {
			return make([]job.PackKey, 1), nil // one too few
		}
		return []job.PackKey{{DataKey: ivd.KeyID{9}, Key: secret}, {DataKey: ivd.KeyID{8}}}, nil
	})
	must(t, err)
	for range 20 { // never by chance of the other one
		got, err := mover.AskPackKeys(ctx, req, key)
		must(t, err)
		if len(got) != 2 || !got[0].Key.Equal(secret) || got[0].DataKey != (ivd.KeyID{9}) || got[1].DataKey != (ivd.KeyID{8}) {
			t.Fatal("the keys are not those that were sent")
		}
	}
	short := req
	short.Packs = []ivd.PackRef{packs[1], packs[0]}
	_, err = mover.AskPackKeys(ctx, short, key)
	wantKind(t, err, ivd.Corrupt)
	other, err := sealed.NewKey()
	must(t, err)
	_, err = mover.AskPackKeys(ctx, req, other)
	wantKind(t, err, ivd.Denied)
	wire := newTap(t, s)
	_, err = mover.AskPackKeys(ctx, req, key)
	must(t, err)
	if wire.count(t, "ivd.keys.packs.r-1.proxy-1") == 0 {
		t.Fatal("the tap does not hear the question")
	}
	for _, form := range []string{string(secret.Reveal()), hex.EncodeToString(secret.Reveal()), base64.StdEncoding.EncodeToString(secret.Reveal())} {
		if wire.count(t, form) > 0 {
			t.Error("a pack's key is on the wire")
		}
	}
	stop()
}

// A writer's registration reaches its coordinator with the mover that asks, and its
// refusal comes back.
func TestWritersAreAskedFor(t *testing.T) {
	ctx, coordinator, mover, _, _ := sealedWire(t)
	req := job.WriterRequest{Version: job.Version, Repository: "r-1", Claim: testClaim(), Record: []byte("record")}
	wantKind(t, mover.AskWriter(ctx, req), ivd.Transient)
	_, err := coordinator.ServeWriters(ctx, "r-1", func(_ context.Context, q job.WriterRequest, m job.Mover) error {
		if m.Name != "proxy-1" || q.Claim != testClaim() {
			t.Errorf("%s asks %+v", m.Name, q)
		}
		if string(q.Record) != "record" {
			return &ivd.Error{Kind: ivd.Exists, Err: context.Canceled, Remedy: "look"}
		}
		return nil
	})
	must(t, err)
	must(t, mover.AskWriter(ctx, req))
	req.Record = []byte("another")
	if err := mover.AskWriter(ctx, req); ivd.KindOf(err) != ivd.Exists || ivd.RemedyOf(err) != "look" {
		t.Errorf("the refusal became %v", err)
	}
	req.Claim.Process = "p2"
	wantKind(t, mover.AskWriter(ctx, req), ivd.Conflict)
}
