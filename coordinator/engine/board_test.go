package engine

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// Whoever takes what has changed, whenever that is, has what a whole view shows, and
// the sums are those of the items.
func TestChangesMakeTheWhole(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := newBoard()
		seen, latest := map[ItemKey]ItemView{}, uint64(0)
		steps := []Step{Waiting, Preparing, Moving, Ended}
		for range rapid.IntRange(1, 40).Draw(t, "rounds") {
			it := ItemView{Item: Item{
				Key: ItemKey(rapid.StringMatching("[a-e]").Draw(t, "key")), Step: rapid.SampledFrom(steps).Draw(t, "step"),
				Result: rapid.SampledFrom([]State{Done, Failed, Cancelled}).Draw(t, "result"),
				Stats:  ivd.Stats{ReadBytes: rapid.Int64Range(0, 9).Draw(t, "read")},
			}}
			b.put(it)
			if rapid.Bool().Draw(t, "looks") {
				for _, it := range b.since(latest) {
					seen[it.Key] = it
				}
				latest = b.seq
			}
		}
		for _, it := range b.since(latest) {
			seen[it.Key] = it
		}
		whole := b.view(Run{})
		var counts Counts
		var stats ivd.Stats
		for _, it := range whole.Items {
			counts.Add(it.Item)
			stats.Add(it.Stats)
			if !reflect.DeepEqual(it, seen[it.Key]) {
				t.Fatalf("%s is %+v, and was seen as %+v", it.Key, it, seen[it.Key])
			}
		}
		if len(seen) != len(whole.Items) || whole.Counts != counts || whole.Stats != stats {
			t.Fatalf("%d seen of %d; counted %+v, %+v; want %+v, %+v", len(seen), len(whole.Items), whole.Counts, whole.Stats, counts, stats)
		}
		if !slices.IsSortedFunc(whole.Items, func(a, b ItemView) int { return slices.Compare([]ItemKey{a.Key}, []ItemKey{b.Key}) }) {
			t.Fatal("the items are not in the order of their keys")
		}
	})
}

// A message of a mover's progress shows the one item that it is of, however many the
// run has, and wakes no group.
func TestProgressShowsOneItem(t *testing.T) {
	t.Parallel()
	d := outsideQueue(t, nil).newDriver(Run{ID: "r", Kind: "idle", State: Running}, 1, leaseFor(time.Hour))
	wakes := map[ivd.DiskID]*Group{}
	for i := range 50 {
		disk := ivd.DiskID(fmt.Sprintf("d%02d", i))
		it := Item{Run: "r", Key: ItemKey(disk), Disk: disk, Step: Moving, Jobs: []ivd.JobID{"j1"}}
		d.publish(it)
		task := taskOf(d, it, 1)
		d.expect(task)
		wakes[disk] = task.g
		d.putJob(job.Record{Run: "r", Disk: disk, ID: "j1", State: job.Running})
		<-task.g.wake
	}
	_, latest, _ := d.changes(0)
	d.putProgress(job.Progress{Run: "r", Disk: "d07", Job: "j1", Mover: "m", Stats: ivd.Stats{ReadBytes: 5}})
	c, _, _ := d.changes(latest)
	if len(c.Items) != 1 || c.Items[0].Key != "d07" || c.Items[0].Stats.ReadBytes != 5 || c.Run.Stats.ReadBytes != 5 {
		t.Errorf("changed are %+v, read %d", c.Items, c.Run.Stats.ReadBytes)
	}
	d.putJob(job.Record{Run: "r", Disk: "d09", ID: "j1", State: job.Done})
	for disk, g := range wakes {
		if woken := len(g.wake) > 0; woken != (disk == "d09") {
			t.Errorf("group of %s is woken: %v", disk, woken)
		}
	}
}
