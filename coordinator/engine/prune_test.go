package engine

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
