package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"ivdmover/deploy/lab/script"
	"ivdmover/deploy/stage"
)

// Of disks of one host no more are open at once than limits.host_handles, whatever the
// number of movers and of their handles, and as many are where there is enough to do.
func TestDisksOfOneHostAtOnce(t *testing.T) {
	t.Parallel()
	const disks, handles = 9, 3
	ctx := t.Context()
	s := newStage(t)
	args := []string{"backup"}
	for i := range disks {
		d, err := s.Owner.Create(ctx, fmt.Sprintf("datastore%d", i%2+1), fmt.Sprintf("attached-%d", i), 8)
		must(t, err)
		must(t, s.GuestWrites(ctx, d, 0, 8<<20, i))
		must(t, s.Owner.Attach(ctx, d.Ref, 0)) // all machines are on one host
		args = append(args, "--disk", string(d.Ref.ID()))
	}
	must(t, script.WriteHosts(s.Path("lab"), script.Hosts{Latency: script.Duration(100 * time.Millisecond)})) // so that they meet
	s.Config.Handles, s.Config.Limits = 4, fmt.Sprintf("host_handles: %d", handles)
	coordinator, _ := serve(t, s, "m1", "m2", "m3")
	var begun stage.Run
	must(t, s.Ask(ctx, &begun, args...))
	r, err := s.Ended(ctx, coordinator, begun.ID, limit)
	must(t, err)
	report, err := audit(ctx, s.Lab)
	must(t, err)
	if len(r.Disks) != disks || report.MostOpen != handles {
		t.Errorf("of %d disks of one host %d were open at once, want %d", len(r.Disks), report.MostOpen, handles)
	}
	nothingLeft(t, s)
}

// A datastore that is too full gets no snapshot, and its disks fail with that reason; those
// of another one are backed up, and once there is space again all are.
func TestADatastoreThatIsTooFull(t *testing.T) {
	t.Parallel()
	const tib = int64(1) << 40
	ctx := t.Context()
	s := newStage(t)
	for i, name := range []string{"full", "other"} {
		d, err := s.Owner.Create(ctx, fmt.Sprintf("datastore%d", i+1), name, 4)
		must(t, err)
		must(t, s.GuestWrites(ctx, d, 0, 1<<20, i))
	}
	s.Config.Limits = `free_space: "10%"`
	coordinator, _ := serve(t, s, "m1")
	must(t, script.WriteSpaces(s.Path("lab"), script.Space{Datastore: "datastore1", Capacity: tib, Free: tib / 20}))
	id, err := s.Backup(ctx)
	must(t, err)
	r, err := s.Ended(ctx, coordinator, id, limit)
	if r.State != "partial" {
		t.Fatalf("%s: %v", r.State, err)
	}
	if f := r.Disk("full").Failure; f == nil || f.Kind != "full" || !strings.Contains(f.Message, "5.0% of it is free") {
		t.Errorf("failure %+v", f)
	}
	if d := r.Disk("other"); d.Result != "done" {
		t.Errorf("%+v", d)
	}
	nothingLeft(t, s)

	must(t, script.WriteSpaces(s.Path("lab"), script.Space{Datastore: "datastore1", Capacity: tib, Free: tib / 2}))
	if d := backup(t, s, coordinator).Disk("full"); d.Result != "done" {
		t.Errorf("with space again: %+v", d)
	}
}

// A disk whose snapshot grows too old fails with that reason, and its snapshot is deleted.
func TestASnapshotThatGrowsTooOld(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := newStage(t)
	d, err := s.Owner.Create(ctx, "datastore1", "slow", 64)
	must(t, err)
	must(t, s.GuestWrites(ctx, d, 0, 64<<20, 1))
	must(t, script.WriteHosts(s.Path("lab"), script.Hosts{Bandwidth: 1 << 20})) // a minute at the least
	s.Config.Limits = "snapshot_age: 10s"
	coordinator, _ := serve(t, s, "m1")
	var begun stage.Run
	must(t, s.Ask(ctx, &begun, "backup", "--disk", string(d.Ref.ID())))
	r, err := s.Ended(ctx, coordinator, begun.ID, limit)
	if r.State != "failed" {
		t.Fatalf("%s: %v", r.State, err)
	}
	if f := r.Disk("slow").Failure; f == nil || !strings.Contains(f.Message, "snapshot has reached the age of 10s") {
		t.Errorf("failure %+v", f)
	}
	accessEnded(t, s, s.Lab, coordinator)
}
