package restore_test

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"ivdmover/coordinator/backup"
	"ivdmover/coordinator/coordtest"
	"ivdmover/coordinator/engine"
	"ivdmover/coordinator/restore"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/pause"
)

// backedUp is a disk "a" with a restore point, and the coordinator and mover that
// made it.
func backedUp(b *coordtest.Bench) (*coordtest.Coordinator, *coordtest.Puppet, ivd.PointID) {
	b.Helper()
	b.Disk("a", 8)
	m := b.Mover("m1")
	c, _ := b.Serving("one")
	v := b.Until(c, b.Begin(c, backup.Request{All: true}).ID, coordtest.Ended)
	return c, m, b.Backup(v.Items[0]).Point
}

// names lists the disks of the datastore.
func names(b *coordtest.Bench) []string {
	b.Helper()
	var list []string
	for d, err := range b.VC.Disks(b.Context()) {
		b.Must(err)
		list = append(list, d.Name)
	}
	slices.Sort(list)
	return list
}

// working is the disk of a restore that is under way.
func working(b *coordtest.Bench, v engine.View) ivd.DiskRef {
	b.Helper()
	for d, err := range b.VC.Disks(b.Context()) {
		b.Must(err)
		if d.Name == restore.Working(v.ID, v.Items[0].Key) {
			return d.Ref
		}
	}
	b.Fatal("there is no disk under the working name")
	return ivd.DiskRef{}
}

func TestRestoreFromPointToDisk(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	c, _, point := backedUp(b)
	v := b.Until(c, b.BeginRestore(c, restore.Request{Point: point, Name: "back"}).ID, coordtest.Ended)
	if v.State != engine.Done || v.Stats.WrittenBytes != 1 {
		t.Errorf("%s: %+v, %+v", v.State, v.Items[0].Failure, v.Stats)
	}
	if got := names(b); !slices.Equal(got, []string{"a", "back"}) {
		t.Errorf("disks %q", got)
	}
	if len(b.Ledger()) != 0 || b.Leases() != 0 {
		t.Errorf("the ledger has %v, %d leases are left", b.Ledger(), b.Leases())
	}
	r, err := b.Repo.ReadRun(t.Context(), v.ID)
	if err != nil || r.Kind != "restore" || r.State != "done" || len(r.Restored) != 1 {
		t.Fatalf("its summary is %+v, %v", r, err)
	}
	if x := r.Restored[0]; x.Point != point || x.Name != "a" || x.Target != "back" || x.Disk == "" || x.Disk == point.Disk() || x.Stats.WrittenBytes != 1 {
		t.Errorf("its summary says %+v", x)
	}
}

// A restore of which the queue has lost all leaves its summary, and no disk.
func TestSummaryOfARestoreThatIsLost(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	one, m, point := backedUp(b)
	letGo := make(chan struct{})
	m.Set(func(p *coordtest.Puppet) {
		p.Work = func(ctx context.Context, _ job.Record) error {
			select {
			case <-letGo:
			case <-ctx.Done():
			}
			return nil
		}
	})
	id := b.BeginRestore(one, restore.Request{Point: point, Name: "back"}).ID
	b.Until(one, id, coordtest.AtStep(engine.Moving))
	b.RestartBroker(func(h *coordtest.Home) { b.Must(os.RemoveAll(h.StreamDir("KV_IVD_STATE"))) })
	close(letGo)
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	for {
		r, err := b.Repo.ReadRun(ctx, id)
		if err == nil && slices.Equal(names(b), []string{"a"}) {
			if r.Kind != "restore" || r.State != "failed" || len(r.Failed) != 1 || r.Failed[0].Point != point || !strings.Contains(r.Failed[0].Reason, "queue") {
				t.Errorf("%+v", r)
			}
			break
		}
		if pause.For(ctx, 100*time.Millisecond) != nil {
			t.Fatalf("its summary: %v; the disks are %q", err, names(b))
		}
	}
}

// A restore whose record cannot be read leaves its summary all the same.
func TestSummaryOfARestoreThatCannotBeRead(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	c := b.Coordinator("one")
	r := b.Run(restore.Kind, engine.Failed)
	sick := engine.Item{Run: r.ID, Key: "sick", Step: engine.Ended, Result: engine.Failed, Failure: &ivd.Failure{Kind: ivd.Corrupt, Message: "cannot be read"}}
	b.Must(c.Restore.Conclude(t.Context(), engine.View{Run: r, Items: []engine.ItemView{{Item: sick}}}))
	x, err := b.Repo.ReadRun(t.Context(), r.ID)
	if err != nil || len(x.Failed) != 1 || x.Failed[0].Disk != "sick" || x.Failed[0].Reason != "cannot be read" {
		t.Errorf("%+v, %v", x, err)
	}
}

// While a restore is under way, what it relies on may change: it touches no disk
// that is not its own any more, takes nobody's name, and leaves nothing.
func TestWhatChangesUnderARestore(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(b *coordtest.Bench, v engine.View) error
		says   string
		left   []string
	}{
		"the job fails": {
			func(*coordtest.Bench, engine.View) error { return ivd.Errorf(ivd.Corrupt, "a chunk is damaged") },
			"damaged",
			[]string{"a"},
		},
		"the disk is renamed": {
			func(b *coordtest.Bench, v engine.View) error { return b.VC.Rename(b.Context(), working(b, v), "mine") },
			`called "mine" by now`,
			[]string{"a", "mine"},
		},
		"its marks are removed": {
			func(b *coordtest.Bench, v engine.View) error {
				d, err := b.VC.Disk(b.Context(), working(b, v))
				b.Must(err)
				return b.VC.Unmark(b.Context(), d)
			},
			"metadata does not say",
			[]string{"a", "its working name"},
		},
		"its name is taken": {
			func(b *coordtest.Bench, _ engine.View) error {
				_, err := b.Owner.Create(b.Context(), "datastore1", "back", 1)
				return err
			},
			`named "back" is on datastore`,
			[]string{"a", "back"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := coordtest.New(t)
			s, m, point := backedUp(b)
			begun := make(chan engine.View, 1)
			m.Set(func(p *coordtest.Puppet) {
				p.Work = func(context.Context, job.Record) error { return c.change(b, <-begun) }
			})
			v := b.BeginRestore(s, restore.Request{Point: point, Name: "back"})
			begun <- v
			v = b.Until(s, v.ID, coordtest.Ended)
			if f := v.Items[0].Failure; v.State != engine.Failed || f == nil || !strings.Contains(f.Message, c.says) {
				t.Errorf("%s: %+v", v.State, f)
			}
			if i := slices.Index(c.left, "its working name"); i >= 0 {
				c.left[i] = restore.Working(v.ID, v.Items[0].Key)
			}
			if got := names(b); !slices.Equal(got, c.left) {
				t.Errorf("disks %q, want %q", got, c.left)
			}
			if len(b.Ledger()) != 0 {
				t.Errorf("the ledger has %v", b.Ledger())
			}
		})
	}
}

// A request that cannot be met is refused before anything is stored.
func TestRestoresThatAreRefused(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	c, _, point := backedUp(b)
	for _, q := range []struct {
		what string
		restore.Request
		kind ivd.Kind
	}{
		{"no point", restore.Request{Point: ivd.PointID(strings.Replace(string(point), "Z-", "Z-9", 1))}, ivd.NotFound},
		{"a name of unfinished ones", restore.Request{Point: point, Name: restore.WorkingPrefix + "x"}, ivd.Invalid},
		{"a name that is taken", restore.Request{Point: point, Name: "a"}, ivd.Exists},
		{"another vCenter", restore.Request{Point: point, VCenter: "elsewhere"}, ivd.NotFound},
		{"another datastore", restore.Request{Point: point, Datastore: "elsewhere"}, ivd.NotFound},
	} {
		if _, err := c.Restore.Run(t.Context(), q.Request); ivd.KindOf(err) != q.kind {
			t.Errorf("%s: %v, want kind %q", q.what, err, q.kind)
		}
	}
}
