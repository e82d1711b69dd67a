package queue_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"pgregory.net/rapid"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/queue"
)

func TestSetupIsRepeatable(t *testing.T) {
	h := newHouse(t)
	ctx := within(t, 20*time.Second)
	h.connect(queue.Options{})
	q := h.connect(queue.Options{AckWait: 3 * time.Second}) // sets up again, with another choice
	must(t, q.Publish(ctx, testJob("0001")))
	must(t, q.Setup(ctx))
	must(t, fetchOne(ctx, t, q.Jobs(job.Backup)).Ack(ctx))

	nc, err := nats.Connect("", nats.InProcessServer(h), nats.Token(h.Token()))
	must(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	must(t, err)
	jobs, err := js.Stream(ctx, "IVD_JOBS")
	must(t, err)
	if c := jobs.CachedInfo().Config; c.Retention != jetstream.WorkQueuePolicy || c.Storage != jetstream.FileStorage {
		t.Errorf("jobs: %+v", c)
	}
	for _, kind := range []string{"backup", "restore"} {
		c, err := js.Consumer(ctx, "IVD_JOBS", kind)
		must(t, err)
		if c := c.CachedInfo().Config; c.AckWait != 3*time.Second || c.MaxDeliver != -1 || c.MaxAckPending != -1 {
			t.Errorf("consumer %s: %+v", kind, c)
		}
	}
	state, err := js.Stream(ctx, "KV_IVD_STATE")
	must(t, err)
	if c := state.CachedInfo().Config; c.Storage != jetstream.FileStorage || c.MaxMsgsPerSubject != 1 || c.MaxAge != 0 {
		t.Errorf("state: %+v", c)
	}
	records, err := js.Stream(ctx, "KV_IVD_RECORDS")
	must(t, err)
	if c := records.CachedInfo().Config; c.Storage != jetstream.FileStorage || c.MaxMsgsPerSubject != 1 || c.MaxAge != 0 {
		t.Errorf("records: %+v", c)
	}
	movers, err := js.Stream(ctx, "KV_IVD_MOVERS")
	must(t, err)
	if c := movers.CachedInfo().Config; c.MaxAge != time.Minute || c.SubjectDeleteMarkerTTL == 0 {
		t.Errorf("movers: %+v", c)
	}
}

// TestBucketIsAMap compares a bucket with a map through random operations.
func TestBucketIsAMap(t *testing.T) {
	b := newHouse(t).connect(queue.Options{}).State()
	ctx := t.Context()
	rapid.Check(t, func(t *rapid.T) {
		keys, err := b.Keys(ctx, "")
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range keys {
			if err := b.Delete(ctx, k); err != nil {
				t.Fatal(err)
			}
		}
		m := model{values: map[string]int{}, revisions: map[string]uint64{}, past: map[string][]uint64{}}
		key := rapid.SampledFrom([]string{"m.a", "m.b", "m.b.c"})
		t.Repeat(map[string]func(*rapid.T){
			"create": func(t *rapid.T) {
				k, n := key.Draw(t, "key"), rapid.Int().Draw(t, "n")
				rev, err := b.Create(ctx, k, n)
				_, there := m.values[k]
				m.wrote(t, k, n, rev, err, !there, ivd.Exists)
			},
			"update": func(t *rapid.T) {
				k, n := key.Draw(t, "key"), rapid.Int().Draw(t, "n")
				at := m.revisions[k]
				stale := rapid.Bool().Draw(t, "stale")
				if stale || at == 0 {
					// One that it had, or will never have. Just any other could be that of its
					// deletion, at which a key may be written.
					at = rapid.SampledFrom(append(m.past[k], 1<<40)).Draw(t, "at")
				}
				rev, err := b.Update(ctx, k, n, at)
				m.wrote(t, k, n, rev, err, m.revisions[k] == at, ivd.Conflict)
			},
			"put": func(t *rapid.T) {
				k, n := key.Draw(t, "key"), rapid.Int().Draw(t, "n")
				rev, err := b.Put(ctx, k, n)
				m.wrote(t, k, n, rev, err, true, "")
			},
			"delete": func(t *rapid.T) {
				k := key.Draw(t, "key")
				if err := b.Delete(ctx, k); err != nil {
					t.Fatal(err)
				}
				m.leaves(k)
				delete(m.values, k)
				delete(m.revisions, k)
			},
			"": func(t *rapid.T) {
				entries, err := b.List(ctx, "m")
				if err != nil {
					t.Fatal(err)
				}
				if len(entries) != len(m.values) {
					t.Fatalf("%d entries, want %d", len(entries), len(m.values))
				}
				for _, e := range entries {
					var n int
					if err := e.Decode(&n); err != nil {
						t.Fatal(err)
					}
					if n != m.values[e.Key] || e.Revision != m.revisions[e.Key] {
						t.Fatalf("%s is %d at %d, want %d at %d", e.Key, n, e.Revision, m.values[e.Key], m.revisions[e.Key])
					}
				}
			},
		})
	})
}

type model struct {
	values    map[string]int
	revisions map[string]uint64
	past      map[string][]uint64 // those that each key had
}

// leaves is called before a key's revision is another.
func (m *model) leaves(key string) {
	if at := m.revisions[key]; at != 0 {
		m.past[key] = append(m.past[key], at)
	}
}

func (m *model) wrote(t *rapid.T, key string, n int, revision uint64, err error, may bool, kind ivd.Kind) {
	if may != (err == nil) || err != nil && ivd.KindOf(err) != kind {
		t.Fatalf("write of %s: %v; should it succeed: %v", key, err, may)
	}
	if err == nil {
		if revision <= m.revisions[key] {
			t.Fatalf("revision %d after %d", revision, m.revisions[key])
		}
		m.leaves(key)
		m.values[key], m.revisions[key] = n, revision
	}
}
