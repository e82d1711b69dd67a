package admit

import (
	"fmt"
	"reflect"
	"slices"
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
		out = append(out, want(r))
	}
	return out
}

func want(r ivd.DiskRef) Want { return Want{Tokens: OfDisk(r, "")} }

func urgent(r ivd.DiskRef) Want { return Want{Tokens: OfDisk(r, ""), Urgent: true} }

func holding(r ivd.DiskRef) []Holding { return []Holding{OfDisk(r, "")} }

func done(refs ...ivd.DiskRef) Served {
	s := Served{}
	for _, r := range refs {
		s[LineOf(OfDisk(r, ""))]++
	}
	return s
}

// group is a want of several disks.
func group(refs ...ivd.DiskRef) Want {
	var w Want
	for _, r := range refs {
		w.Tokens = append(w.Tokens, OfDisk(r, "")...)
	}
	return w
}

// through is a want of disks of one host.
func through(h ivd.HostID, refs ...ivd.DiskRef) Want {
	var w Want
	for _, r := range refs {
		w.Tokens = append(w.Tokens, OfDisk(r, h)...)
	}
	return w
}

// names are the disks of the wants that start; of a group its first.
func names(waiting []Want, started []int) []string {
	out := []string{}
	for _, i := range started {
		name := ""
		for _, t := range waiting[i].Tokens {
			if t.kind == disk {
				name = t.name
				break
			}
		}
		out = append(out, name)
	}
	return out
}

func TestNext(t *testing.T) {
	backlog := wants(ref("a", "a1"), ref("a", "a2"), ref("a", "a3"), ref("b", "b1"), ref("b", "b2"), ref("c", "c1"))
	for name, c := range map[string]struct {
		limits  Limits
		running []Holding
		served  Served
		waiting []Want
		want    []string
	}{
		"no movers":              {Limits{}, nil, nil, backlog, []string{}},
		"round robin":            {Limits{Fleet: 4}, nil, nil, backlog, []string{"a1", "b1", "c1", "a2"}},
		"datastore's limit":      {Limits{Fleet: 9, Datastore: map[ivd.SourceID]int{"vc": 1}}, nil, nil, backlog, []string{"a1", "b1", "c1"}},
		"limit zero":             {Limits{Fleet: 9, Datastore: map[ivd.SourceID]int{"vc": 0}}, nil, nil, backlog, []string{}},
		"fewest under way first": {Limits{Fleet: 3}, holding(ref("a", "x")), nil, backlog, []string{"b1", "c1"}},
		"served least first":     {Limits{Fleet: 1}, nil, done(ref("a", "x"), ref("b", "y")), backlog, []string{"c1"}},
		"locked by another run":  {Limits{Fleet: 9}, holding(ref("b", "a1")), nil, wants(ref("a", "a1"), ref("a", "a2")), []string{"a2"}},
		"wanted twice":           {Limits{Fleet: 9}, nil, nil, wants(ref("a", "a1"), ref("a", "a1")), []string{"a1"}},
		"restores first": {
			Limits{Fleet: 2},
			nil,
			nil,
			append(wants(ref("a", "a1"), ref("b", "b1")), urgent(ref("a", "")), urgent(ref("a", ""))),
			[]string{"", ""},
		},
		"a restore that waits for its datastore does not stop others": {
			Limits{Fleet: 3, Datastore: map[ivd.SourceID]int{"vc": 1}},
			holding(ref("a", "x")), nil,
			append(wants(ref("a", "a1"), ref("b", "b1")), urgent(ref("a", "r"))),
			[]string{"b1"},
		},
		"a group takes all or none": {
			Limits{Fleet: 9, Datastore: map[ivd.SourceID]int{"vc": 2}},
			holding(ref("a", "x")), nil,
			[]Want{group(ref("a", "a1"), ref("a", "a2")), want(ref("a", "a3")), want(ref("b", "b1"))},
			[]string{"b1"},
		},
		"a group waits while one of its disks is held": {
			Limits{Fleet: 9}, holding(ref("a", "a2")), nil, []Want{group(ref("a", "a1"), ref("a", "a2")), want(ref("a", "a3"))}, []string{"a3"},
		},
		"nobody passes by a group that waits for slots": {
			Limits{Fleet: 3}, holding(ref("b", "x")), nil, []Want{group(ref("a", "a1"), ref("a", "a2"), ref("a", "a3")), want(ref("b", "b1"))}, []string{},
		},
		"host's limit, across datastores": {
			Limits{Fleet: 9, Host: map[ivd.SourceID]int{"vc": 2}},
			[]Holding{OfDisk(ref("b", "x"), "h1")},
			nil,
			[]Want{through("h1", ref("a", "a1")), through("h1", ref("a", "a2")), through("h2", ref("a", "a3")), through("h1", ref("b", "b1")), want(ref("b", "b2"))},
			[]string{"a1", "a3", "b2"},
		},
		"nobody passes by a group that waits for a host": {
			Limits{Fleet: 9, Host: map[ivd.SourceID]int{"vc": 2}},
			[]Holding{OfDisk(ref("b", "x"), "h1")},
			nil,
			[]Want{through("h1", ref("b", "b1")), through("h1", ref("a", "a1"), ref("a", "a2")), through("h2", ref("b", "b2"))},
			[]string{"b2"},
		},
		"a group beyond a limit starts alone": {
			Limits{Fleet: 2, Datastore: map[ivd.SourceID]int{"vc": 1}}, nil, nil, []Want{group(ref("a", "a1"), ref("a", "a2"), ref("a", "a3")), want(ref("b", "b1"))}, []string{"a1"},
		},
	} {
		if got := names(c.waiting, Next(c.limits, c.running, c.served, c.waiting)); !reflect.DeepEqual(got, c.want) {
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
			Tokens: OfDisk(ref(rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "datastore"), rapid.SampledFrom([]string{"", "1", "2", "3", "4", "5"}).Draw(t, "disk")),
				ivd.HostID(rapid.SampledFrom([]string{"", "h1", "h2"}).Draw(t, "host"))),
			Urgent: rapid.Bool().Draw(t, "urgent"),
		}
	}), 0, 12).Draw(t, label)
}

func TestLimitsHoldAndNothingIdles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limits := Limits{
			Fleet: rapid.IntRange(0, 8).Draw(t, "fleet"), Datastore: map[ivd.SourceID]int{"vc": rapid.IntRange(0, 4).Draw(t, "handles")},
			Host: map[ivd.SourceID]int{"vc": rapid.IntRange(0, 4).Draw(t, "host handles")},
		}
		var running []Holding
		before := drawWants(t, "running")
		for _, i := range Next(limits, nil, nil, before) {
			running = append(running, before[i].Tokens)
		}
		waiting := drawWants(t, "waiting")
		input := fmt.Sprint(running, waiting)
		started := Next(limits, running, nil, waiting)
		if fmt.Sprint(running, waiting) != input {
			t.Fatal("the input was changed")
		}
		now := newState(Limits{Fleet: 1 << 30}, running, nil)
		starts := map[int]bool{}
		for _, i := range started {
			if starts[i] || !now.free(waiting[i].Tokens, disk) {
				t.Fatalf("%v starts twice, or while its disk is held", waiting[i])
			}
			starts[i] = true
			now.take(waiting[i].Tokens)
		}
		for token, n := range now.held {
			switch {
			case token.kind == slot && n > limits.Fleet:
				t.Fatalf("%d under way, the fleet's limit is %d", n, limits.Fleet)
			case token.kind == datastore && n > limits.Datastore["vc"]:
				t.Fatalf("%d under way on %v, the limit is %d", n, token, limits.Datastore["vc"])
			case token.kind == host && n > limits.Host["vc"]:
				t.Fatalf("%d under way through %v, the limit is %d", n, token, limits.Host["vc"])
			}
		}
		// Whoever was left out lacks a token, now that all others have started.
		for i, w := range waiting {
			if !starts[i] && now.held[Slot()] < limits.Fleet && now.held[LineOf(w.Tokens)] < limits.Datastore["vc"] && now.free(w.Tokens, disk) && hostsFree(now, limits, w) {
				t.Fatalf("%v may start and does not", w)
			}
		}
	})
}

// hostsFree reports whether a want's host has room for it.
func hostsFree(now *state, limits Limits, w Want) bool {
	for _, token := range w.Tokens {
		if token.kind == host && now.held[token] >= limits.Host["vc"] {
			return false
		}
	}
	return true
}

// Groups of any size start some time: nobody waits for ever, whatever else is there.
func TestGroupsAreServed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limits := Limits{
			Fleet: rapid.IntRange(1, 4).Draw(t, "fleet"), Datastore: map[ivd.SourceID]int{"vc": rapid.IntRange(1, 3).Draw(t, "handles")},
			Host: map[ivd.SourceID]int{"vc": rapid.IntRange(1, 3).Draw(t, "host handles")},
		}
		var waiting []Want
		for n, size := range rapid.SliceOfN(rapid.IntRange(1, 6), 1, 12).Draw(t, "sizes") {
			var w Want
			for i := range size {
				r := ref(rapid.SampledFrom([]string{"a", "b"}).Draw(t, "datastore"), fmt.Sprint(n, "-", i))
				w.Tokens = append(w.Tokens, OfDisk(r, ivd.HostID(rapid.SampledFrom([]string{"", "h1", "h2"}).Draw(t, "host")))...)
			}
			waiting = append(waiting, w)
		}
		var running []Holding
		for turns := 0; len(waiting) > 0; turns++ {
			if turns > 100 {
				t.Fatalf("%d groups never start", len(waiting))
			}
			var left []Want
			started := Next(limits, running, nil, waiting)
			for i, w := range waiting {
				if slices.Contains(started, i) {
					running = append(running, w.Tokens)
				} else {
					left = append(left, w)
				}
			}
			waiting = left
			if len(running) > 0 { // the oldest ends
				running = running[1:]
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
		served, ended := Served{}, 0
		lastIndex := map[ivd.DatastoreID]int{}
		for len(waiting) > 0 {
			started := Next(Limits{Fleet: 1}, nil, served, waiting)
			if len(started) != 1 {
				t.Fatalf("%d started with one slot", len(started))
			}
			turn := ended / len(sizes)
			for d := range sizes {
				ds := ivd.DatastoreID(fmt.Sprint("ds", d))
				if turn >= 1 && ended%len(sizes) == 0 && lastIndex[ds] < min(turn, sizes[d]) {
					t.Fatalf("%s was served %d times in %d turns", ds, lastIndex[ds], turn)
				}
			}
			i := started[0]
			lastIndex[ivd.DatastoreID(LineOf(waiting[i].Tokens).name)]++
			served[LineOf(waiting[i].Tokens)]++
			ended++
			waiting = append(waiting[:i:i], waiting[i+1:]...)
		}
	})
}

// A want that writes starts while a mover writes, and keeps none waiting that reads.
func TestWriters(t *testing.T) {
	wants := []Want{
		{Tokens: []Token{Slot(), Datastore("lab", "d"), Writer()}, Urgent: true},
		{Tokens: []Token{Slot(), Datastore("lab", "d"), Writer()}, Urgent: true},
		{Tokens: []Token{Slot(), Datastore("lab", "d")}},
	}
	for _, c := range []struct {
		fleet, writers int
		starts         []int
		waits          string
	}{
		{8, 0, []int{2}, "a mover that writes"},
		{8, 1, []int{0, 2}, ""},
		{8, 2, []int{0, 1, 2}, ""},
		{0, 0, nil, "a mover"},
	} {
		limits := Limits{Fleet: c.fleet, Writers: c.writers}
		if got := Next(limits, nil, Served{}, wants); !slices.Equal(got, c.starts) {
			t.Errorf("%+v: %v start, want %v", limits, got, c.starts)
		}
		if got := Waits(limits, nil, wants)[0]; got != c.waits {
			t.Errorf("%+v: it waits for %q, want %q", limits, got, c.waits)
		}
	}
}
