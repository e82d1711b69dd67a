package e2e

import (
	"slices"
	"strings"
	"testing"

	"ivdmover/deploy/lab/estate"
	"ivdmover/deploy/lab/owner"
	"ivdmover/deploy/lab/script"
	"ivdmover/deploy/stage"
)

// told is what a run's record tells of a disk beside its figures.
type told struct {
	Name    string `json:"name"`
	Step    string `json:"step"`
	Retries int    `json:"retries"`
	Retried string `json:"retried"`
	Note    string `json:"note"`
}

func recordOf(t *testing.T, s *stage.Stage, run, name string) told {
	t.Helper()
	var shown struct {
		Disks []told `json:"disks"`
	}
	must(t, s.Quietly(t.Context(), &shown, "run", "show", run))
	for _, d := range shown.Disks {
		if d.Name == name {
			return d
		}
	}
	t.Fatalf("run %s has no disk %s", run, name)
	return told{}
}

// faulted is a stage with three disks: one that is to have trouble, and neighbours.
type faulted struct {
	*stage.Stage
	coordinator *stage.Process
	victim      owner.Disk
}

func newFaulted(t *testing.T) *faulted {
	t.Helper()
	f := &faulted{Stage: newStage(t)}
	f.victim = filled(t, f.Stage, "victim", 48, 24)
	filled(t, f.Stage, "neighbour", 8, 4)
	f.coordinator, _ = serve(t, f.Stage, "m1", "m2")
	return f
}

// begin begins a backup after the guest wrote.
func (f *faulted) begin(t *testing.T, seed int) string {
	t.Helper()
	must(t, f.GuestWrites(t.Context(), f.victim, 0, 20<<20, seed))
	id, err := f.Backup(t.Context())
	must(t, err)
	return id
}

// retried waits until a job of the victim was tried again, or is about to be.
func (f *faulted) retried(t *testing.T, id string) {
	t.Helper()
	must(t, f.coordinator.Await(t.Context(), "the victim's job has failed", limit, func() bool {
		return recordOf(t, f.Stage, id, "victim").Retries > 0
	}))
}

// What may pass at a host is tried again, and the run's record tells why; the disk is
// as it was, neighbours are done, and nothing stays behind.
func TestFaultsOfHostsPass(t *testing.T) {
	t.Parallel()
	f := newFaulted(t)
	for i, c := range []struct {
		name, call string
		code       int
	}{
		{"the host enters maintenance while it is read", "ReadAsync", 14014},
		{"port 902 is closed", "Open", 14009},
		{"the disk is locked", "Open", 15},
		{"the host's memory for NBD is used up", "Open", 2},
		{"the login has expired while it is read", "ReadAsync", 3047},
	} {
		must(t, script.WriteFaults(f.Path("lab"), script.Fault{
			Call: c.call, Disk: string(f.victim.Ref.ID()), Mode: "nbdssl", Times: 2, Shared: true, Do: script.Code(c.code),
		}))
		id := f.begin(t, 100+i)
		r, err := f.Ended(t.Context(), f.coordinator, id, limit)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		rec := recordOf(t, f.Stage, id, "victim")
		if rec.Retries == 0 || !strings.Contains(rec.Retried, script.Code(c.code)[len("code:"):]) {
			t.Errorf("%s: the record tells %+v", c.name, rec)
		}
		if n := recordOf(t, f.Stage, id, "neighbour"); n.Retries != 0 || r.Disk("neighbour").Result != "done" {
			t.Errorf("%s: the neighbour was not left alone: %+v", c.name, n)
		}
		flat, err := f.Flat(f.victim)
		must(t, err)
		restoreAndCompare(t, f.Stage, f.coordinator, r.Disk("victim").Point, "back-"+script.Code(c.code), flat)
		must(t, script.WriteFaults(f.Path("lab")))
		accessEnded(t, f.Stage, f.Lab, f.coordinator)
	}
}

// Every session with the vCenter ends while a disk is read: coordinator and movers
// log in again, the disk that was open goes on.
func TestLoginsEndInTheMiddle(t *testing.T) {
	t.Parallel()
	f := newFaulted(t)
	want := copied(t, f.Stage, f.victim, "want")
	fast := slow(t, f.Stage)
	id, err := f.Backup(t.Context())
	must(t, err)
	seen(t, f.Stage, f.coordinator, id, "the victim is read", moving("victim"))
	n, err := f.Owner.EndLogins(t.Context())
	if err != nil || n < 2 { // the coordinator's own and the movers'
		t.Fatalf("%d sessions were ended: %v", n, err)
	}
	must(t, script.WriteFaults(f.Path("lab"), script.Fault{Call: "ReadAsync", Disk: string(f.victim.Ref.ID()), Shared: true, Do: script.Code(3047)}))
	f.retried(t, id)
	fast()
	r, err := f.Ended(t.Context(), f.coordinator, id, limit)
	must(t, err)
	restoreAndCompare(t, f.Stage, f.coordinator, r.Disk("victim").Point, "back", want)
	accessEnded(t, f.Stage, f.Lab, f.coordinator)
}

// A host has memory for one disk at a time: the others are tried again until all are
// done.
func TestHostWithMemoryForOneDisk(t *testing.T) {
	t.Parallel()
	f := newFaulted(t)
	must(t, script.WriteHosts(f.Path("lab"), script.Hosts{NFCMemory: 4 << 20, Bandwidth: 16 << 20}))
	id := f.begin(t, 1)
	r, err := f.Ended(t.Context(), f.coordinator, id, limit)
	must(t, err)
	victim, neighbour := recordOf(t, f.Stage, id, "victim"), recordOf(t, f.Stage, id, "neighbour")
	if reasons := victim.Retried + neighbour.Retried; !strings.Contains(reasons, "Failed to allocate") {
		t.Errorf("nobody was short of memory: %+v, %+v", victim, neighbour)
	}
	flat, err := f.Flat(f.victim)
	must(t, err)
	restoreAndCompare(t, f.Stage, f.coordinator, r.Disk("victim").Point, "back", flat)
	accessEnded(t, f.Stage, f.Lab, f.coordinator)
}

// A disk is deleted, with its snapshot, between two attempts to read it: it fails with
// that reason, access ends, and neighbours are done.
func TestDiskDeletedInTheMiddle(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	f := newFaulted(t)
	backup(t, f.Stage, f.coordinator) // whose inspection is a call of Open, too
	must(t, script.WriteFaults(f.Path("lab"), script.Fault{Call: "Open", Disk: string(f.victim.Ref.ID()), Mode: "nbdssl", Times: script.Always, Do: script.Code(14009)}))
	id := f.begin(t, 1)
	f.retried(t, id)
	must(t, f.Owner.Delete(ctx, f.victim.Ref))
	must(t, script.WriteFaults(f.Path("lab")))
	r, err := f.Ended(ctx, f.coordinator, id, limit)
	if err == nil || r.State != "partial" || r.Disk("neighbour").Result != "done" {
		t.Errorf("%v: %+v", err, r)
	}
	if x := r.Disk("victim"); x.Result != "failed" || x.Failure == nil || !strings.Contains(x.Failure.Message, string(f.victim.Ref.ID())) {
		t.Errorf("%+v, %+v", x, x.Failure)
	}
	accessEnded(t, f.Stage, f.Lab, f.coordinator)
}

// HotAdd fails for one disk: it goes by the next transport, and the run's record has
// the reason; a disk on another datastore is not concerned.
func TestFallBackIsInTheRecord(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := newStage(t)
	const vm = "lab-vm-3"
	s.Config.Transports, s.Config.BIOSUUID = "hotadd, nbdssl", estate.BIOSUUID(vm)
	must(t, script.WriteHosts(s.Path("lab"), script.Hosts{Proxies: []script.Proxy{{BIOSUUID: estate.BIOSUUID(vm), VM: vm, FreeSlots: 4}}}))
	victim := filled(t, s, "victim", 8, 4)
	_, err := s.Register(ctx, "datastore2", "far", sparse(8<<20, 1<<20))
	must(t, err)
	must(t, script.WriteFaults(s.Path("lab"), script.Fault{Call: "Open", Disk: string(victim.Ref.ID()), Mode: "hotadd", Times: script.Always, Do: script.Code(13)}))
	coordinator, _ := serve(t, s, "m1")
	r := backup(t, s, coordinator)
	how := howMoved(t, s, r.ID)
	if got := how["victim"]; !slices.Equal(got.Transports, []string{"nbdssl"}) || len(got.Refused) != 1 || got.Refused[0].Transport != "hotadd" || !strings.Contains(got.Refused[0].Reason, "13") {
		t.Errorf("victim: %+v", got)
	}
	if got := how["far"]; !slices.Equal(got.Transports, []string{"hotadd"}) || len(got.Refused) != 0 {
		t.Errorf("far: %+v", got)
	}
	flat, err := s.Flat(victim)
	must(t, err)
	restoreAndCompare(t, s, coordinator, r.Disk("victim").Point, "back", flat)
	accessEnded(t, s, s.Lab, coordinator)
}
