package serve

import (
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"ivdmover/coordinator/api"
	"ivdmover/coordinator/coordtest"
	"ivdmover/coordinator/engine"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

// A disk of a run whose record cannot be read is named, beside the others.
func TestDiskOfARunWhoseRecordCannotBeRead(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	v := b.Run("backup", engine.Done)
	b.Store(v, engine.Item{Key: "good", Step: engine.Ended, Result: engine.Done})
	_, err := b.Queue.State().Create(t.Context(), "item."+string(v.ID)+".sick", json.RawMessage(`{"version":99}`))
	b.Must(err)
	r := &runs{house: &house{engine: b.Coordinator("one").Engine}, past: newSummaries(b.Repo, slog.New(slog.DiscardHandler)), label: func(s ivd.SourceID) string { return string(s) }}
	disks, err := r.RunDisks(t.Context(), v.ID)
	if err != nil || len(disks) != 2 || disks[0].Key != "good" || disks[0].Unread != nil || disks[1].Key != "sick" || disks[1].Unread == nil || disks[1].Unread.Remedy == "" {
		t.Errorf("%+v, %v", disks, err)
	}
}

// A run whose record cannot be read is named in the list, which has the rest; one that
// the repository knows is shown as it does.
func TestRunWhoseRecordCannotBeRead(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	newer, known, good := b.Run("backup", engine.Done), b.Run("backup", engine.Done), b.Run("backup", engine.Done)
	newer.Version, known.Version = engine.Version+1, engine.Version+1
	for _, r := range []engine.Run{newer, known, good} {
		b.Store(r)
	}
	damaged := ivd.NewRunID(time.Now())
	_, err := b.Queue.State().Create(t.Context(), "run."+string(damaged), json.RawMessage(`"nonsense"`))
	b.Must(err)
	began := time.Now().UTC().Add(-time.Hour).Truncate(time.Second)
	b.Must(b.Repo.PutRun(t.Context(), format.Run{ID: known.ID, Sequence: 1, Kind: "backup", State: "done", Coordinator: "one", Lease: ivd.NewLeaseID(), Started: began, Ended: began.Add(time.Minute)}))

	log := slog.New(slog.DiscardHandler)
	r := &runs{house: &house{engine: b.Coordinator("one").Engine}, past: newSummaries(b.Repo, log), label: func(s ivd.SourceID) string { return string(s) }}
	list, err := r.Runs(t.Context())
	if err != nil || len(list) != 4 {
		t.Fatalf("%+v, %v", list, err)
	}
	for _, run := range list {
		switch run.ID {
		case good.ID, known.ID:
			if run.Unread != nil || run.State != api.Done {
				t.Errorf("%+v", run)
			}
		case newer.ID:
			if run.Unread == nil || run.Unread.Kind != ivd.Unsupported || run.Unread.Remedy == "" {
				t.Errorf("a newer program's: %+v", run)
			}
		default:
			if run.ID != damaged || run.Unread == nil || !strings.Contains(run.Unread.Message, string(damaged)) {
				t.Errorf("a damaged one: %+v", run)
			}
		}
	}
}
