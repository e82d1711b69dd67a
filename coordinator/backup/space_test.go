package backup_test

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"ivdmover/coordinator/backup"
	"ivdmover/coordinator/coordtest"
	"ivdmover/coordinator/engine"
	"ivdmover/coordinator/inventory"
	"ivdmover/deploy/lab/script"
	"ivdmover/shared/ivd"
)

// No snapshot is made on a datastore that is too full, whose disks fail with the
// reason; disks of others are backed up. What vSphere shows may be old.
func TestNoSnapshotOnADatastoreThatIsTooFull(t *testing.T) {
	t.Parallel()
	const tib = 1 << 40
	b := coordtest.New(t)
	full := b.Disk("full", 8)
	other, err := b.Owner.Create(t.Context(), "datastore2", "other", 8)
	b.Must(err)
	var mu sync.Mutex
	var made []string // requests for snapshots; guarded by mu
	b.Wire.Intercept(func(method, body string) error {
		if method == "VStorageObjectCreateSnapshot_Task" {
			mu.Lock()
			defer mu.Unlock()
			made = append(made, body)
		}
		return nil
	})
	vc := b.VCenter(inventory.Config{Name: "lab", FreeSpace: 10})
	b.Mover("m1")
	c := b.CoordinatorOf("one", inventory.NewSources(vc))
	b.Serve(c)

	shown := int64(tib / 20)
	b.Must(script.WriteSpaces(b.LabDir,
		script.Space{Datastore: "datastore1", Capacity: tib, Free: tib / 20},
		script.Space{Datastore: "datastore2", Capacity: tib, Shown: &shown, Free: tib / 2})) // which its summary does not say yet
	v := b.Until(c, b.Begin(c, backup.Request{All: true}).ID, coordtest.Ended)
	if v.State != engine.Partial || b.Item(v, "other").Result != engine.Done {
		t.Errorf("%s: %+v", v.State, b.Item(v, "other").Failure)
	}
	f := b.Item(v, "full").Failure
	if f == nil || f.Kind != ivd.Full || !strings.Contains(f.Message, "datastore1") || !strings.Contains(f.Message, "5.0% of it is free") || !strings.Contains(f.Remedy, "limits.free_space") {
		t.Errorf("failure %+v", f)
	}
	mu.Lock()
	defer mu.Unlock()
	if slices.ContainsFunc(made, func(body string) bool { return strings.Contains(body, string(full.Ref.ID())) }) || len(made) != 1 {
		t.Errorf("%d snapshots were asked for", len(made))
	}
	b.NothingLeft(full)
	b.NothingLeft(other)
	if keys := b.Ledger(); len(keys) != 0 {
		t.Errorf("ledger %v", keys)
	}
}
