package queue_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/queue"
)

func TestHeartbeats(t *testing.T) {
	h := newHouse(t)
	q := h.connect(queue.Options{})
	ctx := within(t, 20*time.Second)
	movers, _, err := q.Movers(ctx)
	must(t, err)
	if len(movers) != 0 {
		t.Fatalf("movers %v", movers)
	}
	for _, name := range []string{"proxy-2", "proxy-1.example.net"} {
		for beat := range uint64(3) {
			must(t, q.Beat(ctx, job.Mover{Version: job.Version, Name: name, Beat: beat, Handles: 4}))
		}
	}
	newer := job.Mover{Version: job.Version + 1, Name: "proxy-3"}
	wantKind(t, q.Beat(ctx, newer), ivd.Invalid)
	wantKind(t, q.Beat(ctx, job.Mover{Version: job.Version, Name: "a b"}), ivd.Invalid)
	movers, _, err = q.Movers(ctx)
	must(t, err)
	if len(movers) != 2 || movers[0].Name != "proxy-1.example.net" || movers[1].Beat != 2 || movers[1].Handles != 4 {
		t.Fatalf("movers %+v", movers)
	}
	must(t, q.Leave(ctx, "proxy-2"))
	must(t, q.Leave(ctx, "proxy-2"))
	movers, _, err = q.Movers(ctx)
	must(t, err)
	if len(movers) != 1 {
		t.Fatalf("movers %+v", movers)
	}
}

// A heartbeat that cannot be read hides no other, and is named.
func TestHeartbeatThatCannotBeRead(t *testing.T) {
	h := newHouse(t)
	q := h.connect(queue.Options{})
	ctx := within(t, 20*time.Second)
	must(t, q.Beat(ctx, job.Mover{Version: job.Version, Name: "proxy-1", Handles: 4}))
	nc, err := nats.Connect("", nats.InProcessServer(h), nats.Token(h.Token()))
	must(t, err)
	defer nc.Close()
	js, err := jetstream.New(nc)
	must(t, err)
	kv, err := js.KeyValue(ctx, "IVD_MOVERS")
	must(t, err)
	_, err = kv.Put(ctx, "proxy-2", fmt.Appendf(nil, `{"version":%d,"name":"proxy-2"}`, job.Version+1))
	must(t, err)
	movers, unread, err := q.Movers(ctx)
	must(t, err)
	if len(movers) != 1 || len(unread) != 1 || ivd.KindOf(unread["proxy-2"]) != ivd.Unsupported {
		t.Errorf("movers %+v, unread %v", movers, unread)
	}
}

func TestProgress(t *testing.T) {
	h := newHouse(t)
	coordinator, mover := h.connect(queue.Options{}), h.connect(queue.Options{})
	for _, run := range []ivd.RunID{testRun, ""} {
		ctx, cancel := context.WithCancel(within(t, 20*time.Second))
		told := make(chan job.Progress, 100)
		ended := make(chan error, 1)
		go func() {
			ended <- coordinator.SubscribeProgress(ctx, run, func(p job.Progress) { told <- p })
		}()
		say := time.NewTicker(20 * time.Millisecond)
		var got job.Progress
		for got.Job == "" { // until the subscription stands; nothing before it is heard
			select {
			case got = <-told:
			case <-say.C:
				must(t, mover.PublishProgress(job.Progress{Version: job.Version, Run: "other", Job: "x", Mover: "m.1"}))
				must(t, mover.PublishProgress(job.Progress{Version: job.Version, Run: testRun, Job: "0001", Mover: "m.1", Stats: ivd.Stats{ReadBytes: 7}}))
			case <-ctx.Done():
				t.Fatal("nothing was told")
			}
			if run == "" && got.Run == "other" {
				got = job.Progress{}
			}
		}
		say.Stop()
		if got.Run != testRun || got.Stats.ReadBytes != 7 {
			t.Fatalf("told %+v", got)
		}
		cancel()
		must(t, <-ended)
	}
	wantKind(t, mover.PublishProgress(job.Progress{Run: "*", Mover: "m"}), ivd.Invalid)
	wantKind(t, mover.PublishProgress(job.Progress{Run: testRun, Mover: "*"}), ivd.Invalid)
	wantKind(t, coordinator.SubscribeProgress(t.Context(), "a.b", nil), ivd.Invalid)
}

func TestSlowAnswersAreWaitedFor(t *testing.T) {
	h := newHouse(t)
	coordinator, mover := h.connect(queue.Options{AckWait: shortWait}), h.connect(queue.Options{AckWait: shortWait})
	ctx := within(t, 20*time.Second)
	stop, err := mover.ServeRequests(ctx, "m", func(ctx context.Context, _ job.Request) job.Reply {
		<-within(t, 4*shortWait).Done()
		return job.Reply{Capacity: 1}
	})
	must(t, err)
	defer stop()
	reply, err := coordinator.Ask(ctx, "m", job.Request{Version: job.Version, Op: job.PrepareAccess})
	must(t, err)
	if reply.Capacity != 1 {
		t.Fatalf("answer %+v", reply)
	}
}

func TestSilentMoverIsGivenUp(t *testing.T) {
	h := newHouse(t)
	coordinator := h.connect(queue.Options{AckWait: shortWait})
	mover := h.connect(queue.Options{AckWait: time.Hour}) // it will not say that it works
	ctx := within(t, 20*time.Second)
	answering, release := context.WithCancel(ctx)
	stop, err := mover.ServeRequests(ctx, "m", func(context.Context, job.Request) job.Reply {
		<-answering.Done()
		return job.Reply{}
	})
	must(t, err)
	_, err = coordinator.Ask(ctx, "m", job.Request{Version: job.Version, Op: job.PrepareAccess})
	wantKind(t, err, ivd.Transient)
	must(t, ctx.Err())
	release()
	stop()
}

func TestAnswersOfManyAskers(t *testing.T) {
	h := newHouse(t)
	coordinator, mover := h.connect(queue.Options{}), h.connect(queue.Options{})
	ctx := within(t, 30*time.Second)
	stop, err := mover.ServeRequests(ctx, "m", func(_ context.Context, r job.Request) job.Reply {
		return job.Reply{Transport: r.Identity}
	})
	must(t, err)
	const askers = 200
	results := make(chan error, askers)
	for i := range askers {
		go func() {
			me := fmt.Sprint("asker ", i)
			r, err := coordinator.Ask(ctx, "m", job.Request{Version: job.Version, Op: job.PrepareAccess, Identity: me})
			if err == nil && r.Transport != me {
				err = fmt.Errorf("%s was told %q", me, r.Transport)
			}
			results <- err
		}()
	}
	for range askers {
		must(t, <-results)
	}
	stop()
}
