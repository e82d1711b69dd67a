package engine_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"ivdmover/coordinator/backup"
	"ivdmover/coordinator/coordtest"
	"ivdmover/coordinator/engine"
	"ivdmover/coordinator/restore"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// spoil writes something that is no record in the place of one.
func spoil(b *coordtest.Bench, bucket, key, text string) {
	b.Helper()
	nc, err := nats.Connect("", nats.InProcessServer(b.Broker), nats.Token(b.Broker.Token()))
	b.Must(err)
	defer nc.Close()
	js, err := jetstream.New(nc)
	b.Must(err)
	kv, err := js.KeyValue(b.Context(), bucket)
	b.Must(err)
	_, err = kv.Put(b.Context(), key, []byte(text))
	b.Must(err)
}

const newer = `{"version":99}`

// An item whose record cannot be read is named where its run is shown, which has the
// others, and so is it where the ended items of all runs are listed.
func TestItemWhoseRecordCannotBeRead(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{"damaged": "nonsense", "newer": newer, "another's": `{"version":1,"run":"x","key":"y"}`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := coordtest.New(t)
			r := b.Run(backup.Kind, engine.Done)
			r.Counts, r.Ended = engine.Counts{Items: 2, Done: 2}, time.Now()
			b.Store(r, engine.Item{Key: "good", Step: engine.Ended, Result: engine.Done, Ended: time.Now(), Body: coordtest.Body(backup.Disk{})},
				engine.Item{Key: "sick", Step: engine.Ended, Result: engine.Done, Ended: time.Now()})
			spoil(b, "IVD_STATE", "item."+string(r.ID)+".sick", text)
			c := b.Coordinator("one")
			v, err := c.Engine.View(t.Context(), r.ID)
			b.Must(err)
			named(b, v)
			if v.Counts != r.Counts {
				t.Errorf("counts %+v, stored are %+v", v.Counts, r.Counts)
			}
			for change, err := range c.Engine.Watch(t.Context(), r.ID) {
				b.Must(err)
				named(b, coordtest.Changed(engine.View{}, change))
			}
			for _, within := range []time.Duration{0, time.Hour} {
				ended, err := c.Engine.Ended(t.Context(), backup.Kind, within)
				if err != nil || len(ended) != 1 || ended[0].Key != "good" {
					t.Errorf("ended within %s: %+v, %v", within, ended, err)
				}
			}
		})
	}
}

// named wants an item that is served and one that is named.
func named(b *coordtest.Bench, v engine.View) {
	b.Helper()
	if len(v.Items) != 2 || v.Items[0].Key != "good" || v.Items[0].Unread != nil {
		b.Fatalf("%+v", v.Items)
	}
	if sick := v.Items[1]; sick.Key != "sick" || sick.Unread == nil || !strings.Contains(sick.Unread.Error(), "sick") {
		b.Errorf("%+v", sick)
	}
}

// A run of another coordinator's is watched though one of its items cannot be read.
func TestWatchOfARunWithAnUnreadItem(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	r := b.Run(backup.Kind, engine.Running)
	r.Owner = "another"
	b.Store(r, engine.Item{Key: "good", Step: engine.Moving}, engine.Item{Key: "sick", Step: engine.Moving})
	spoil(b, "IVD_STATE", "item."+string(r.ID)+".sick", newer)
	for change, err := range b.Coordinator("one").Engine.Watch(t.Context(), r.ID) {
		b.Must(err)
		named(b, coordtest.Changed(engine.View{}, change))
		break
	}
}

// A run goes on without the item whose record cannot be read, and ends: that one has
// failed, its job is stopped, and nothing is left of it.
func TestRunWithAnItemThatCannotBeReadEnds(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	sick, good := b.Disk("sick", 8), b.Disk("good", 8)
	m := b.Mover("m1")
	letGo := hold(m)
	first, stop := b.Serving("one")
	id := b.Begin(first, backup.Request{All: true}).ID
	b.Until(first, id, func(v engine.View) bool {
		return len(m.Began()) == 2 && !slices.ContainsFunc(v.Items, func(it engine.ItemView) bool { return it.Step != engine.Moving })
	})
	stop()
	spoil(b, "IVD_STATE", "item."+string(id)+"."+string(sick.Ref.ID()), "nonsense")
	c, _ := b.Serving("one")
	b.Until(c, id, func(v engine.View) bool {
		return slices.ContainsFunc(v.Items, func(it engine.ItemView) bool { return it.Result == engine.Failed })
	})
	letGo()
	v := b.Until(c, id, coordtest.Ended)
	if v.State != engine.Partial || len(v.Items) != 2 || v.Counts.Done != 1 || v.Counts.Failed != 1 {
		t.Errorf("%s: %+v", v.State, v.Items)
	}
	for _, it := range v.Items {
		if it.Key != engine.ItemKey(sick.Ref.ID()) {
			continue
		}
		if f := it.Failure; f == nil || f.Kind != ivd.Corrupt || !strings.Contains(f.Message, "cannot be read") || f.Remedy == "" {
			t.Errorf("failure %+v", f)
		}
	}
	if len(b.Points(good.Ref.ID())) != 1 || len(b.Points(sick.Ref.ID())) != 0 || len(b.Ledger()) != 0 {
		t.Errorf("points or obligations are wrong: %q", b.Ledger())
	}
	b.NothingLeft(sick)
	b.NothingLeft(good)
	if r, err := b.Repo.ReadRun(t.Context(), id); err != nil || len(r.Points) != 1 || len(r.Failed) != 1 || r.Failed[0].Disk != sick.Ref.ID() || !strings.Contains(r.Failed[0].Reason, "cannot be read") {
		t.Errorf("the run's summary: %+v, %v", r, err)
	}
	b.Must(c.Backup.Sweep(t.Context(), c.Engine))
	b.Must(c.Restore.Sweep(t.Context(), c.Engine))
}

// Sweeps look at the others where what is stored of one item is none of theirs.
func TestSweepPassesAnItemThatIsNoneOfItsKind(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	for _, k := range []engine.Kind{backup.Kind, restore.Kind} {
		b.Store(b.Run(k, engine.Failed), engine.Item{Key: "a", Step: engine.Ended, Result: engine.Failed, Ended: time.Now(), Body: json.RawMessage(`{"ref":7}`)})
	}
	c := b.Coordinator("one")
	b.Must(c.Backup.Sweep(t.Context(), c.Engine))
	b.Must(c.Restore.Sweep(t.Context(), c.Engine))
}

// A newer program's item is left to it: another coordinator's run is not taken over.
func TestRunWithANewerItemIsLeftToItsOwner(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	r := b.Run(backup.Kind, engine.Running)
	r.Owner = "another"
	b.Store(r, engine.Item{Key: "newer", Step: engine.Waiting})
	spoil(b, "IVD_STATE", "item."+string(r.ID)+".newer", newer)
	c := b.Coordinator("one")
	defer c.Engine.WatchNothing()()
	b.Must(c.Engine.Adopt(t.Context()))
	c.Clock.Advance(2 * engine.SilentOwner)
	b.Must(c.Engine.Adopt(t.Context()))
	if c.Engine.Drives(r.ID) {
		t.Error("it is driven here")
	}
}

// A job whose record cannot be read fails its disk and no other one.
func TestJobWhoseRecordCannotBeRead(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	b.Disk("sick", 8)
	b.Disk("good", 8)
	m := b.Mover("m1")
	m.Set(func(p *coordtest.Puppet) {
		p.Work = func(ctx context.Context, rec job.Record) error {
			d, err := b.VC.Find(ctx, rec.Disk)
			if err == nil && d.Name == "sick" {
				spoil(b, "IVD_RECORDS", strings.Join([]string{string(rec.Run), string(rec.Disk), string(rec.ID)}, "."), "nonsense")
			}
			return err
		}
	})
	c, _ := b.Serving("one")
	v := b.Until(c, b.Begin(c, backup.Request{All: true}).ID, coordtest.Ended)
	if v.State != engine.Partial || b.Item(v, "good").Result != engine.Done {
		t.Errorf("%s: %+v", v.State, v.Items)
	}
	if f := b.Item(v, "sick").Failure; f == nil || !strings.Contains(f.Message, "job record") {
		t.Errorf("failure %+v", f)
	}
	if len(b.Ledger()) != 0 {
		t.Errorf("the ledger has %q", b.Ledger())
	}
}
