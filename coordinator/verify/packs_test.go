package verify

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"testing"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/repo/repotest"
)

// crew is a fleet of movers by their names.
type crew []string

func (c crew) Movers(context.Context) ([]job.Mover, error) {
	var list []job.Mover
	for _, name := range c {
		list = append(list, job.Mover{Name: name, Doctor: name == "proxy-1/doctor"})
	}
	return list, nil
}

// What a mover has proven is stored, but for what it says is not proven; what it has
// stored itself only where no other mover could have read it.
func TestWhoseWordCounts(t *testing.T) {
	t.Parallel()
	a, b := ivd.PackID{1}, ivd.PackID{2}
	for name, c := range map[string]struct {
		fleet    crew
		by       string
		unproven []ivd.PackID
		here     []ivd.PackID
		want     []ivd.PackID
	}{
		"another mover":                  {crew{"proxy-1", "proxy-2"}, "proxy-2", nil, nil, []ivd.PackID{a, b}},
		"another, of one pack":           {crew{"proxy-1", "proxy-2"}, "proxy-2", []ivd.PackID{a}, nil, []ivd.PackID{b}},
		"the writer, alone":              {crew{"proxy-1"}, "proxy-1", nil, nil, []ivd.PackID{a, b}},
		"the writer, with its own parts": {crew{"proxy-1", "proxy-1/doctor", "proxy-1/2"}, "proxy-1", nil, nil, []ivd.PackID{a, b}},
		"the writer, beside another":     {crew{"proxy-1", "proxy-2"}, "proxy-1", nil, nil, nil},
		"the coordinator itself":         {crew{"proxy-1", "proxy-2"}, "proxy-1", nil, []ivd.PackID{b}, []ivd.PackID{b}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := repotest.New(t)
			w := New(Deps{Repo: r.Repository, Fleet: c.fleet})
			how := job.VerifySpec{Depth: job.Proof, Writer: "proxy-1", Packs: []job.PackWork{{Ref: ivd.PackRef{Pack: a}}, {Ref: ivd.PackRef{Pack: b}}}}
			if err := w.prove(t.Context(), slog.New(slog.DiscardHandler), Check{How: how}, job.Record{Mover: c.by, Unproven: c.unproven}, c.here); err != nil {
				t.Fatal(err)
			}
			proven, err := w.proven(t.Context())
			if got := slices.Collect(maps.Keys(proven)); err != nil || len(got) != len(c.want) || slices.ContainsFunc(c.want, func(id ivd.PackID) bool { return !proven[id] }) {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
}

// Those folders come first that were read the longest ago, and with a run a day all have
// their turn within the time.
func TestEveryFolderHasItsTurn(t *testing.T) {
	t.Parallel()
	r := repotest.New(t)
	const every = 30 * 24 * time.Hour
	w := New(Deps{Repo: r.Repository, Every: every})
	began := r.Now().Add(-20 * 24 * time.Hour)
	seen := map[job.Folder]int{}
	read := func(i int, list []job.Folder) {
		at := began.Add(time.Duration(i) * time.Hour).UTC().Truncate(time.Second) // not a day: the clock is the store's
		run := format.Run{ID: ivd.NewRunID(at), Kind: "verify", State: "done", Coordinator: "one", Started: at, Ended: at, Sequence: uint64(i + 1)}
		if i > 0 {
			run.Previous = &format.RunLink{Run: "before", Sum: ivd.ContentID{1}}
		}
		for _, f := range list {
			seen[f]++
			run.Verified = append(run.Verified, format.RunVerified{Folder: folderName(&f), Depth: "scrub"})
		}
		if err := r.PutRun(t.Context(), run); err != nil {
			t.Fatal(err)
		}
	}
	first, err := w.due(t.Context())
	if err != nil || len(first) != 21 {
		t.Fatalf("%d folders of a repository that nobody has read, %v", len(first), err)
	}
	read(0, first)
	second, err := w.due(t.Context())
	if err != nil || len(second) < 300 { // the last run is 20 days ago
		t.Fatalf("%d folders after a gap, %v", len(second), err)
	}
	read(1, second[:21])
	for _, f := range second[:21] {
		if slices.Contains(first, f) {
			t.Errorf("%s has its turn again before others", folderName(&f))
		}
	}
	for i, since := range map[int]time.Duration{21: 0, 22: 25 * time.Hour, 41: 48 * time.Hour, 512: every} {
		if got := share(512, since, false, every); got != i {
			t.Errorf("after %s: %d folders, want %d", since, got, i)
		}
	}
	if days := 512 / share(512, 24*time.Hour, false, every); time.Duration(days)*24*time.Hour > every {
		t.Errorf("a turn takes %d days", days)
	}
}
