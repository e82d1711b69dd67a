package custody_test

import (
	"testing"

	"ivdmover/coordinator/backup"
	"ivdmover/coordinator/coordtest"
	"ivdmover/coordinator/engine"
	"ivdmover/coordinator/restore"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// What a job reads is known by its run: a restore's point, under the run's lease, whatever
// the job's record says that movers write, for the process that has claimed it while the
// run goes on. A backup reads no point.
func TestWhatAJobReads(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	c := b.Coordinator("one")
	ref := b.InLab(b.Disk("a", 8).Ref)
	const point = ivd.PointID("the point")
	start := func(kind engine.Kind, state engine.State, body any) engine.Run {
		r := b.Run(kind, state)
		r.Lease = "the lease"
		b.Store(r, engine.Item{Key: engine.ItemKey(ref.ID()), Step: engine.Moving, Disk: ref.ID(), Jobs: []ivd.JobID{"j1"}, Body: coordtest.Body(body)})
		for _, id := range []ivd.JobID{"j1", "made-up"} {
			b.Must(b.Queue.CreateJobRecord(t.Context(), job.Record{
				Version: job.Version, ID: id, Run: r.ID, Disk: ref.ID(), Lease: "the mover's", State: job.Running, Mover: "m", Process: "p",
			}))
		}
		return r
	}
	restored := start(restore.Kind, engine.Running, restore.Disk{Ref: ref, From: point})
	over := start(restore.Kind, engine.Done, restore.Disk{Ref: ref, From: point})
	saved := start(backup.Kind, engine.Running, backup.Disk{Ref: ref})
	for what, x := range map[string]struct {
		run   engine.Run
		claim job.Claim
		kind  ivd.Kind
	}{
		"a restore":              {restored, job.Claim{Mover: "m", Process: "p", Disk: ref, Job: "j1"}, ""},
		"by another process":     {restored, job.Claim{Mover: "m", Process: "q", Disk: ref, Job: "j1"}, ivd.Transient},
		"by another mover":       {restored, job.Claim{Mover: "n", Process: "p", Disk: ref, Job: "j1"}, ivd.Transient},
		"a job that is made up":  {restored, job.Claim{Mover: "m", Process: "p", Disk: ref, Job: "made-up"}, ivd.Denied},
		"another disk":           {restored, job.Claim{Mover: "m", Process: "p", Disk: ivd.NewDiskRef(ref.Source(), "d", "22222222-2222-4222-8222-222222222222"), Job: "j1"}, ivd.Denied},
		"a restore that is over": {over, job.Claim{Mover: "m", Process: "p", Disk: ref, Job: "j1"}, ivd.Denied},
		"a backup":               {saved, job.Claim{Mover: "m", Process: "p", Disk: ref, Job: "j1"}, ivd.Denied},
		"no run":                 {engine.Run{ID: "none"}, job.Claim{Mover: "m", Process: "p", Disk: ref, Job: "j1"}, ivd.NotFound},
	} {
		x.claim.Run = x.run.ID
		got, err := c.Engine.Reads(t.Context(), x.claim.Login())
		if ivd.KindOf(err) != x.kind || (err == nil) != (x.kind == "") || err == nil && (got.Point != point || got.Lease != "the lease") {
			t.Errorf("%s: %+v, %v, want kind %q", what, got, err, x.kind)
		}
	}
}
