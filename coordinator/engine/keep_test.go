package engine

import (
	"bytes"
	"log/slog"
	"testing"
	"time"

	"ivdmover/coordinator/broker"
	"ivdmover/shared/ivd"
	"ivdmover/shared/queue"
	"ivdmover/shared/repo"
)

// What is kept of an item's plan is found again whatever its size, and goes with the
// item's work.
func TestKeep(t *testing.T) {
	server, err := broker.Start(t.Context(), broker.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	q, err := queue.Connect(t.Context(), queue.Options{InProcess: server, Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(q.Close)
	if err := q.Setup(t.Context()); err != nil {
		t.Fatal(err)
	}
	e := &Engine{Deps: Deps{Queue: q, Log: slog.New(slog.DiscardHandler)}}
	d := e.newDriver(Run{}, 0, repo.Lease{})
	task := &Task{g: &Group{d: d}, item: Item{Run: ivd.NewRunID(time.Now()), Key: "disk"}}
	if task.rev, err = q.State().Create(t.Context(), itemKey(task.item.Run, "disk"), task.item); err != nil {
		t.Fatal(err)
	}
	if text, err := task.Kept(t.Context()); err != nil || text != nil {
		t.Errorf("nothing was kept: %q, %v", text, err)
	}
	for _, n := range []int{0, 1, keptPiece, keptPiece + 1, 3*keptPiece + 7} {
		want := bytes.Repeat([]byte("areas"), n/5+1)[:n]
		if err := task.Keep(t.Context(), want); err != nil {
			t.Fatal(err)
		}
		if text, err := task.Kept(t.Context()); err != nil || text == nil || !bytes.Equal(text, want) {
			t.Errorf("%d bytes are %d: %v", n, len(text), err)
		}
	}
	lost := *task
	lost.item.Plan = "another"
	if _, err := lost.Kept(t.Context()); ivd.KindOf(err) != ivd.NotFound {
		t.Errorf("what is not there: %v", err)
	}
	if err := task.drop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if keys, err := q.State().Keys(t.Context(), "plan."); err != nil || len(keys) != 0 {
		t.Errorf("left: %v, %v", keys, err)
	}
}
