package serve_test

import (
	"testing"
	"time"

	"ivdmover/coordinator/api"
	"ivdmover/coordinator/serve"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/repo"
	"ivdmover/shared/store/open"
)

// A coordinator whose queue knows nothing of a run shows it from the repository.
func TestRunsThatOnlyTheRepositoryKnows(t *testing.T) {
	w := newWorld(t)
	st, err := open.Open(t.Context(), w.config(t, "").Repository)
	if err != nil {
		t.Fatal(err)
	}
	r, err := repo.Open(t.Context(), st)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now().UTC().Add(-time.Hour).Truncate(time.Second)
	failure := format.RunFailure{Source: "lab", Disk: "11111111-1111-4111-8111-111111111111", Name: "web", State: "failed", Reason: "no space"}
	twin := failure
	twin.Source = "east"
	run := format.Run{ID: ivd.NewRunID(began), Sequence: 1, Kind: "backup", State: "failed", Policy: "nightly", Coordinator: "one", Lease: ivd.NewLeaseID(), Started: began, Ended: began.Add(time.Minute), Failed: []format.RunFailure{failure, twin}}
	if err := r.PutRun(t.Context(), run); err != nil {
		t.Fatal(err)
	}
	client, _ := w.start(t, serve.Options{})
	runs, err := client.Runs(t.Context())
	if err != nil || len(runs) != 1 || runs[0].ID != run.ID || runs[0].State != api.Failed || runs[0].Policy != "nightly" || runs[0].Counts.Failed != 2 || !runs[0].Created.Equal(began) {
		t.Errorf("%+v, %v", runs, err)
	}
	one, err := client.RunDetail(t.Context(), run.ID)
	if err != nil || one.State != api.Failed || len(one.Disks) != 2 || one.Disks[0].Key == one.Disks[1].Key || one.Disks[0].Name != "web" || one.Disks[0].Failure == nil || one.Disks[0].Failure.Message != "no space" {
		t.Errorf("%+v, %v", one, err)
	}
	last, watched := api.Run{}, 0
	for c, err := range client.Watch(t.Context(), run.ID) {
		if err != nil {
			t.Fatal(err)
		}
		last, watched = c.Run, len(c.Disks)
	}
	if last.ID != run.ID || last.State != api.Failed || watched != 2 {
		t.Errorf("watched: %+v with %d disks", last, watched)
	}
	if _, err := client.Run(t.Context(), ivd.NewRunID(began)); ivd.KindOf(err) != ivd.NotFound {
		t.Errorf("a run that nobody knows: %v", err)
	}
}

// So is a restore: with the disks that it has made, and the points that it has not
// brought back.
func TestRestoresThatOnlyTheRepositoryKnows(t *testing.T) {
	w := newWorld(t)
	st, err := open.Open(t.Context(), w.config(t, "").Repository)
	if err != nil {
		t.Fatal(err)
	}
	r, err := repo.Open(t.Context(), st)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now().UTC().Add(-time.Hour).Truncate(time.Second)
	point := func(disk ivd.DiskID) ivd.PointID {
		return ivd.NewPointID(r.Domain(), "lab", disk, began, "20260101t000000z-1f0c2a9b")
	}
	one, two := point("11111111-1111-4111-8111-111111111111"), point("22222222-2222-4222-8222-222222222222")
	run := format.Run{
		ID: ivd.NewRunID(began), Sequence: 1, Kind: "restore", State: "partial", Coordinator: "one", Lease: ivd.NewLeaseID(), Started: began, Ended: began.Add(time.Minute),
		Restored: []format.RunRestore{{Point: one, Name: "web", Source: "lab", Datastore: "datastore-1", Disk: "33333333-3333-4333-8333-333333333333", Target: "web-back", Geometry: ivd.Geometry{Capacity: 1 << 20, ChunkSize: ivd.MinChunkSize}, Stats: ivd.Stats{WrittenBytes: 7}}},
		Failed:   []format.RunFailure{{Source: "lab", Disk: two.Disk(), Name: "db", State: "failed", Reason: "no space", Point: two}},
	}
	if err := r.PutRun(t.Context(), run); err != nil {
		t.Fatal(err)
	}
	client, _ := w.start(t, serve.Options{})
	runs, err := client.Runs(t.Context())
	if err != nil || len(runs) != 1 || runs[0].Kind != job.Restore || runs[0].State != api.Partial || runs[0].Counts != (api.Counts{Disks: 2, Done: 1, Failed: 1}) || runs[0].Stats.WrittenBytes != 7 {
		t.Errorf("%+v, %v", runs, err)
	}
	shown, err := client.RunDetail(t.Context(), run.ID)
	if err != nil || len(shown.Disks) != 2 {
		t.Fatalf("%+v, %v", shown, err)
	}
	if d := shown.Disks[0]; d.ID != run.Restored[0].Disk || d.Name != "web" || d.Target != "web-back" || d.From != one || d.Result != api.Done || d.Capacity != 1<<20 {
		t.Errorf("%+v", d)
	}
	if d := shown.Disks[1]; d.ID != "" || d.Name != "db" || d.From != two || d.Result != api.Failed || d.Failure == nil || d.Failure.Message != "no space" {
		t.Errorf("%+v", d)
	}
}
