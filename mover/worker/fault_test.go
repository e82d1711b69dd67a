package worker

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"ivdmover/deploy/lab/script"
	"ivdmover/mover/disk"
	"ivdmover/mover/pipeline"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// fault is what befalls a job's disk, and what the job comes to.
type fault struct {
	name  string
	rules []script.Fault
	hosts script.Hosts
	spoil func(*job.Job)

	by     string   // the transport, where the job is done
	kind   ivd.Kind // of its failure, where it is not
	remedy string   // part of its remedy
	asked  int      // logins
	healed bool     // once what befell it is over, another attempt does it
}

// always is a call that fails for ever.
func always(call string, code int) []script.Fault {
	return []script.Fault{{Call: call, Do: script.Code(code), Times: script.Always}}
}

var libraryFaults = []fault{
	{name: "the login expired, and the next is good", rules: []script.Fault{{Call: "Open", Do: script.Code(3047)}}, by: "nbdssl", asked: 2},
	{name: "each login has expired", rules: always("Open", 3046), kind: ivd.Expired, asked: 2, healed: true},
	{name: "host goes into maintenance, at the opening", rules: always("Open", 14014), kind: ivd.Transient, healed: true},
	{name: "host goes into maintenance, at a read", rules: []script.Fault{{Call: "ReadAsync", Nth: 3, Do: script.Code(14014)}}, kind: ivd.Transient, healed: true},
	{name: "port 902 is closed", rules: always("Open", 14009), kind: ivd.Transient, healed: true},
	{name: "the host's memory for NFC is used up", hosts: script.Hosts{NFCMemory: 1}, kind: ivd.Transient, remedy: "mover.handles", healed: true},
	{name: "the host's connections are used up", hosts: script.Hosts{NFCConnections: -1}, kind: ivd.Transient, healed: true},
	{name: "the disk is locked", rules: always("Open", 15), kind: ivd.Locked, healed: true},
	{name: "the disk cannot be reached, and nobody says why", rules: always("Open", 13), kind: ivd.Locked, healed: true},
	{name: "relocation was left disabled", rules: []script.Fault{{Call: "Open", Do: script.Code(20005)}}, by: "nbdssl"},
	{name: "relocation stays disabled", rules: always("Open", 20005), kind: ivd.Transient, healed: true},
	{name: "the map cannot be asked for", rules: []script.Fault{{Call: "QueryAllocatedBlocks", Do: script.Code(14010)}}, kind: ivd.Transient, healed: true},
	{name: "this transport has no map", rules: always("QueryAllocatedBlocks", 6), by: "nbdssl"},
	{name: "closing fails", rules: []script.Fault{{Call: "Close", Do: script.Code(14011)}}, kind: ivd.Transient, healed: true},
	{name: "the disk is gone", spoil: func(j *job.Job) {
		j.Disk = job.IVD(ivd.NewDiskRef(j.Disk.Ref.Source(), j.Disk.Ref.Datastore(), "0f0e0d0c-0000-4000-8000-000000000009"))
	}, kind: ivd.NotFound},
	{name: "its snapshot is gone", spoil: func(j *job.Job) { j.Backup.Snapshot = "0f0e0d0c-0000-4000-8000-000000000008" }, kind: ivd.NotFound},
	{name: "the disk was resized", spoil: func(j *job.Job) { j.Geometry.Capacity /= 2 }, kind: ivd.Permanent, remedy: "start the run again"},
	{name: "no rights", rules: always("Open", 16064), kind: ivd.Denied},
	{name: "encrypted", rules: always("Open", 17000), kind: ivd.Unsupported},
	{name: "an error that says nothing", rules: always("Open", 1), kind: ivd.Unknown, healed: true},
}

// Each fault of the library ends a job as it should: done, by whatever means, or
// failed with its kind, its remedy and one attempt counted; where the kind is to be
// tried again, the next attempt does the job.
func TestFaultsEndJobsAsTheyShould(t *testing.T) {
	w := newWard(t, 2)
	w.host(disk.Options{Transports: []string{"nbdssl"}})
	w.occupy()() // the library learns with the first disk where the script lies
	for i, f := range libraryFaults {
		t.Run(f.name, func(t *testing.T) {
			w.host(disk.Options{Transports: []string{"nbdssl"}})
			m := w.start(fmt.Sprintf("m%d", i), 1, pipeline.Limits{})
			defer w.end(m)
			asked := 0
			w.bench.logins(func(job.LoginRequest) job.Login { asked++; return w.login })
			if f.hosts.NFCConnections < 0 { // all but none
				f.hosts.NFCConnections = 1
				defer w.occupy()()
			}
			w.hosts(f.hosts)
			w.faults(f.rules...)
			j := w.backup(0, ivd.JobID(fmt.Sprintf("j%04d", i)))
			if f.spoil != nil {
				f.spoil(&j)
			}
			w.publish(j)
			rec := w.wait(j, over)
			w.hosts(script.Hosts{})
			w.faults()
			f.check(t, rec, asked)
			if f.healed {
				w.again(j)
				if rec := w.wait(j, over); rec.State != job.Done || rec.Attempt != 2 || rec.Failure != nil {
					t.Errorf("the next attempt: %+v, %+v", rec, rec.Failure)
				}
			}
		})
	}
}

func over(r job.Record) bool { return r.State == job.Done || r.State == job.Failed }

func (f fault) check(t *testing.T, rec job.Record, asked int) {
	t.Helper()
	if rec.Attempt != 1 || rec.Lost != 0 || f.asked > 0 && asked != f.asked {
		t.Errorf("record %+v, %d logins", rec, asked)
	}
	if f.by != "" {
		if rec.State != job.Done || !slices.Equal(rec.Transports, []string{f.by}) {
			t.Errorf("record %+v, %+v", rec, rec.Failure)
		}
		return
	}
	if rec.State != job.Failed || rec.Failure == nil {
		t.Fatalf("record %+v", rec)
	}
	if rec.Failure.Kind != f.kind || !strings.Contains(rec.Failure.Remedy, f.remedy) || f.kind.Retry() != f.healed {
		t.Errorf("failure %+v, want %q", rec.Failure, f.kind)
	}
}

// again has a failed job done once more, as a coordinator does.
func (b *bench) again(j job.Job) {
	b.t.Helper()
	rec, rev, err := b.queue.JobRecord(b.t.Context(), j.Run, j.Disk.Ref.ID(), j.ID)
	if err != nil {
		b.t.Fatal(err)
	}
	rec.State = job.Queued
	if _, err := b.queue.UpdateJobRecord(b.t.Context(), rec, rev); err != nil {
		b.t.Fatal(err)
	}
	if err := b.queue.Publish(b.t.Context(), j); err != nil {
		b.t.Fatal(err)
	}
}

// Where a better transport fails, the job goes by the next one, and says why.
func TestAJobGoesByTheNextTransport(t *testing.T) {
	w := newWard(t, 1)
	w.host(disk.Options{Transports: []string{"nbdssl"}})
	w.occupy()()
	for i, code := range []int{13, 15, 16053, 3014, 14009, 1} {
		machine := w.proxy(1)
		w.host(disk.Options{Transports: []string{"hotadd", "nbdssl"}, Machine: machine})
		m := w.start(fmt.Sprintf("m%d", i), 1, pipeline.Limits{})
		w.faults(script.Fault{Call: "Open", Mode: "hotadd", Do: script.Code(code), Times: script.Always})
		j := w.backup(0, ivd.JobID(fmt.Sprintf("j%04d", i)))
		w.publish(j)
		rec := w.wait(j, over)
		if rec.State != job.Done || rec.Attempt != 1 || !slices.Equal(rec.Transports, []string{"nbdssl"}) ||
			len(rec.Refused) != 1 || rec.Refused[0].Transport != "hotadd" {
			t.Errorf("%d: %+v, %+v", code, rec, rec.Failure)
		}
		w.end(m)
	}
	w.faults()
}

// A transport that fails while it is used costs the job an attempt; the next one
// goes by another, from the checkpoint on.
func TestABrokenTransportIsLeftByTheNextAttempt(t *testing.T) {
	w := newWard(t, 1)
	w.host(disk.Options{Transports: []string{"hotadd", "nbdssl"}, Machine: w.proxy(1)})
	w.occupy()()
	w.start("m", 1, pipeline.Limits{})
	w.faults(script.Fault{Call: "ReadAsync", Mode: "hotadd", Nth: 2, Do: script.Code(14011), Times: script.Always})
	j := w.backup(0, "j0001")
	w.publish(j)
	if rec := w.wait(j, over); rec.State != job.Failed || rec.Failure.Kind != ivd.Transient || !slices.Equal(rec.Transports, []string{"hotadd"}) {
		t.Fatalf("%+v, %+v", rec, rec.Failure)
	}
	w.again(j)
	rec := w.wait(j, over)
	if rec.State != job.Done || rec.Attempt != 2 || !slices.Equal(rec.Transports, []string{"hotadd", "nbdssl"}) || len(rec.Refused) != 1 {
		t.Errorf("%+v, %+v", rec, rec.Failure)
	}
	w.faults()
}
