package engine

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"ivdmover/coordinator/admit"
	"ivdmover/coordinator/ledger"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// pairs is a workflow of items that have one job each, and one obligation.
type pairs struct {
	e *Engine

	mu       sync.Mutex
	prepared [][]ItemKey // guarded by mu, like all below: the groups, as they were prepared
	finished [][]ItemKey
	undone   []string
	fail     error // of the next Finish
}

func (p *pairs) Tokens(items []Item) ([]admit.Token, error) {
	var tokens []admit.Token
	for _, it := range items {
		tokens = append(tokens, admit.OfDisk(ivd.NewDiskRef("lab", "ds", diskOf(it.Key)), "")...)
	}
	return tokens, nil
}

func diskOf(k ItemKey) ivd.DiskID { return ivd.DiskID("disk-" + k) }

func (p *pairs) Prepare(ctx context.Context, g *Group) error {
	var keys []ItemKey
	for _, t := range g.Tasks {
		keys = append(keys, t.Item().Key)
		o := ledger.Obligation{Run: t.Item().Run, Item: string(t.Item().Key), Kind: "thing"}
		if _, err := p.e.Ledger.Open(ctx, o, nil); err != nil {
			return err
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.prepared = append(p.prepared, keys)
	return nil
}

func (p *pairs) Plan(_ context.Context, _ *Group, t *Task) ([]job.Job, error) {
	return []job.Job{{Kind: job.Backup, ID: "j0001", Disk: job.IVD(ivd.NewDiskRef("lab", "ds", diskOf(t.Item().Key)))}}, nil
}

func (p *pairs) Finish(_ context.Context, _ *Group, done map[ItemKey][]job.Record) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.finished = append(p.finished, slices.Sorted(maps.Keys(done)))
	return p.fail
}

// pairsEngine is an engine whose runs are of pairs, with a mover that does each job
// as do says.
func pairsEngine(t *testing.T, do func(*job.Record)) (*Engine, *pairs) {
	t.Helper()
	e := insideEngine(t)
	p := &pairs{e: e}
	e.Workflows["pairs"] = p
	e.Ledger.Register("thing", ledger.Behaviour{Undo: func(_ context.Context, o ledger.Obligation) (bool, error) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.undone = append(p.undone, o.Item)
		return true, nil
	}})
	life, end := context.WithCancelCause(context.Background())
	e.begin(life)
	e.gate.setFleet(8, 8)
	var mover sync.WaitGroup
	mover.Go(func() {
		for life.Err() == nil {
			got, err := e.Queue.Jobs(job.Backup).Fetch(life, 4)
			if err != nil {
				return
			}
			for _, d := range got {
				rec, rev, err := e.Queue.JobRecord(life, d.Job.Run, d.Job.Key(), d.Job.ID)
				if err == nil && rec.State == job.Queued {
					rec.Attempt++
					do(&rec)
					_, _ = e.Queue.UpdateJobRecord(life, rec, rev)
				}
				_ = d.Ack(life)
			}
		}
	})
	t.Cleanup(func() { end(errShutdown); e.group.Wait(); mover.Wait() })
	return e, p
}

// run drives a run of items in groups to its end.
func runPairs(t *testing.T, e *Engine, groups map[ItemKey]GroupKey) View {
	t.Helper()
	s := Spec{Kind: "pairs", Lease: "write"}
	for _, k := range slices.Sorted(maps.Keys(groups)) {
		s.Items = append(s.Items, ItemSpec{Key: k, Group: groups[k]})
	}
	v, err := e.Begin(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return awaitEnd(t, e, v.ID)
}

// awaitEnd waits for a run to end.
func awaitEnd(t *testing.T, e *Engine, id ivd.RunID) View {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	for _, err := range e.Watch(ctx, id) {
		if err != nil {
			t.Fatal(err)
		}
	}
	v, err := e.View(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func done(rec *job.Record) { rec.State, rec.Stats = job.Done, ivd.Stats{ReadBytes: 7} }

// The items of a group are prepared, finished and cleaned up together.
func TestGroupGoesTogether(t *testing.T) {
	t.Parallel()
	e, p := pairsEngine(t, done)
	v := runPairs(t, e, map[ItemKey]GroupKey{"a": "vm", "b": "vm", "c": ""})
	if v.State != Done || v.Counts != (Counts{Items: 3, Done: 3}) || v.Stats.ReadBytes != 21 {
		t.Errorf("%s: %+v, %+v", v.State, v.Counts, v.Stats)
	}
	for what, got := range map[string][][]ItemKey{"prepared": p.prepared, "finished": p.finished} {
		slices.SortFunc(got, slices.Compare)
		if want := [][]ItemKey{{"a", "b"}, {"c"}}; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s were %v, want %v", what, got, want)
		}
	}
	slices.Sort(p.undone)
	if !slices.Equal(p.undone, []string{"a", "b", "c"}) {
		t.Errorf("undone were %v", p.undone)
	}
	recs, err := e.Queue.JobRecords(t.Context(), v.ID)
	if err != nil || len(recs) != 0 {
		t.Errorf("job records %v, %v", recs, err)
	}
}

// What fails one item of a group fails all of it, and nothing else.
func TestGroupFailsTogether(t *testing.T) {
	t.Parallel()
	e, p := pairsEngine(t, func(rec *job.Record) {
		done(rec)
		if rec.Disk == diskOf("b") {
			rec.State, rec.Failure = job.Failed, &ivd.Failure{Kind: ivd.Corrupt, Message: "damaged"}
		}
	})
	v := runPairs(t, e, map[ItemKey]GroupKey{"a": "vm", "b": "vm", "c": ""})
	if v.State != Partial || v.Counts != (Counts{Items: 3, Done: 1, Failed: 2}) {
		t.Errorf("%s: %+v", v.State, v.Counts)
	}
	if len(p.finished) != 1 || len(p.undone) != 3 {
		t.Errorf("finished were %v, undone were %v", p.finished, p.undone)
	}
	for _, it := range v.Items[:2] {
		if it.Failure == nil || it.Failure.Kind != ivd.Permanent {
			t.Errorf("%s: %+v", it.Key, it.Failure)
		}
	}
}

// What does not add up at the end is no success.
func TestFinishThatFails(t *testing.T) {
	t.Parallel()
	e, p := pairsEngine(t, done)
	p.fail = ivd.Errorf(ivd.Permanent, "it does not add up")
	v := runPairs(t, e, map[ItemKey]GroupKey{"a": ""})
	if it := v.Items[0]; v.State != Failed || it.Result != Failed || it.Failure.Message != "it does not add up" || len(p.undone) != 1 {
		t.Errorf("%s: %+v; undone were %v", v.State, it.Failure, p.undone)
	}
}

// A group whose owner died while it stored how the items ended ends as the first of
// them did.
func TestGroupThatWasBeingSettled(t *testing.T) {
	t.Parallel()
	e, p := pairsEngine(t, done)
	r, items, err := e.make(Spec{Kind: "pairs", Lease: "write", Items: []ItemSpec{{Key: "a", Group: "vm"}, {Key: "b", Group: "vm"}}})
	if err != nil {
		t.Fatal(err)
	}
	items[0].Step, items[0].Result, items[0].Failure = Cleaning, Failed, &ivd.Failure{Kind: ivd.Corrupt, Message: "damaged"}
	items[1].Step = Moving
	rev, err := e.store(t.Context(), r, items)
	if err != nil {
		t.Fatal(err)
	}
	e.drive(e.newDriver(r, rev, leaseFor(time.Hour)))
	v := awaitEnd(t, e, r.ID)
	if v.Counts != (Counts{Items: 2, Failed: 2}) || len(p.finished) != 0 || v.Items[1].Failure.Message != "damaged" {
		t.Errorf("%+v, %+v, finished were %v", v.Counts, v.Items, p.finished)
	}
}

// A run's record does not grow with its items.
func TestRunsRecordIsSmall(t *testing.T) {
	t.Parallel()
	e := insideEngine(t)
	size := func(n int) int {
		s := Spec{Kind: "idle", Lease: "write"}
		for i := range n {
			s.Items = append(s.Items, ItemSpec{Key: ItemKey(fmt.Sprint("item-", i)), Body: map[string]int{"i": i}})
		}
		r, items, err := e.make(s)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.store(t.Context(), r, items); err != nil {
			t.Fatal(err)
		}
		entries, err := e.Queue.State().List(t.Context(), "run")
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range entries {
			if x.Key == runKey(r.ID) {
				return len(x.Value)
			}
		}
		t.Fatal("the run is not there")
		return 0
	}
	if one, many := size(1), size(500); many > one+10 {
		t.Errorf("a run of 500 items has %d bytes, one of 1 has %d", many, one)
	}
}
