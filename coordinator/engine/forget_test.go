package engine_test

import (
	"slices"
	"testing"
	"time"

	"ivdmover/coordinator/backup"
	"ivdmover/coordinator/coordtest"
	"ivdmover/coordinator/engine"
	"ivdmover/shared/ivd"
)

func itemKey(it engine.Item) string { return "item." + string(it.Run) + "." + string(it.Key) }

func TestPruneForgetsWhatHasNoRun(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	d := b.Disk("a", 8)
	b.Mover("m1")
	s, _ := b.Serving("one")
	kept := b.Until(s, b.Begin(s, backup.Request{All: true}).ID, coordtest.Ended)
	stray := engine.Item{Version: engine.Version, Run: ivd.NewRunID(time.Now()), Key: engine.ItemKey(d.Ref.ID()), Step: engine.Waiting}
	_, err := b.Queue.State().Create(t.Context(), itemKey(stray), stray)
	b.Must(err)
	has := func(key string) bool {
		keys, err := b.Queue.State().Keys(t.Context(), "")
		b.Must(err)
		return slices.Contains(keys, key)
	}
	other := b.Coordinator("two")
	b.Must(other.Engine.Prune(t.Context()))
	if !has(itemKey(stray)) {
		t.Error("the item of a run that may be about to begin was forgotten")
	}
	other.Clock.Advance(2 * engine.Beginning)
	b.Must(other.Engine.Prune(t.Context()))
	if has(itemKey(stray)) {
		t.Error("the item of a run that never began is still there")
	}
	if !has("run."+string(kept.ID)) || !has(itemKey(kept.Items[0].Item)) {
		t.Error("a run that is to be kept was forgotten")
	}
}
