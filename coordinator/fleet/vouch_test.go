package fleet_test

import (
	"crypto/ed25519"
	"fmt"
	"testing"

	"ivdmover/coordinator/coordtest"
	"ivdmover/coordinator/fleet"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// Who sealed a checkpoint is known after his heartbeat has gone, by each coordinator;
// the keys of processes long gone are not kept for ever.
func TestVouchedWithoutAHeartbeat(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	f := fleet.New(b.Queue, nil)
	public, private, err := ed25519.GenerateKey(nil)
	b.Must(err)
	sealed := func(process string) job.Record {
		rec := job.Record{Version: job.Version, ID: "j1", Run: "r", Disk: "d", State: job.Done, Batches: 1}
		b.Must(rec.Sign("m.x", process, private))
		return rec
	}
	if err := f.Vouched(t.Context(), sealed("first")); ivd.KindOf(err) != ivd.Denied {
		t.Errorf("nobody knows the process: %v", err)
	}
	m := job.Mover{Version: job.Version, Name: "m.x", Process: "first", VerifyKey: public}
	b.Must(b.Queue.Beat(t.Context(), m))
	b.Must(f.Vouched(t.Context(), sealed("first"))) // by the heartbeat
	b.Must(b.Queue.Leave(t.Context(), "m.x"))
	b.Must(fleet.New(b.Queue, nil).Vouched(t.Context(), sealed("first")))
	for n := range 40 {
		m.Process = fmt.Sprint("later-", n)
		b.Must(f.Know(t.Context(), m))
	}
	b.Must(f.Vouched(t.Context(), sealed("later-39")))
	for _, f := range []*fleet.Fleet{f, fleet.New(b.Queue, nil)} {
		if err := f.Vouched(t.Context(), sealed("first")); ivd.KindOf(err) != ivd.Denied {
			t.Errorf("the first of many processes: %v", err)
		}
	}
	keys, err := b.Queue.State().Keys(t.Context(), "process.m/x")
	b.Must(err)
	if len(keys) != 32 {
		t.Errorf("%d processes are kept", len(keys))
	}
}

// A queue's server that was started again has no heartbeats; what was heard before
// counts.
func TestVouchedAfterTheHeartbeatsAreLost(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	f := fleet.New(b.Queue, nil)
	public, private, err := ed25519.GenerateKey(nil)
	b.Must(err)
	rec := job.Record{Version: job.Version, ID: "j1", Run: "r", Disk: "d", State: job.Done, Batches: 1}
	b.Must(rec.Sign("m", "first", private))
	b.Must(b.Queue.Beat(t.Context(), job.Mover{Version: job.Version, Name: "m", Process: "first", VerifyKey: public, Handles: 1}))
	for n := 0; n == 0; {
		n, err = f.Handles(t.Context(), job.Backup)
		b.Must(err)
	}
	b.Must(b.Queue.Leave(t.Context(), "m"))
	if err := fleet.New(b.Queue, nil).Vouched(t.Context(), rec); ivd.KindOf(err) != ivd.Denied {
		t.Errorf("who has heard nothing: %v", err)
	}
	b.Must(f.Vouched(t.Context(), rec))
	b.Must(rec.Sign("m", "second", private))
	if err := f.Vouched(t.Context(), rec); ivd.KindOf(err) != ivd.Denied {
		t.Errorf("another process: %v", err)
	}
}

// A warrant is good after the start of the coordinator that gave it is over, and not for
// ever.
func TestWarrantsOfEarlierStarts(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	ref := ivd.NewDiskRef("lab", "d", "11111111-1111-4111-8111-111111111111")
	first, err := fleet.New(b.Queue, nil).Warrant(t.Context(), "m", "r", ref)
	b.Must(err)
	q := job.LoginRequest{Mover: "m", Run: "r", Disk: ref.On("elsewhere"), Warrant: first}
	for range 31 {
		f := fleet.New(b.Queue, nil)
		_, err := f.Warrant(t.Context(), "m", "r", ref)
		b.Must(err)
		b.Must(f.Warranted(t.Context(), q))
	}
	f := fleet.New(b.Queue, nil)
	_, err = f.Warrant(t.Context(), "m", "r", ref)
	b.Must(err)
	if err := f.Warranted(t.Context(), q); ivd.KindOf(err) != ivd.Denied {
		t.Errorf("the first of many: %v", err)
	}
	keys, err := b.Queue.State().Keys(t.Context(), "issuer.")
	b.Must(err)
	if len(keys) != 32 {
		t.Errorf("%d are kept", len(keys))
	}
}
