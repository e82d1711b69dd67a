package queue_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/queue"
)

// told reads events up to and including the first of which last is true, and
// writes each as a word.
func told(ctx context.Context, t *testing.T, events <-chan queue.Event, last string) []string {
	t.Helper()
	var words []string
	for {
		select {
		case e, ok := <-events:
			if !ok {
				t.Fatalf("the watch ended after %v", words)
			}
			word := e.Key
			switch {
			case e.Current:
				word = "current"
			case e.Deleted:
				word += " deleted"
			default:
				var c counter
				must(t, e.Decode(&c))
				word = fmt.Sprintf("%s=%d", word, c.N)
			}
			words = append(words, word)
			if word == last {
				return words
			}
		case <-ctx.Done():
			t.Fatalf("told %v, and not %q", words, last)
		}
	}
}

func wantWords(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("told %q, want %q", got, want)
	}
}

func put(ctx context.Context, t *testing.T, b *queue.Bucket, key string, n int) {
	t.Helper()
	_, err := b.Put(ctx, key, counter{N: n})
	must(t, err)
}

func TestWatchTellsThePresentThenChanges(t *testing.T) {
	b := newHouse(t).connect(queue.Options{}).State()
	ctx := within(t, 20*time.Second)
	put(ctx, t, b, "w.1", 1)
	put(ctx, t, b, "w.2", 2)
	put(ctx, t, b, "w.3", 3)
	put(ctx, t, b, "other.1", 9)
	must(t, b.Delete(ctx, "w.2"))
	watching, stop := context.WithCancel(ctx)
	events, err := b.Watch(watching, "w")
	must(t, err)
	wantWords(t, told(ctx, t, events, "current"), "w.1=1", "w.3=3", "current")
	put(ctx, t, b, "w.4", 4)
	put(ctx, t, b, "other.2", 9)
	must(t, b.Delete(ctx, "w.1"))
	wantWords(t, told(ctx, t, events, "w.1 deleted"), "w.4=4", "w.1 deleted")
	stop()
	for range events { // it is closed
	}
}

func TestWatchOfNothing(t *testing.T) {
	b := newHouse(t).connect(queue.Options{}).State()
	ctx := within(t, 20*time.Second)
	events, err := b.Watch(ctx, "")
	must(t, err)
	wantWords(t, told(ctx, t, events, "current"), "current")
	put(ctx, t, b, "w", 1)
	wantWords(t, told(ctx, t, events, "w=1"), "w=1")
}

func TestWatchSurvivesARestart(t *testing.T) {
	h := newHouse(t)
	watcher := h.connect(queue.Options{}).State()
	ctx := within(t, 60*time.Second)
	for i := range 4 {
		put(ctx, t, watcher, fmt.Sprintf("w.%d", i), i)
	}
	events, err := watcher.Watch(ctx, "w")
	must(t, err)
	told(ctx, t, events, "current")
	for round := range 3 {
		h.stop()
		h.start()
		// Before the watch is likely to be back: a change, a deletion, and a deletion
		// that leaves no trace for a watcher to find.
		other := h.connect(queue.Options{}).State()
		put(ctx, t, other, "w.0", 100+round)
		put(ctx, t, other, "w.sub.x", round)
		put(ctx, t, other, fmt.Sprintf("w.z%d", round), round)
		words := told(ctx, t, events, fmt.Sprintf("w.z%d=%d", round, round))
		for _, once := range []string{fmt.Sprintf("w.0=%d", 100+round), fmt.Sprintf("w.sub.x=%d", round)} {
			if n := count(words, once); n != 1 {
				t.Fatalf("round %d: %q was told %d times: %v", round, once, n, words)
			}
		}
		if count(words, "w.1=1")+count(words, "current") > 0 {
			t.Fatalf("round %d: what was known was told again: %v", round, words)
		}
	}
	h.stop()
	h.start()
	other := h.connect(queue.Options{}).State()
	must(t, other.DeletePrefix(ctx, "w.sub"))
	must(t, other.Delete(ctx, "w.1"))
	put(ctx, t, other, "w.end", 1)
	words := told(ctx, t, events, "w.end=1")
	if !slices.Contains(words, "w.1 deleted") {
		words = append(words, told(ctx, t, events, "w.1 deleted")...)
	}
	if count(words, "w.1 deleted") != 1 {
		t.Fatalf("told %v", words)
	}
}

func TestWatchLearnsOfKeysPurgedWhileAway(t *testing.T) {
	h := newHouse(t)
	q := h.connect(queue.Options{})
	ctx := within(t, 60*time.Second)
	b := q.State()
	put(ctx, t, b, "w.1", 1)
	put(ctx, t, b, "w.2", 2)
	events, err := b.Watch(ctx, "w")
	must(t, err)
	told(ctx, t, events, "current")
	must(t, b.DeletePrefix(ctx, "w.")) // nothing tells a watch that stands
	h.stop()
	h.start()
	words := []string{told(ctx, t, events, "w.1 deleted")[0]}
	if !slices.Contains(words, "w.2 deleted") {
		words = append(words, told(ctx, t, events, "w.2 deleted")...)
	}
	if count(words, "w.2 deleted") != 1 {
		t.Fatalf("told %v", words)
	}
}

func count(words []string, word string) int {
	n := 0
	for _, w := range words {
		if w == word {
			n++
		}
	}
	return n
}

func TestSlowWatcherAndClose(t *testing.T) {
	h := newHouse(t)
	q := h.connect(queue.Options{})
	ctx := within(t, 60*time.Second)
	for i := range 1000 { // more than the library's own buffer
		put(ctx, t, q.State(), fmt.Sprintf("w.%d", i), i)
	}
	events, err := q.State().Watch(ctx, "w")
	must(t, err)
	<-events // and no more
	q.Close()
	for range events { // it ends, and Close did
	}
}

func TestWatchJobs(t *testing.T) {
	q := newHouse(t).connect(queue.Options{})
	ctx, cancel := context.WithCancel(within(t, 20*time.Second))
	defer cancel()
	must(t, q.CreateJobRecord(ctx, testRecord("0001")))
	other := testRecord("0001")
	other.Run = "20260101t000000z-00000002"
	must(t, q.CreateJobRecord(ctx, other))
	var seen []ivd.JobID
	for rec, err := range q.WatchJobs(ctx, testRun) {
		if ctx.Err() != nil {
			break
		}
		must(t, err)
		if rec.Run != testRun {
			t.Fatalf("told a record of %s", rec.Run)
		}
		seen = append(seen, rec.ID)
		switch len(seen) {
		case 1:
			must(t, q.CreateJobRecord(ctx, testRecord("0002")))
		case 2:
			rec.State = job.Done
			_, rev, err := q.JobRecord(ctx, rec.Run, rec.Disk, rec.ID)
			must(t, err)
			_, err = q.UpdateJobRecord(ctx, rec, rev)
			must(t, err)
		case 3:
			cancel()
		}
	}
	if fmt.Sprint(seen) != "[0001 0002 0002]" {
		t.Fatalf("told %v", seen)
	}
	for _, err := range q.WatchJobs(t.Context(), "a.b") {
		wantKind(t, err, ivd.Invalid)
	}
}

func TestWatchJobsRefusesANewerRecord(t *testing.T) {
	q := newHouse(t).connect(queue.Options{})
	ctx := within(t, 20*time.Second)
	rec := testRecord("0001")
	rec.Version = job.Version + 1
	wantKind(t, q.CreateJobRecord(ctx, rec), ivd.Invalid)
	key := fmt.Sprintf("%s.%s.0001", testRun, testDisk)
	_, err := q.Records().Put(ctx, key, rec) // as a newer program would
	must(t, err)
	must(t, q.CreateJobRecord(ctx, testRecord("0002")))
	for rec, err := range q.WatchJobs(ctx, testRun) {
		if rec.Run != testRun || rec.Disk != testDisk {
			t.Fatalf("%+v, %v", rec, err)
		}
		if rec.ID == "0002" { // the next one follows
			must(t, err)
			break
		}
		wantKind(t, err, ivd.Unsupported)
	}
	named, rev, err := q.JobRecord(ctx, testRun, testDisk, "0001")
	wantKind(t, err, ivd.Unsupported)
	if named.ID != "0001" || rev == 0 {
		t.Errorf("%+v, revision %d", named, rev)
	}
	jobs, err := q.JobsOf(ctx, testRun)
	must(t, err)
	if len(jobs) != 1 || len(jobs[testDisk]) != 2 {
		t.Errorf("jobs %v", jobs)
	}
	_, err = q.JobRecords(ctx, testRun)
	wantKind(t, err, ivd.Unsupported)
	must(t, q.Records().Delete(ctx, key))
	_, err = q.Records().Put(ctx, key, testRecord("0002")) // another job's
	must(t, err)
	_, _, err = q.JobRecord(ctx, testRun, testDisk, "0001")
	wantKind(t, err, ivd.Corrupt)
}
