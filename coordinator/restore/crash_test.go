package restore_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"ivdmover/coordinator/coordtest"
	"ivdmover/coordinator/engine"
	"ivdmover/coordinator/restore"
	"ivdmover/deploy/lab"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/store"
	"ivdmover/shared/store/faults"
)

// The coordinator dies around each call with which a restore ends, and is started
// again: the disk gets its name, once, and no mark of ours stays on it. (That it
// dies at any call is e2e's.)
func TestCoordinatorDiesAtTheEndOfARestore(t *testing.T) {
	t.Parallel()
	nobody := errors.New("nobody waits any more")
	for name, arm := range map[string]func(b *coordtest.Bench, die func()){
		"before the record is stored": func(b *coordtest.Bench, die func()) {
			b.Faulty(faults.Fault{On: faults.Send, Prefix: "restores/", Do: func(store.Name) { die() }, Delay: time.Hour})
		},
		"when the record is stored, unknown to it": func(b *coordtest.Bench, die func()) {
			b.Faulty(faults.Fault{On: faults.Send, Prefix: "restores/", Do: func(store.Name) { die() }, After: faults.ErrInjected})
		},
		"before the marks are removed": func(b *coordtest.Bench, die func()) { dieBefore(b, "VCenterUpdateVStorageObjectMetadataEx_Task", die) },
		"when the marks are removed": func(b *coordtest.Bench, die func()) {
			b.Wire.After("VCenterUpdateVStorageObjectMetadataEx_Task", func() error { die(); return nobody })
		},
		"before the disk is renamed": func(b *coordtest.Bench, die func()) { dieBefore(b, "RenameVStorageObject", die) },
		"when the disk is renamed": func(b *coordtest.Bench, die func()) {
			b.Wire.After("RenameVStorageObject", func() error { die(); return nobody })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := coordtest.New(t)
			_, m, point := backedUp(b)
			died := make(chan struct{})
			die := sync.OnceFunc(func() { close(died) })
			arm(b, die)
			two := b.Coordinator("two")
			stop := b.Serve(two)
			id := b.BeginRestore(two, restore.Request{Point: point, Name: "back"}).ID
			<-died
			stop()
			b.Wire.Intercept(nil)
			b.Wire.After("none", nil)
			began := len(m.Began())
			three, _ := b.Serving("two")
			v := b.Until(three, id, coordtest.Ended)
			if v.State != engine.Done {
				t.Errorf("%s: %+v", v.State, v.Items[0].Failure)
			}
			if got := names(b); !slices.Equal(got, []string{"a", "back"}) {
				t.Errorf("disks %q", got)
			}
			for d, err := range b.VC.Disks(t.Context()) {
				if b.Must(err); d.Marked() {
					t.Errorf("disk %q has marks", d.Name)
				}
			}
			if n := len(m.Began()); n != began {
				t.Errorf("%d jobs were done again", n-began)
			}
			end, err := b.Repo.ReadRestored(t.Context(), id, string(v.Items[0].Key))
			if err != nil || end.Point != point || end.Name != "back" {
				t.Errorf("the restore's end is %+v, %v", end, err)
			}
			if len(b.Ledger()) != 0 {
				t.Errorf("the ledger has %q", b.Ledger())
			}
		})
	}
}

// A coordinator dies after it has asked for the disk, before it knows which one it is:
// the next start finds its own by the marks, makes one where there is none, and takes
// that of a restore that has ended.
func TestDiskThatWasMadeBeforeARestart(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	_, m, point := backedUp(b)
	p, _, err := b.Repo.ReadPoint(t.Context(), point)
	b.Must(err)
	two := b.Coordinator("two")
	const key engine.ItemKey = "11111111-1111-4111-8111-111111111111"
	at := p.Ref().Datastore()
	began := map[string]ivd.RunID{}
	for name, make := range map[string]func(r engine.Run){
		"marked": func(r engine.Run) {
			_, err := b.VC.CreateDisk(t.Context(), at, restore.Working(r.ID, key), 8, restore.Marks(r.ID, key)...)
			b.Must(err)
		},
		"another's": func(r engine.Run) {
			_, err := b.VC.CreateDisk(t.Context(), at, restore.Working(r.ID, key), 8)
			b.Must(err)
		},
		"ended": func(r engine.Run) {
			d, err := b.VC.CreateDisk(t.Context(), at, restore.Working(r.ID, key), 8) // its marks are gone
			b.Must(err)
			b.Must(b.Repo.PutRestored(t.Context(), format.Restored{
				Run: r.ID, Item: string(key), Point: point, Source: d.Source(), Datastore: at, Disk: d.ID(), Name: "back-ended",
			}))
		},
	} {
		r := b.Run(restore.Kind, engine.Running)
		r.Owner, r.LeaseKind = "two", format.ReadLease
		make(r)
		u := &under{b: b, run: r.ID, key: key, disk: ivd.NewDiskRef(b.VC.Source(), at, "")}
		u.owe(two)
		b.Store(r, engine.Item{Key: key, Step: engine.Preparing, Body: coordtest.Body(restore.Disk{
			Ref: u.disk, Name: "a", Datastore: "datastore1", Geometry: p.Geometry, From: point, Target: "back-" + name,
		})})
		began[name] = r.ID
	}
	before := len(m.Began())
	b.Serve(two)
	for name, id := range began {
		if v := b.Until(two, id, coordtest.Ended); v.State != engine.Done {
			t.Errorf("%s: %s: %+v", name, v.State, v.Items[0].Failure)
		}
	}
	want := []string{"a", "back-another's", "back-ended", "back-marked", restore.Working(began["another's"], key)}
	if got := names(b); !slices.Equal(got, want) {
		t.Errorf("disks %q, want %q", got, want)
	}
	if n := len(m.Began()) - before; n != 2 {
		t.Errorf("%d jobs were done", n)
	}
}

func dieBefore(b *coordtest.Bench, method string, die func()) {
	b.Wire.Intercept(func(m, _ string) error {
		if m != method {
			return nil
		}
		die()
		return errors.New("nobody waits any more")
	})
}

// A stale coordinator, which knows nothing of the restore's end and takes it for
// failed, gives the disk its name instead of deleting it.
func TestStaleCoordinatorDeletesNoEndedRestore(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	one, _, point := backedUp(b)
	b.Wire.Intercept(func(m, _ string) error {
		if m == "RenameVStorageObject" {
			return errors.New("the vCenter is away")
		}
		return nil
	})
	id := b.BeginRestore(one, restore.Request{Point: point, Name: "back"}).ID
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	var key engine.ItemKey
	for v, err := range one.Engine.Watch(ctx, id) {
		b.Must(err)
		if len(v.Items) > 0 && v.Items[0].Retries > 0 {
			key = v.Items[0].Key
			break
		}
	}
	stale := b.Coordinator("stale")
	if err := stale.Ledger.Undo(t.Context(), id, string(key)); err == nil {
		t.Error("a disk that has not got its name counts as undone")
	}
	b.Wire.Intercept(nil)
	if err := stale.Ledger.Undo(t.Context(), id, string(key)); err != nil {
		t.Error(err)
	}
	if v := b.Until(one, id, coordtest.Ended); v.State != engine.Done {
		t.Errorf("%s: %+v", v.State, v.Items[0].Failure)
	}
	if got := names(b); !slices.Equal(got, []string{"a", "back"}) {
		t.Errorf("disks %q", got)
	}
}

// Marks that cannot be removed stay, and keep no disk from its name.
func TestMarksThatCannotBeRemoved(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	c, _, point := backedUp(b)
	b.Wire.Intercept(func(m, _ string) error {
		if m == "VCenterUpdateVStorageObjectMetadataEx_Task" {
			return coordtest.Status(404)
		}
		return nil
	})
	v := b.Until(c, b.BeginRestore(c, restore.Request{Point: point, Name: "back"}).ID, coordtest.Ended)
	if v.State != engine.Done {
		t.Errorf("%s: %+v", v.State, v.Items[0].Failure)
	}
	if got := names(b); !slices.Equal(got, []string{"a", "back"}) {
		t.Errorf("disks %q", got)
	}
}

// A vCenter or a host without marks restores all the same, and what fails is deleted
// by its working name.
func TestRestoreWhereNoMarksAreKept(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]lab.Options{"old vCenter": {Old: true}, "old ESXi host": {ESX: true, Old: true}, "ESXi host": {ESX: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := coordtest.NewWith(t, o)
			c, m, point := backedUp(b)
			v := b.Until(c, b.BeginRestore(c, restore.Request{Point: point, Name: "back"}).ID, coordtest.Ended)
			if v.State != engine.Done {
				t.Errorf("%s: %+v", v.State, v.Items[0].Failure)
			}
			m.Set(func(p *coordtest.Puppet) {
				p.Work = func(context.Context, job.Record) error { return ivd.Errorf(ivd.Corrupt, "a chunk is damaged") }
			})
			v = b.Until(c, b.BeginRestore(c, restore.Request{Point: point, Name: "again"}).ID, coordtest.Ended)
			if v.State != engine.Failed {
				t.Errorf("%s", v.State)
			}
			if got := names(b); !slices.Equal(got, []string{"a", "back"}) {
				t.Errorf("disks %q", got)
			}
		})
	}
}
