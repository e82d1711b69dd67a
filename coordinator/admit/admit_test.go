package admit

import (
	"fmt"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"ivdmover/shared/ivd"
)

func ref(datastore, disk string) ivd.DiskRef {
	return ivd.NewDiskRef("vc", ivd.DatastoreID(datastore), ivd.DiskID(disk))
}

func wants(refs ...ivd.DiskRef) []Want {
	var out []Want
	for _, r := range refs {
		out = append(out, Want{Ref: r})
	}
	return out
}

func names(started []ivd.DiskRef) []string {
	out := []string{}
	for _, w := range started {
		out = append(out, string(w.ID()))
	}
	return out
}

func TestNext(t *testing.T) {
	backlog := wants(ref("a", "a1"), ref("a", "a2"), ref("a", "a3"), ref("b", "b1"), ref("b", "b2"), ref("c", "c1"))
	for name, c := range map[string]struct {
		limits  Limits
		running []Holding
		waiting []Want
		want    []string
	}{
		"no movers":              {Limits{}, nil, backlog, []string{}},
		"round robin":            {Limits{Fleet: 4}, nil, backlog, []string{"a1", "b1", "c1", "a2"}},
		"datastore's limit":      {Limits{Fleet: 9, Datastore: map[ivd.SourceID]int{"vc": 1}}, nil, backlog, []string{"a1", "b1", "c1"}},
		"limit zero":             {Limits{Fleet: 9, Datastore: map[ivd.SourceID]int{"vc": 0}}, nil, backlog, []string{}},
		"fewest under way first": {Limits{Fleet: 3}, []Holding{{Ref: ref("a", "x")}}, backlog, []string{"b1", "c1"}},
		"served least first":     {Limits{Fleet: 1}, []Holding{{Ref: ref("a", "x"), Done: true}, {Ref: ref("b", "y"), Done: true}}, backlog, []string{"c1"}},
		"locked by another run":  {Limits{Fleet: 9}, []Holding{{Ref: ref("b", "a1")}}, wants(ref("a", "a1"), ref("a", "a2")), []string{"a2"}},
		"wanted twice":           {Limits{Fleet: 9}, nil, wants(ref("a", "a1"), ref("a", "a1")), []string{"a1"}},
		"restores first": {
			Limits{Fleet: 2},
			nil,
			append(wants(ref("a", "a1"), ref("b", "b1")), Want{Ref: ref("a", ""), Restore: true}, Want{Ref: ref("a", ""), Restore: true}),
			[]string{"", ""},
		},
		"a restore that waits for its datastore does not stop others": {
			Limits{Fleet: 3, Datastore: map[ivd.SourceID]int{"vc": 1}},
			[]Holding{{Ref: ref("a", "x")}},
			append(wants(ref("a", "a1"), ref("b", "b1")), Want{Ref: ref("a", "r"), Restore: true}),
			[]string{"b1"},
		},
	} {
		if got := names(Next(c.limits, c.running, c.waiting)); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestFleet(t *testing.T) {
	for handles, want := range map[int]int{-1: 0, 0: 0, 1: 2, 4: 5, 8: 10, 80: 91} {
		if got := Fleet(handles); got != want {
			t.Errorf("Fleet(%d) = %d, want %d", handles, got, want)
		}
	}
}

func drawWants(t *rapid.T, label string) []Want {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Want {
		return Want{
			Ref:     ref(rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "datastore"), rapid.SampledFrom([]string{"", "1", "2", "3", "4", "5"}).Draw(t, "disk")),
			Restore: rapid.Bool().Draw(t, "restore"),
		}
	}), 0, 12).Draw(t, label)
}

func TestLimitsHoldAndNothingIdles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limits := Limits{Fleet: rapid.IntRange(0, 8).Draw(t, "fleet"), Datastore: map[ivd.SourceID]int{"vc": rapid.IntRange(0, 4).Draw(t, "handles")}}
		var running []Holding
		for _, w := range Next(limits, nil, drawWants(t, "running")) {
			running = append(running, Holding{Ref: w})
		}
		waiting := drawWants(t, "waiting")
		before := fmt.Sprint(running, waiting)
		started := Next(limits, running, waiting)
		if fmt.Sprint(running, waiting) != before {
			t.Fatal("the input was changed")
		}
		state := newTokens(Limits{Fleet: 1 << 30}, running)
		for _, w := range started {
			if state.locked(w) {
				t.Fatalf("%v starts while it is held", w.ID())
			}
			state.take(w)
		}
		if state.fleet > limits.Fleet {
			t.Fatalf("%d under way, the fleet's limit is %d", state.fleet, limits.Fleet)
		}
		for p, n := range state.held {
			if n > limits.Datastore["vc"] {
				t.Fatalf("%d under way on %v, the limit is %d", n, p, limits.Datastore["vc"])
			}
		}
		// Whoever was left out lacks a token, now that all others have started.
		left := map[ivd.DiskRef]int{}
		for _, w := range waiting {
			left[w.Ref]++
		}
		for _, w := range started {
			if left[w]--; left[w] < 0 {
				t.Fatalf("%v starts and did not wait", w)
			}
		}
		for w, n := range left {
			if n > 0 && state.fleet < limits.Fleet && state.held[placeOf(w)] < limits.Datastore["vc"] && !state.locked(w) {
				t.Fatalf("%v may start and does not", w)
			}
		}
	})
}

// With one slot, each datastore that waits is served within one turn of all.
func TestNoDatastoreStarves(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sizes := rapid.SliceOfN(rapid.IntRange(1, 30), 2, 5).Draw(t, "backlogs")
		var waiting []Want
		for d, n := range sizes {
			for i := range n {
				waiting = append(waiting, wants(ref(fmt.Sprint("ds", d), fmt.Sprint(d, "-", i)))...)
			}
		}
		var ended []Holding
		lastIndex := map[ivd.DatastoreID]int{}
		for len(waiting) > 0 {
			started := Next(Limits{Fleet: 1}, ended, waiting)
			if len(started) != 1 {
				t.Fatalf("%d started with one slot", len(started))
			}
			turn := len(ended) / len(sizes)
			for d := range sizes {
				ds := ivd.DatastoreID(fmt.Sprint("ds", d))
				if turn >= 1 && len(ended)%len(sizes) == 0 && lastIndex[ds] < min(turn, sizes[d]) {
					t.Fatalf("%s was served %d times in %d turns", ds, lastIndex[ds], turn)
				}
			}
			lastIndex[started[0].Datastore()]++
			ended = append(ended, Holding{Ref: started[0], Done: true})
			for i, w := range waiting {
				if w.Ref == started[0] {
					waiting = append(waiting[:i:i], waiting[i+1:]...)
					break
				}
			}
		}
	})
}
