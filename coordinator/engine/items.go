package engine

import (
	"context"
	"fmt"
	"strings"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/queue"
)

// storedItem is an item with its revision in the bucket.
type storedItem struct {
	Item
	rev uint64
}

// unreadItem is an item of which only its name is known, since its record cannot be read.
type unreadItem struct {
	key ItemKey
	rev uint64
	err error
}

// readItems reads the items of a run, and says of those that cannot be read why: one of
// them keeps none of the others from anything.
func (e *Engine) readItems(ctx context.Context, run ivd.RunID) (items []storedItem, unread []unreadItem, err error) {
	entries, err := e.Queue.State().List(ctx, itemKey(run, ""))
	if err != nil {
		return nil, nil, fmt.Errorf("list the items of run %s: %w", run, err)
	}
	for _, x := range entries {
		it, err := readItem(run, x)
		if err != nil {
			unread = append(unread, unreadItem{it.Key, x.Revision, err})
			continue
		}
		items = append(items, storedItem{it, x.Revision})
	}
	return items, unread, nil
}

// readItem is the item of an entry of the bucket: no more than its key, with the error,
// where it cannot be read.
func readItem(run ivd.RunID, x queue.Entry) (it Item, err error) {
	err = x.Decode(&it)
	if err == nil {
		err = checkVersion(x.Key, it.Version)
	}
	if err == nil && x.Key != itemKey(it.Run, it.Key) {
		err = ivd.Errorf(ivd.Corrupt, "%s: it says that it is %s", x.Key, itemKey(it.Run, it.Key))
	}
	if err != nil {
		it = Item{Run: run, Key: ItemKey(strings.TrimPrefix(x.Key, itemKey(run, "")))}
	}
	return it, err
}

// getItem reads one item. Of one that cannot be read it returns the revision with the
// error.
func (e *Engine) getItem(ctx context.Context, run ivd.RunID, key ItemKey) (storedItem, error) {
	name := itemKey(run, key)
	it, rev, err := queue.Get[Item](ctx, e.Queue.State(), name)
	if err != nil {
		return storedItem{rev: rev}, fmt.Errorf("read %s: %w", name, err)
	}
	return storedItem{it, rev}, checkVersion(name, it.Version)
}

// view is the item as it is shown.
func (x unreadItem) view(run ivd.RunID) ItemView {
	return ItemView{Item: Item{Run: run, Key: x.key}, Unread: x.err}
}

// failed is what is stored in the item's place by who drives its run: that it has failed.
// What its jobs and the ledger know of it is still to be cleaned up.
func (x unreadItem) failed(run ivd.RunID) storedItem {
	err := ivd.Error{Kind: ivd.KindOf(x.err), Op: "the queue's record of it cannot be read", Err: x.err, Remedy: ivd.RemedyOf(x.err)}
	if err.Remedy == "" {
		err.Remedy = "start a run of it again"
	}
	return storedItem{Item{Version: Version, Run: run, Key: x.key, Step: Cleaning, Result: Failed, Failure: ivd.FailureOf(&err)}, x.rev}
}

// ended is the same once there is nothing to clean up.
func (x unreadItem) ended(run ivd.RunID) Item {
	it := x.failed(run).Item
	it.Step, it.Ended = Ended, time.Now().UTC()
	return it
}

// failUnread are the items, among others of a run, that have failed since they cannot be
// read, with the jobs that they are known to have had.
func (d *driver) failUnread(ctx context.Context, items []storedItem, unread []unreadItem) ([]storedItem, error) {
	if len(unread) == 0 {
		return nil, nil
	}
	jobs, err := d.e.Queue.JobsOf(ctx, d.id)
	if err != nil {
		return nil, fmt.Errorf("list the jobs of run %s: %w", d.id, err)
	}
	for _, it := range items {
		delete(jobs, it.Disk)
	}
	failed := make([]storedItem, len(unread))
	for i, x := range unread {
		d.log.Error("the record of an item cannot be read: it has failed", "item", x.key, "err", x.err)
		failed[i] = x.failed(d.id)
		for disk, ids := range jobs {
			if ItemKey(disk) == x.key || len(unread) == 1 && len(jobs) == 1 {
				failed[i].Disk, failed[i].Jobs = disk, ids
			}
		}
	}
	return failed, nil
}
