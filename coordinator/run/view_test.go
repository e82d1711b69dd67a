package run

import (
	"log/slog"
	"reflect"
	"slices"
	"testing"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// viewed is a run of three disks, of which the first is moving.
func viewed() *active {
	s := New(Deps{Log: slog.New(slog.DiscardHandler)})
	a := s.newActive(Run{ID: "r", Kind: job.Backup, State: Running}, 1, leaseFor(time.Hour))
	for _, d := range []Disk{
		{Run: "r", Ref: ivd.NewDiskRef("", "", "c"), Name: "same", Step: Ended, Result: Done, Stats: ivd.Stats{ReadBytes: 1000, Packs: 1}, Transports: []string{"san"}},
		{Run: "r", Ref: ivd.NewDiskRef("", "", "b"), Name: "same", Step: Waiting},
		{Run: "r", Ref: ivd.NewDiskRef("", "", "a"), Name: "large", Step: Moving, Jobs: []ivd.JobID{"j1", "j2", "j3"}, Stats: ivd.Stats{ReadBytes: 77}},
	} {
		a.publish(d)
	}
	return a
}

func progressOf(j ivd.JobID, mover string, read int64) job.Progress {
	return job.Progress{Run: "r", Disk: "a", Job: j, Mover: mover, Transport: "nbdssl", Stats: ivd.Stats{ReadBytes: read}, Refused: []job.Refusal{{Transport: "san", Reason: "no LUN"}}}
}

// A view is what the records say, and what movers tell beyond them of jobs that are
// under way; the sum is that of what is shown.
func TestViewSumsUp(t *testing.T) {
	t.Parallel()
	a := viewed()
	a.putJob(job.Record{Run: "r", Disk: "a", ID: "j1", State: job.Done, Stats: ivd.Stats{ReadBytes: 100, Packs: 2}, Transports: []string{"hotadd"}})
	a.putJob(job.Record{Run: "r", Disk: "a", ID: "j2", State: job.Running, Stats: ivd.Stats{ReadBytes: 10}, Transports: []string{"nbdssl"}})
	a.mu.Lock()
	a.progress[jobKey{"a", "j1"}] = progressOf("j1", "m9", 5) // late: its record says all
	a.progress[jobKey{"a", "j2"}] = progressOf("j2", "m1", 3)
	a.mu.Unlock()
	v := a.view()
	var order []ivd.DiskID
	for _, d := range v.Disks {
		order = append(order, d.Ref.ID())
	}
	if want := []ivd.DiskID{"a", "b", "c"}; !slices.Equal(order, want) { // by name, then by id
		t.Errorf("the disks are %v, want %v", order, want)
	}
	large := v.Disks[0]
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
	a := viewed()
	a.putJob(job.Record{Run: "r", Disk: "a", ID: "j1", State: job.Running})
	a.mu.Lock()
	a.progress[jobKey{"a", "j1"}] = progressOf("j1", "m1", 3)
	a.mu.Unlock()
	a.putJob(job.Record{Run: "r", Disk: "a", ID: "j1", State: job.Done, Stats: ivd.Stats{ReadBytes: 7}})
	if d := a.view().Disks[0]; d.Stats.ReadBytes != 7 || d.Movers != nil {
		t.Errorf("%+v", d)
	}
	a.publish(Disk{Run: "r", Ref: ivd.NewDiskRef("", "", "a"), Name: "large", Step: Ended, Result: Done, Jobs: []ivd.JobID{"j1"}, Stats: ivd.Stats{ReadBytes: 9}})
	if d := a.view().Disks[0]; d.Stats.ReadBytes != 9 || len(a.jobs) != 0 || len(a.progress) != 0 {
		t.Errorf("%+v, %v, %v", d, a.jobs, a.progress)
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
		a := New(Deps{Log: slog.New(slog.DiscardHandler)}).newActive(c.run, 1, leaseFor(time.Hour))
		for i, r := range c.results {
			a.publish(Disk{Ref: ivd.NewDiskRef("", "", ivd.DiskID(rune('a' + i))), Step: Ended, Result: r})
		}
		if got := a.result(); got != c.want {
			t.Errorf("%v of %+v: %s, want %s", c.results, c.run, got, c.want)
		}
	}
}
