package run

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"ivdmover/shared/ivd"
)

func TestOldRuns(t *testing.T) {
	start := time.Date(2026, 11, 24, 22, 0, 0, 0, time.UTC)
	runs := map[ivd.RunID]Run{}
	disks, ledger := map[ivd.RunID]int{}, map[ivd.RunID]int{}
	id := func(n int) ivd.RunID { return ivd.RunID(fmt.Sprintf("r%d", n)) }
	for n := range 6 {
		runs[id(n)] = Run{ID: id(n), State: Done, Created: start.Add(time.Duration(n) * time.Hour)}
		disks[id(n)] = 10
	}
	check := func(what string, maxRuns, maxDisks int, want ...int) {
		t.Helper()
		var ids []ivd.RunID
		for _, n := range want {
			ids = append(ids, id(n))
		}
		if got := old(runs, disks, ledger, maxRuns, maxDisks); !slices.Equal(got, ids) {
			t.Errorf("%s: %v, want %v", what, got, ids)
		}
	}
	check("by runs", 4, 1000, 1, 0)
	check("by disks", 100, 35, 2, 1, 0)
	check("the newest stays however large it is", 100, 5, 4, 3, 2, 1, 0)
	ledger[id(0)] = 1
	check("the ledger keeps one", 4, 1000, 1)
	r := runs[id(1)]
	r.State = Running
	runs[id(1)] = r
	check("so does work", 4, 1000)
}

func TestPruneForgetsWhatHasNoRun(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	d := b.disk("a", 8)
	b.mover("m1")
	s, _ := b.serving("one")
	kept := b.until(s, b.backup(s, BackupRequest{All: true}).ID, ended)
	stray := Disk{Version: Version, Run: ivd.NewRunID(time.Now()), Ref: d.Ref, Step: Waiting}
	_, err := b.queue.State().Create(t.Context(), diskKey(stray), stray)
	b.must(err)
	has := func(key string) bool {
		keys, err := b.queue.State().Keys(t.Context(), "")
		b.must(err)
		return slices.Contains(keys, key)
	}
	other := b.service("two")
	b.must(other.prune(t.Context()))
	if !has(diskKey(stray)) {
		t.Error("the disk of a run that may be about to begin was forgotten")
	}
	other.now = func() time.Time { return time.Now().Add(2 * beginning) }
	b.must(other.prune(t.Context()))
	if has(diskKey(stray)) {
		t.Error("the disk of a run that never began is still there")
	}
	if !has(runKey(kept.ID)) || !has(diskKey(kept.Disks[0].Disk)) {
		t.Error("a run that is to be kept was forgotten")
	}
}
