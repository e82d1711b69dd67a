package restore_test

import (
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ivdmover/coordinator/coordtest"
	"ivdmover/coordinator/engine"
	"ivdmover/coordinator/inventory"
	"ivdmover/coordinator/ledger"
	"ivdmover/coordinator/restore"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/queue"
	"ivdmover/shared/store"
)

// under is a restore as it is stored, and the disk that it has made.
type under struct {
	b     *coordtest.Bench
	run   ivd.RunID
	key   engine.ItemKey
	point ivd.PointID
	disk  ivd.DiskRef
	body  restore.Disk
}

// underWay stores a restore to a disk that is made, with its marks unless there are
// others.
func underWay(b *coordtest.Bench, step engine.Step, result engine.State, marks func(ivd.RunID, engine.ItemKey) []inventory.Mark) *under {
	b.Helper()
	state := engine.Running
	if step == engine.Ended {
		state = result
	}
	r := b.Run(restore.Kind, state)
	u := &under{b: b, run: r.ID, key: "11111111-1111-4111-8111-111111111111"}
	u.point = ivd.NewPointID(b.Repo.Domain(), b.VC.Source(), ivd.DiskID(u.key), time.Now(), "20261124t231500z-1f0c2a9b")
	at, err := b.VC.Datastore(b.Context(), "datastore1")
	b.Must(err)
	if marks == nil {
		marks = restore.Marks
	}
	u.disk, err = b.VC.CreateDisk(b.Context(), at.ID, restore.Working(u.run, u.key), 1, marks(u.run, u.key)...)
	b.Must(err)
	u.body = restore.Disk{Ref: u.disk, From: u.point, Target: "back-" + string(u.run)}
	b.Store(r, engine.Item{Key: u.key, Step: step, Result: result, Body: coordtest.Body(u.body)})
	return u
}

// owe opens the obligation of the restore.
func (u *under) owe(c *coordtest.Coordinator) {
	u.b.Helper()
	o := ledger.Obligation{Run: u.run, Item: string(u.key), Kind: "made"}
	_, err := c.Ledger.Open(u.b.Context(), o, map[string]any{"place": ivd.NewDiskRef(u.disk.Source(), u.disk.Datastore(), "")})
	u.b.Must(err)
}

// end stores that the restore has ended, with a disk.
func (u *under) end(disk ivd.DiskID) {
	u.b.Helper()
	u.b.Must(u.b.Repo.PutRestored(u.b.Context(), format.Restored{
		Run: u.run, Item: string(u.key), Point: u.point, Source: u.disk.Source(), Datastore: u.disk.Datastore(), Disk: disk, Name: u.body.Target,
	}))
}

func (u *under) shown() inventory.Disk {
	u.b.Helper()
	d, err := u.b.VC.Disk(u.b.Context(), u.disk)
	u.b.Must(err)
	return d
}

const anotherDisk ivd.DiskID = "22222222-2222-4222-8222-222222222222"

// worlds are what the world may show of a disk that a restore is stored to have made,
// and what may be done with it then.
var worlds = map[string]struct {
	marks  func(ivd.RunID, engine.ItemKey) []inventory.Mark
	change func(*under)
	says   string   // why nothing is written to it; empty: the restore has ended, and that is all
	login  ivd.Kind // of the refusal; empty: a mover may open it
	left   string   // its name when its restore was undone; empty: it was deleted
	owed   int      // obligations that are left
}{
	"as it was made": {says: "-"},
	"another name":   {change: func(u *under) { u.b.Must(u.b.VC.Rename(u.b.Context(), u.disk, "mine")) }, says: `called "mine" by now`, login: ivd.Permanent, left: "mine"},
	"no marks":       {change: func(u *under) { u.b.Must(u.b.VC.Unmark(u.b.Context(), u.shown())) }, says: "metadata does not say", login: ivd.Permanent, left: "ivdmover-restore-"},
	"another run's marks": {
		marks: func(_ ivd.RunID, key engine.ItemKey) []inventory.Mark { return restore.Marks("other", key) },
		says:  "metadata does not say", login: ivd.Permanent, left: "ivdmover-restore-",
	},
	"another item's marks": {
		marks: func(run ivd.RunID, _ engine.ItemKey) []inventory.Mark {
			return restore.Marks(run, engine.ItemKey(anotherDisk))
		},
		says: "metadata does not say", login: ivd.Permanent, left: "ivdmover-restore-",
	},
	"its restore has ended": {change: func(u *under) { u.end(u.disk.ID()) }, login: ivd.Denied, left: "back"},
	"its restore has ended, and the marks are gone": {
		change: func(u *under) { u.end(u.disk.ID()); u.b.Must(u.b.VC.Unmark(u.b.Context(), u.shown())) },
		login:  ivd.Permanent, left: "back",
	},
	"its restore has ended with another disk": {change: func(u *under) { u.end(anotherDisk) }, says: "has ended with disk", login: ivd.Denied},
	"it is not known whether its restore has ended": {
		change: func(u *under) {
			name := format.RestoredObject(u.b.Repo.Domain(), u.run, string(u.key))
			u.b.Must(u.b.Repo.Store().Put(u.b.Context(), store.Name(name), []byte("IVDRSEND and no more")))
		},
		says: "has the restore ended", login: ivd.Corrupt, left: "ivdmover-restore-", owed: 1,
	},
}

// everyWorld is a bench with a restore in each of the worlds.
func everyWorld(t *testing.T, step engine.Step, result engine.State) (*coordtest.Bench, map[string]*under) {
	t.Helper()
	b := coordtest.New(t)
	all := map[string]*under{}
	for name, w := range worlds {
		u := underWay(b, step, result, w.marks)
		if w.change != nil {
			w.change(u)
		}
		all[name] = u
	}
	return b, all
}

// Jobs that write to a disk are published only where the world shows that it is this
// restore's, and unfinished. A restore that has ended gives its disk the name, and
// writes nothing.
func TestWhatIsWrittenTo(t *testing.T) {
	t.Parallel()
	b, all := everyWorld(t, engine.Planning, "")
	m := b.Mover("m1")
	c, _ := b.Serving("one")
	for name, u := range all {
		w := worlds[name]
		if w.says == "-" {
			continue // TestRestoreFromPointToDisk
		}
		v := b.Until(c, u.run, coordtest.Ended)
		f := v.Items[0].Failure
		switch {
		case w.says != "":
			if v.State != engine.Failed || f == nil || !strings.Contains(f.Message, w.says) {
				t.Errorf("%s: %s: %+v", name, v.State, f)
			}
		case v.State != engine.Done:
			t.Errorf("%s: %s: %+v", name, v.State, f)
		default:
			if d := u.shown(); d.Name != u.body.Target || d.Marked() {
				t.Errorf("%s: the disk is %+v", name, d)
			}
		}
	}
	if n := len(m.Began()); n != 0 {
		t.Errorf("%d jobs were published", n)
	}
}

// The same holds when a mover asks for a login to write with.
func TestWhatIsWrittenToByLogin(t *testing.T) {
	t.Parallel()
	b, all := everyWorld(t, engine.Moving, "")
	c := b.Coordinator("one")
	for name, u := range all {
		err := login(t.Context(), c, "m", u.run, u.disk)
		if want := worlds[name].login; ivd.KindOf(err) != want || (err == nil) != (want == "") {
			t.Errorf("%s: %v, want kind %q", name, err, want)
		}
	}
}

// What a restore that is over has left is deleted only where the world shows that it
// is its own, and unfinished: by the ledger,
func TestWhatIsDeleted(t *testing.T) {
	t.Parallel()
	b, all := everyWorld(t, engine.Ended, engine.Failed)
	c := b.Coordinator("one")
	for _, u := range all {
		u.owe(c)
	}
	b.Settle(c)
	left(b, all)
}

// and by the sweep.
func TestWhatIsSwept(t *testing.T) {
	t.Parallel()
	b, all := everyWorld(t, engine.Ended, engine.Failed)
	c := b.Coordinator("one")
	b.Must(c.Restore.Sweep(t.Context(), c.Engine))
	left(b, all)
}

// left compares what became of the disks, and of the obligations.
func left(b *coordtest.Bench, all map[string]*under) {
	b.Helper()
	owed := 0
	for name, u := range all {
		w := worlds[name]
		owed += w.owed
		d, err := b.VC.Disk(b.Context(), u.disk)
		switch {
		case w.left == "" && ivd.KindOf(err) != ivd.NotFound:
			b.Errorf("%s: the disk is left: %+v, %v", name, d, err)
		case w.left != "" && (err != nil || !strings.HasPrefix(d.Name, w.left)):
			b.Errorf("%s: the disk is %+v, %v, want it called %q", name, d, err, w.left)
		}
	}
	if n := len(b.Ledger()); n != owed {
		b.Errorf("the ledger has %q", b.Ledger())
	}
}

// An obligation that somebody else has closed while the world was looked at is acted
// on no more.
func TestObligationThatWasClosed(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	u := underWay(b, engine.Ended, engine.Failed, nil)
	c := b.Coordinator("one")
	u.owe(c)
	reached, goOn := make(chan struct{}), make(chan struct{})
	b.Wire.HoldAt("ListVStorageObject", reached, goOn, nil)
	done := make(chan error, 1)
	go func() { done <- c.Ledger.Undo(t.Context(), u.run, string(u.key)) }()
	<-reached
	b.Must(b.Queue.State().DeletePrefix(t.Context(), "ledger."))
	close(goOn)
	if err := <-done; ivd.KindOf(err) != ivd.NotFound {
		t.Errorf("an obligation that is gone is undone: %v", err)
	}
	if d := u.shown(); d.Name != restore.Working(u.run, u.key) {
		t.Errorf("%+v", d)
	}
}

// The name of a restore that has ended may have been taken meanwhile: its disk waits
// for it, and is not deleted.
func TestEndedRestoreWaitsForItsName(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	u := underWay(b, engine.Ended, engine.Failed, nil)
	u.end(u.disk.ID())
	other, err := b.VC.CreateDisk(t.Context(), u.disk.Datastore(), u.body.Target, 1)
	b.Must(err)
	c := b.Coordinator("one")
	u.owe(c)
	b.Settle(c)
	if d := u.shown(); d.Name != restore.Working(u.run, u.key) || len(b.Ledger()) != 1 {
		t.Errorf("%+v, the ledger has %q", d, b.Ledger())
	}
	b.Must(b.VC.Rename(t.Context(), other, "elsewhere"))
	c.Clock.Advance(2 * time.Minute)
	b.Settle(c)
	if d := u.shown(); d.Name != u.body.Target || d.Marked() || len(b.Ledger()) != 0 {
		t.Errorf("%+v, the ledger has %q", d, b.Ledger())
	}
}

// Two coordinators may give a disk its name at once: who comes second finds it named
// so, and that is no other disk.
func TestNameIsGivenByTwo(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	u := underWay(b, engine.Ended, engine.Failed, nil)
	u.end(u.disk.ID())
	c := b.Coordinator("one")
	u.owe(c)
	var lists atomic.Int64
	b.Wire.Intercept(func(m, _ string) error {
		if m == "ListVStorageObject" && lists.Add(1) == 2 { // the one for the name, after the one for the disk
			return b.VC.Rename(t.Context(), u.disk, u.body.Target)
		}
		return nil
	})
	if err := c.Ledger.Undo(t.Context(), u.run, string(u.key)); err != nil || lists.Load() < 2 {
		t.Errorf("after %d lists: %v", lists.Load(), err)
	}
	if d := u.shown(); d.Name != u.body.Target || len(b.Ledger()) != 0 {
		t.Errorf("%+v, the ledger has %q", d, b.Ledger())
	}
}

// Once a restore has ended its disk is its owner's: one that was renamed or deleted
// before it got its name is a restore that is done.
func TestOwnerIsFasterThanTheName(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(b *coordtest.Bench, u *under) error{
		"renamed": func(b *coordtest.Bench, u *under) error { return b.VC.Rename(b.Context(), u.disk, "mine") },
		"deleted": func(b *coordtest.Bench, u *under) error { return b.VC.DeleteDisk(b.Context(), u.disk) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := coordtest.New(t)
			b.Mover("m1")
			u := underWay(b, engine.Closing, "", nil)
			u.end(u.disk.ID())
			b.Must(change(b, u))
			c, _ := b.Serving("one")
			if v := b.Until(c, u.run, coordtest.Ended); v.State != engine.Done {
				t.Errorf("%s: %+v", v.State, v.Items[0].Failure)
			}
			if got := names(b); slices.Contains(got, u.body.Target) || name == "renamed" && !slices.Equal(got, []string{"mine"}) {
				t.Errorf("disks %q", got)
			}
		})
	}
}

// A job without a record, or one that is not done, is no end.
func TestRestoreThatDoesNotAddUp(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	b.Mover("m1")
	u := underWay(b, engine.Closing, "", nil)
	key := "item." + string(u.run) + "." + string(u.key)
	it, rev, err := queue.Get[engine.Item](t.Context(), b.Queue.State(), key)
	b.Must(err)
	it.Jobs, it.Disk = []ivd.JobID{"j0001"}, u.disk.ID()
	_, err = b.Queue.State().Update(t.Context(), key, it, rev)
	b.Must(err)
	c, _ := b.Serving("one")
	v := b.Until(c, u.run, coordtest.Ended)
	if f := v.Items[0].Failure; v.State != engine.Failed || f == nil || !strings.Contains(f.Message, "0 of 1 jobs") {
		t.Errorf("%s: %+v", v.State, f)
	}
	if _, err := b.Repo.ReadRestored(t.Context(), u.run, string(u.key)); ivd.KindOf(err) != ivd.NotFound {
		t.Errorf("the restore has ended: %v", err)
	}
}
