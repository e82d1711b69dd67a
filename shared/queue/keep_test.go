package queue_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/queue"
)

// A server that was started again has forgotten the heartbeats' bucket, which is in
// its memory. It is there again, for whoever uses it, without anybody starting anew.
func TestBucketOfHeartbeatsAfterARestartOfTheServer(t *testing.T) {
	h := newHouse(t)
	ctx := within(t, time.Minute)
	log := &logged{}
	coordinator := h.connect(queue.Options{Log: log.logger()})
	mover := h.connectOnly(queue.Options{})
	beat := job.Mover{Version: job.Version, Name: "one", Process: "p", Beat: 1}
	must(t, mover.Beat(ctx, beat))
	for n := range 2 {
		h.stop()
		h.start()
		beat.Beat++
		must(t, mover.Beat(ctx, beat))
		for {
			movers, _, err := coordinator.Movers(ctx)
			must(t, err)
			if len(movers) == 1 && movers[0].Beat == beat.Beat {
				break
			}
		}
		if said := log.count("IVD_MOVERS"); said != n+1 {
			t.Errorf("after %d restarts it was said %d times that the bucket was gone: %s", n+1, said, log.text())
		}
	}
	if log.count("IVD_STATE")+log.count("IVD_JOBS") != 0 {
		t.Errorf("what is still there is said to be lost: %s", log.text())
	}
}

// What somebody removes at the server is made again while both sides run on, and
// what was lost with it is said.
func TestWhatIsRemovedAtTheServerIsMadeAgain(t *testing.T) {
	h := newHouse(t)
	ctx := within(t, time.Minute)
	log := &logged{}
	coordinator, mover := h.connect(queue.Options{Log: log.logger()}), h.connectOnly(queue.Options{})
	nc, err := nats.Connect("", nats.InProcessServer(h), nats.Token(h.Token()))
	must(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	must(t, err)

	_, err = coordinator.State().Put(ctx, "k.old", 1)
	must(t, err)
	told, err := mover.State().Watch(ctx, "k")
	must(t, err)
	if e := <-told; e.Key != "k.old" {
		t.Fatalf("%+v", e)
	}
	if e := <-told; !e.Current {
		t.Fatalf("%+v", e)
	}

	for _, name := range []string{"KV_IVD_STATE", "KV_IVD_RECORDS", "KV_IVD_MOVERS", "IVD_JOBS"} {
		must(t, js.DeleteStream(ctx, name))
	}
	must(t, mover.Beat(ctx, job.Mover{Version: job.Version, Name: "one", Process: "p", Beat: 1}))
	must(t, coordinator.CreateJobRecord(ctx, testRecord("0001")))
	must(t, coordinator.Publish(ctx, testJob("0001")))
	must(t, fetchOne(ctx, t, mover.Jobs(job.Backup)).Ack(ctx))
	_, err = mover.State().Create(ctx, "k.new", 2)
	must(t, err)
	if _, _, err := queue.Get[int](ctx, coordinator.State(), "k.old"); ivd.KindOf(err) != ivd.NotFound {
		t.Errorf("what was in the bucket: %v", err)
	}
	wantChanges(ctx, t, told, map[string]bool{"k.old": false, "k.new": true})

	must(t, js.DeleteConsumer(ctx, "IVD_JOBS", "backup"))
	must(t, coordinator.Publish(ctx, testJob("0002")))
	must(t, fetchOne(ctx, t, mover.Jobs(job.Backup)).Ack(ctx))
	for _, what := range []string{"IVD_STATE", "IVD_RECORDS", "IVD_MOVERS", "IVD_JOBS"} {
		if log.count(what) == 0 {
			t.Errorf("nothing is said of %s: %s", what, log.text())
		}
	}
}

// wantChanges reads what a watch tells until every key is as wanted: there, or not.
func wantChanges(ctx context.Context, t *testing.T, told <-chan queue.Event, want map[string]bool) {
	t.Helper()
	for len(want) > 0 {
		select {
		case e, ok := <-told:
			if !ok {
				t.Fatal("the watch has ended")
			}
			if there, wanted := want[e.Key]; wanted && there == !e.Deleted {
				delete(want, e.Key)
			}
		case <-ctx.Done():
			t.Fatalf("not told: %v", want)
		}
	}
}

// connectOnly is a connection of somebody who does not set the queue up.
func (h *house) connectOnly(o queue.Options) *queue.Queue {
	h.t.Helper()
	o.InProcess, o.Name = h, h.t.Name()
	q, err := queue.Connect(h.t.Context(), o)
	must(h.t, err)
	h.t.Cleanup(q.Close)
	return q
}

// logged keeps warnings and errors.
type logged struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logged) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

func (l *logged) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *logged) count(what string) int { return strings.Count(l.text(), what) }
