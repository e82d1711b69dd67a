package engine

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// viewed is a run of three items, of which the first is moving.
func viewed(t *testing.T) *driver {
	d := outsideQueue(t, nil).newDriver(Run{ID: "r", Kind: "idle", State: Running}, 1, leaseFor(time.Hour))
	for _, it := range []Item{
		{Run: "r", Key: "c", Disk: "c", Step: Ended, Result: Done, Stats: ivd.Stats{ReadBytes: 1000, Packs: 1}, Transports: []string{"san"}},
		{Run: "r", Key: "b", Disk: "b", Step: Waiting},
		{Run: "r", Key: "a", Disk: "a", Step: Moving, Jobs: []ivd.JobID{"j1", "j2", "j3"}, Stats: ivd.Stats{ReadBytes: 77}},
	} {
		d.publish(it)
	}
	return d
}

func progressOf(j ivd.JobID, mover string, read int64) job.Progress {
	return job.Progress{Run: "r", Disk: "a", Job: j, Mover: mover, Transport: "nbdssl", Stats: ivd.Stats{ReadBytes: read}, Refused: []job.Refusal{{Transport: "san", Reason: "no LUN"}}}
}

// A view is what the records say, and what movers tell beyond them of jobs that are
// under way; the sum is that of what is shown.
func TestViewSumsUp(t *testing.T) {
	t.Parallel()
	d := viewed(t)
	d.putJob(job.Record{Run: "r", Disk: "a", ID: "j1", State: job.Done, Stats: ivd.Stats{ReadBytes: 100, Packs: 2}, Transports: []string{"hotadd"}})
	d.putJob(job.Record{Run: "r", Disk: "a", ID: "j2", State: job.Running, Stats: ivd.Stats{ReadBytes: 10}, Transports: []string{"nbdssl"}})
	d.mu.Lock()
	d.progress[jobKey{"a", "j1"}] = progressOf("j1", "m9", 5) // late: its record says all
	d.mu.Unlock()
	d.putProgress(progressOf("j2", "m1", 3))
	v := d.view()
	var keys []ItemKey
	for _, it := range v.Items {
		keys = append(keys, it.Key)
	}
	if want := []ItemKey{"a", "b", "c"}; !slices.Equal(keys, want) {
		t.Errorf("the items are %v, want %v", keys, want)
	}
	large := v.Items[0]
	if large.Stats.ReadBytes != 113 || large.Stats.Packs != 2 || !slices.Equal(large.Movers, []string{"m1"}) || !slices.Equal(large.Transports, []string{"hotadd", "nbdssl"}) {
		t.Errorf("%+v", large)
	}
	if want := []job.Refusal{{Transport: "san", Reason: "no LUN"}}; !reflect.DeepEqual(large.Refused, want) {
		t.Errorf("refused %+v", large.Refused)
	}
	if v.Stats.ReadBytes != 1113 || v.Stats.Packs != 3 {
		t.Errorf("sum %+v", v.Stats)
	}
}

// When a job has ended, what was told of its progress is gone; when a disk has
// ended, its record says all.
func TestViewForgetsWhatIsOver(t *testing.T) {
	t.Parallel()
	d := viewed(t)
	d.putJob(job.Record{Run: "r", Disk: "a", ID: "j1", State: job.Running})
	d.putProgress(progressOf("j1", "m1", 3))
	d.putJob(job.Record{Run: "r", Disk: "a", ID: "j1", State: job.Done, Stats: ivd.Stats{ReadBytes: 7}})
	if it := d.view().Items[0]; it.Stats.ReadBytes != 7 || it.Movers != nil {
		t.Errorf("%+v", it)
	}
	d.publish(Item{Run: "r", Key: "a", Disk: "a", Step: Ended, Result: Done, Jobs: []ivd.JobID{"j1"}, Stats: ivd.Stats{ReadBytes: 9}})
	if it := d.view().Items[0]; it.Stats.ReadBytes != 9 || len(d.jobs) != 0 || len(d.progress) != 0 {
		t.Errorf("%+v, %v, %v", it, d.jobs, d.progress)
	}
}

// A run is as its disks are; one that left something out is no more than partial.
func TestResultOfARun(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		results []State
		run     Run
		want    State
	}{
		{[]State{Done, Done}, Run{}, Done},
		{[]State{Done, Failed}, Run{}, Partial},
		{[]State{Failed, Failed}, Run{}, Failed},
		{[]State{Done, Cancelled}, Run{Cancel: true}, Cancelled},
		{[]State{Done, Done}, Run{Cancel: true}, Done}, // it came too late
		{[]State{Done}, Run{Failure: &ivd.Failure{}}, Partial},
		{nil, Run{}, Failed},
	} {
		d := outsideQueue(t, nil).newDriver(c.run, 1, leaseFor(time.Hour))
		for i, r := range c.results {
			d.publish(Item{Key: ItemKey(rune('a' + i)), Step: Ended, Result: r})
		}
		if got := d.result(); got != c.want {
			t.Errorf("%v of %+v: %s, want %s", c.results, c.run, got, c.want)
		}
	}
}
