package engine_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ivdmover/coordinator/backup"
	"ivdmover/coordinator/coordtest"
	"ivdmover/coordinator/engine"
	"ivdmover/deploy/lab/owner"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/pause"
)

// moving waits until a run's job is a mover's.
func moving(b *coordtest.Bench, c *coordtest.Coordinator, m *coordtest.Puppet, id ivd.RunID) {
	b.Helper()
	b.Until(c, id, func(v engine.View) bool { return coordtest.AtStep(engine.Moving)(v) && len(m.Began()) > 0 })
}

// The queue's server is started again, without what was in its memory: neither the
// coordinator nor its movers have to be.
func TestQueueServerIsStartedAgain(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	d := b.Disk("a", 8)
	m := b.Mover("m1")
	letGo := hold(m)
	c, _ := b.Serving("one")
	id := b.Begin(c, backup.Request{All: true}).ID
	moving(b, c, m, id)
	b.RestartBroker(func(*coordtest.Home) {})
	letGo()
	if v := b.Until(c, id, coordtest.Ended); v.State != engine.Done {
		t.Errorf("%+v", v)
	}
	id = b.Begin(c, backup.Request{All: true}).ID // its questions need the mover's heartbeat
	if v := b.Until(c, id, coordtest.Ended); v.State != engine.Done {
		t.Errorf("the next run: %+v", v)
	}
	if n := len(b.Points(d.Ref.ID())); n != 2 {
		t.Errorf("%d points", n)
	}
	b.NothingLeft(d)
}

// A run whose records are gone from the queue ends: its summary says why, and its
// snapshot goes.
func TestRunWhoseRecordsAreLost(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	d := b.Disk("a", 8)
	m := b.Mover("m1")
	letGo := hold(m)
	c, _ := b.Serving("one")
	id := b.Begin(c, backup.Request{All: true}).ID
	moving(b, c, m, id)
	b.RestartBroker(func(h *coordtest.Home) { b.Must(os.RemoveAll(h.StreamDir("KV_IVD_STATE"))) })

	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	var r format.Run
	for {
		var err error
		if r, err = b.Repo.ReadRun(ctx, id); err == nil && b.Snapshots(d) == 0 && b.Leases() == 0 {
			break
		}
		if pause.For(ctx, 100*time.Millisecond) != nil {
			t.Fatalf("the run's summary: %v; %d snapshots, %d leases", err, b.Snapshots(d), b.Leases())
		}
	}
	if r.State != string(engine.Failed) || len(r.Failed) != 1 || !strings.Contains(r.Failed[0].Reason, "queue") {
		t.Errorf("%+v", r)
	}
	letGo()
	id = b.Begin(c, backup.Request{All: true}).ID
	if v := b.Until(c, id, coordtest.Ended); v.State != engine.Done {
		t.Errorf("the next run: %+v", v)
	}
	b.NothingLeft(d)
}

// spoils are the ways in which the files of the bucket of runs are damaged, each with
// whether something is lost by it.
var spoils = map[string]struct {
	spoil func(*coordtest.Bench, string)
	loses bool
}{
	"nothing":          {func(*coordtest.Bench, string) {}, false},
	"its index":        {remove("msgs/index.db"), false},
	"its description":  {remove("meta.inf"), false},
	"a block, flipped": {flip(100), true},
	"its last message": {flip(-20), true},
	"a block, cut":     {truncate(700), true},
	"a block, emptied": {truncate(0), true},
	"a block, removed": {remove(block), true},
	"all messages":     {remove("msgs"), true},
	"the whole stream": {remove(""), true},
}

const block = "msgs/1.blk"

func flip(at int) func(*coordtest.Bench, string) {
	return func(b *coordtest.Bench, dir string) {
		file := filepath.Join(dir, block)
		body, err := os.ReadFile(file)
		b.Must(err)
		body[(at+len(body))%len(body)] ^= 0xff
		b.Must(os.WriteFile(file, body, 0o600))
	}
}

func truncate(to int64) func(*coordtest.Bench, string) {
	return func(b *coordtest.Bench, dir string) { b.Must(os.Truncate(filepath.Join(dir, block), to)) }
}

func remove(what string) func(*coordtest.Bench, string) {
	return func(b *coordtest.Bench, dir string) { b.Must(os.RemoveAll(filepath.Join(dir, what))) }
}

// The queue's server says nothing of what it cannot read in its files. The next start
// says it, also after a kill, whenever it was written, and cleans up: no snapshot, no
// obligation, no run without an end is left.
func TestDamagedFilesOfTheQueue(t *testing.T) {
	t.Parallel()
	for name, c := range spoils {
		for _, end := range []string{"stopped", "killed"} {
			t.Run(name+", "+end, func(t *testing.T) {
				t.Parallel()
				b := coordtest.New(t)
				d := b.Disk("a", 8)
				m := b.Mover("m1")
				letGo := hold(m)
				c1, stop := b.Serving("one")
				id := b.Begin(c1, backup.Request{All: true}).ID
				moving(b, c1, m, id)
				if end == "stopped" {
					stop()
				}
				b.RestartBroker(func(h *coordtest.Home) {
					stop() // nothing is noted any more: its queue is away
					c.spoil(b, h.StreamDir("KV_IVD_STATE"))
				})
				letGo()
				c2, _ := b.Serving("one")
				lines := b.Said.Lines("level=ERROR", "the queue has lost")
				if said := len(lines) > 0; said != c.loses || said && strings.Contains(lines[0], `why=""`) {
					t.Errorf("said: %q", lines)
				}
				v := b.Until(c2, id, coordtest.Ended)
				if r, err := b.Repo.ReadRun(t.Context(), id); err != nil || r.State != string(v.State) {
					t.Errorf("the run is %s, its summary %+v, %v", v.State, r, err)
				}
				if !c.loses && v.State != engine.Done {
					t.Errorf("%s: %+v", v.State, v.Items)
				}
				nothingStays(b, d)
			})
		}
	}
}

// nothingStays waits until no snapshot of a disk is left, and nothing is owed.
func nothingStays(b *coordtest.Bench, d owner.Disk) {
	b.Helper()
	b.Await(func() bool { return b.Snapshots(d) == 0 && len(b.Ledger()) == 0 },
		func() string {
			return fmt.Sprintf("%d snapshots are left, and of the ledger %v", b.Snapshots(d), b.Ledger())
		})
}

// A server that is not ours trusts its index, and serves a stream no more of which a
// message is damaged. That is said with what to do, and what was lost with it when that
// was done.
func TestDamagedFilesOfAForeignServer(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	d := b.Disk("a", 8)
	m := b.Mover("m1")
	letGo := hold(m)
	c1, stop := b.Serving("one")
	id := b.Begin(c1, backup.Request{All: true}).ID
	moving(b, c1, m, id)
	b.RestartForeign(func(h *coordtest.Home) {
		stop()
		flip(-20)(b, h.StreamDir("KV_IVD_STATE"))
	})
	letGo()
	c2 := b.Coordinator("one")
	served := make(chan struct{})
	go func() { defer close(served); b.Serve(c2) }()
	b.Await(func() bool {
		return len(b.Said.Lines("level=ERROR", "does not hand out", "index.db", "KV_IVD_STATE")) > 0
	}, func() string { return "nothing is said of the damage" })
	b.RestartForeign(func(h *coordtest.Home) { remove("msgs/index.db")(b, h.StreamDir("KV_IVD_STATE")) })
	<-served
	if len(b.Said.Lines("level=ERROR", "the queue has lost", "missing")) == 0 {
		t.Error("nothing is said of what was lost")
	}
	b.Until(c2, id, coordtest.Ended)
	nothingStays(b, d)
}
