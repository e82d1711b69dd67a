package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ivdmover/coordinator/broker"
	"ivdmover/deploy/lab/script"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/queue"
	"ivdmover/shared/repo"
	"ivdmover/shared/store/dir"
)

// crashing is a mover whose disks are the laboratory's, and a coordinator's parts.
type crashing struct {
	*place
	ward  *ward
	repo  *repo.Repository
	lease repo.Lease
}

func newCrashing(t *testing.T) *crashing {
	t.Helper()
	c := &crashing{place: &place{t: t}, ward: newWard(t)}
	s, err := broker.Start(t.Context(), broker.Options{Dir: t.TempDir(), Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if c.queue, err = queue.Connect(t.Context(), queue.Options{InProcess: s, Name: "test", AckWait: 2 * time.Second}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.queue.Close)
	if err := c.queue.Setup(t.Context()); err != nil {
		t.Fatal(err)
	}
	login := c.ward.login
	stop, err := c.queue.ServeLogins(t.Context(), func(context.Context, job.LoginRequest, job.Mover) (job.Login, error) { return login, nil })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	folder := t.TempDir()
	st, err := dir.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	if c.repo, err = repo.Init(t.Context(), st, repo.InitOptions{}); err != nil {
		t.Fatal(err)
	}
	if c.lease, err = c.repo.OpenLease(t.Context(), repo.LeaseSpec{Kind: repo.WriteLease, Owner: "test"}); err != nil {
		t.Fatal(err)
	}
	c.config = filepath.Join(t.TempDir(), "ivd.yaml")
	c.write(fmt.Sprintf(`
repository: { url: "dir://%s" }
queue: { url: "%s", creds_file: "%s" }
mover: { name: p, handles: 2, memory: 128MiB, vddk: { libdir: "%s", transports: [nbdssl], temp_dir: "%s" } }
`, folder, s.ClientURL(), creds(t, s, "proxy-2"), c.ward.libdir, filepath.Join(t.TempDir(), "vddk")))
	return c
}

// publish queues a job for one of the laboratory's disks that was lost so often.
func (c *crashing) publish(n, lost int) {
	c.t.Helper()
	g := ivd.Geometry{Capacity: 8 << 20, ChunkSize: ivd.DefaultChunkSize}
	j := job.Job{
		Version: job.Version, Kind: job.Backup, Class: job.AnyClass, ID: "j0001", Run: "run-1",
		Lease: c.lease.ID, Repository: c.repo.ID(),
		Disk: job.IVD(c.ward.refs[n]), Name: "disk", Geometry: g,
		Backup: &job.BackupSpec{Snapshot: c.ward.snapshots[n], Pages: []ivd.PageIndex{0}, Unread: job.UnreadZero, Allocated: true},
	}
	rec := job.Record{
		Version: job.Version, ID: j.ID, Run: j.Run, Disk: j.Disk.Ref.ID(), Lease: j.Lease,
		State: job.Queued, Lost: lost, Attempt: lost,
	}
	if err := c.queue.CreateJobRecord(c.t.Context(), rec); err != nil {
		c.t.Fatal(err)
	}
	if err := c.queue.Publish(c.t.Context(), j); err != nil {
		c.t.Fatal(err)
	}
}

// A disk that makes the library abort is run alone, and given up with its reason;
// its neighbour does not notice.
func TestADiskThatKillsTheLibraryHarmsNoOther(t *testing.T) {
	c := newCrashing(t)
	if err := script.WriteFaults(c.ward.dir, script.Fault{
		Call: "Open", Disk: string(c.ward.refs[0].ID()), Do: script.Abort, Times: script.Always,
	}, script.Fault{
		Call: "QueryAllocatedBlocks", Disk: string(c.ward.refs[0].ID()), Do: script.Abort, Times: script.Always,
	}); err != nil {
		t.Fatal(err)
	}
	c.start()
	c.publish(1, 0)
	c.publish(0, 4)
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	ended := map[ivd.DiskID]job.Record{}
	for rec, err := range c.queue.WatchJobs(ctx, "run-1") {
		if err != nil {
			t.Fatal(err)
		}
		if rec.State == job.Done || rec.State == job.Failed {
			ended[rec.Disk] = rec
		}
		if len(ended) == 2 {
			break
		}
	}
	culprit, neighbour := ended[c.ward.refs[0].ID()], ended[c.ward.refs[1].ID()]
	if neighbour.State != job.Done || neighbour.Attempt != 1 {
		t.Errorf("the neighbour: %+v, %+v", neighbour, neighbour.Failure)
	}
	if culprit.State != job.Failed || culprit.Failure.Kind != ivd.Permanent || !strings.Contains(culprit.Failure.Message, "5 attempts") {
		t.Errorf("the culprit: %+v, %+v", culprit, culprit.Failure)
	}
}
