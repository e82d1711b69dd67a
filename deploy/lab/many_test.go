package lab_test

import (
	"fmt"
	"sync"
	"testing"

	"ivdmover/deploy/lab"
	"ivdmover/shared/soak"
)

// TestManyAtOnce does on many disks at once what a run does on each, with two
// machines that all of them are attached to.
func TestManyAtOnce(t *testing.T) {
	main := newWorld(t, lab.Options{})
	failed := make(chan error, 8)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() { failed <- oneOfMany(main, i) })
	}
	all.Wait()
	close(failed)
	for err := range failed {
		must(t, err)
	}
	r := main.lab.Report()
	if len(r.Snapshots)+len(r.Disabled)+len(r.Handles) != 0 {
		t.Fatalf("left behind: %+v", r)
	}
	if main.disabled("lab-vm-1") || main.disabled("lab-vm-2") {
		t.Fatal("relocation is still disabled")
	}
}

func oneOfMany(w *world, i int) error {
	store := fmt.Sprintf("datastore%d", i%2+1)
	ctx := w.t.Context()
	id := w.create(store, fmt.Sprint("disk ", i), 2)
	w.attach("lab-vm-3", store, id)
	w.attach("lab-vm-2", store, id) // turns tracking on
	since := ""
	for round := range min(soak.Times(2), 8) { // each writes a block of its own
		if err := w.access(store, id, "prepare", fmt.Sprint("run-", i)); err != nil {
			return err
		}
		snapshot := w.snapshot(store, id, "run")
		if since != "" {
			info, err := w.areas(store, id, snapshot, since, 0)
			if err != nil {
				return err
			}
			if len(info.ChangedArea) != 1 || info.ChangedArea[0].Start != int64(round-1)<<18 {
				return fmt.Errorf("disk %d, round %d: %+v", i, round, info)
			}
		}
		since = w.changeID(store, id, snapshot)
		w.write(id, int64(round)<<18, uint64(i), 1000)
		w.read(store, id, snapshot)
		task, err := w.m.DeleteSnapshot(ctx, w.ds[store], string(id), snapshot)
		if err != nil {
			return err
		}
		if err := task.Wait(ctx); err != nil {
			return err
		}
		if err := w.access(store, id, "end", fmt.Sprint("run-", i)); err != nil {
			return err
		}
	}
	w.detach("lab-vm-2", id)
	w.detach("lab-vm-3", id)
	return nil
}
