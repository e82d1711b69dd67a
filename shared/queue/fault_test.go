package queue_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"ivdmover/coordinator/broker"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/queue"
)

// cutter stands between a client and its server. Armed with a text, it lets the
// client's message with that text through to the server and cuts the connection
// instead of the answer: the client cannot know what happened.
type cutter struct {
	t      *testing.T
	target string
	l      net.Listener
	all    sync.WaitGroup

	mu    sync.Mutex
	armed []byte
	conns []net.Conn
	cuts  int
}

func newCutter(t *testing.T, target string) *cutter {
	t.Helper()
	c := &cutter{t: t, target: target, l: listen(t)}
	c.all.Go(func() {
		for {
			conn, err := c.l.Accept()
			if err != nil {
				return
			}
			c.all.Go(func() { c.carry(conn) })
		}
	})
	t.Cleanup(func() {
		_ = c.l.Close()
		c.mu.Lock()
		for _, conn := range c.conns {
			_ = conn.Close()
		}
		c.mu.Unlock()
		c.all.Wait()
	})
	return c
}

func (c *cutter) carry(client net.Conn) {
	server, err := net.Dial("tcp", c.target)
	if err != nil {
		_ = client.Close()
		return
	}
	c.mu.Lock()
	c.conns = append(c.conns, client, server)
	c.mu.Unlock()
	var deaf sync.Once
	cut := make(chan struct{})
	c.all.Go(func() { // answers
		buf := make([]byte, 64<<10)
		for {
			n, err := server.Read(buf)
			select {
			case <-cut: // the server has answered, the client does not hear it
				_ = client.Close()
				_ = server.Close()
				return
			default:
			}
			if err != nil || write(client, buf[:n]) != nil {
				_ = client.Close()
				return
			}
		}
	})
	buf := make([]byte, 64<<10)
	for {
		n, err := client.Read(buf)
		if c.fires(buf[:n]) {
			deaf.Do(func() { close(cut) })
		}
		if err != nil || write(server, buf[:n]) != nil {
			_ = server.Close()
			return
		}
	}
}

func write(w io.Writer, p []byte) error {
	_, err := w.Write(p)
	return err
}

func (c *cutter) fires(sent []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.armed == nil || !bytes.Contains(sent, c.armed) {
		return false
	}
	c.armed = nil
	c.cuts++
	return true
}

// arm makes the next message with text the last one of its connection.
func (c *cutter) arm(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.armed = []byte(text)
}

// wantCuts checks that the faults really happened.
func (c *cutter) wantCuts(n int) {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cuts != n {
		c.t.Fatalf("the connection was cut %d times, want %d", c.cuts, n)
	}
}

func TestLostAnswers(t *testing.T) {
	s, err := broker.Start(t.Context(), broker.Options{Dir: t.TempDir(), Listen: "127.0.0.1:0"})
	must(t, err)
	t.Cleanup(s.Close)
	cut := newCutter(t, s.ClientURL()[len("nats://"):])
	q, err := queue.Connect(t.Context(), queue.Options{URL: "nats://" + cut.l.Addr().String(), CredsFile: s.CoordinatorCreds()})
	must(t, err)
	t.Cleanup(q.Close)
	ctx := within(t, 60*time.Second)
	must(t, q.Setup(ctx))
	b := q.State()

	cut.arm("$KV.IVD_STATE.lost")
	rev, err := b.Create(ctx, "lost", counter{N: 1})
	must(t, err) // it was this call's own first try that created it
	cut.arm("$KV.IVD_STATE.lost")
	next, err := b.Update(ctx, "lost", counter{N: 2}, rev)
	must(t, err)
	c, at, err := queue.Get[counter](ctx, b, "lost")
	must(t, err)
	if c.N != 2 || at != next || next != rev+1 {
		t.Fatalf("value %d at %d, the update said %d after %d", c.N, at, next, rev)
	}
	cut.wantCuts(2)

	cut.arm(`"id":"0001"`)
	must(t, q.Publish(ctx, testJob("0001")))
	must(t, q.Publish(ctx, testJob("0002")))
	got, err := q.Jobs(job.Backup).Fetch(ctx, 10)
	must(t, err)
	if len(got) != 2 {
		t.Fatalf("%d jobs are on the queue, want 2", len(got))
	}
	cut.wantCuts(3)

	cut.arm("+ACK")
	must(t, got[0].Ack(ctx))
	must(t, got[1].Ack(ctx))
	cut.wantCuts(4)

	cut.arm("$KV.IVD_STATE.lost")
	must(t, b.DeleteAt(ctx, "lost", next))
	keys, err := b.Keys(ctx, "")
	must(t, err)
	if len(keys) != 0 {
		t.Fatalf("keys %v", keys)
	}
	cut.wantCuts(5)
}

func TestJobInProgressSurvivesARestartLongerThanAckWait(t *testing.T) {
	const wait = 1200 * time.Millisecond
	h := newHouse(t)
	one, two := h.connect(queue.Options{AckWait: wait}), h.connect(queue.Options{AckWait: wait})
	ctx := within(t, 60*time.Second)
	must(t, one.Publish(ctx, testJob("0001")))
	d := fetchOne(ctx, t, one.Jobs(job.Backup))
	heart := d.Heart(ctx)
	defer heart.Stop()
	working, done := context.WithCancel(ctx)
	var worker sync.WaitGroup
	worker.Go(func() {
		calls := time.NewTicker(20 * time.Millisecond)
		defer calls.Stop()
		for working.Err() == nil {
			<-calls.C
			heart.Touch()
		}
	})
	h.stop()
	<-time.After(wait + wait/2)
	h.start()
	wantNone(t, two.Jobs(job.Backup), 2*wait)
	done()
	worker.Wait()
	must(t, d.Ack(ctx))
}

// TestFetchAndCancel takes jobs with a puller that is cancelled at every moment of
// a delivery; what it did not return is with the others at once, or, in the worst
// case, after an AckWait.
func TestFetchAndCancel(t *testing.T) {
	h := newHouse(t)
	q, other := h.connect(queue.Options{AckWait: shortWait}), h.connect(queue.Options{AckWait: shortWait})
	ctx := within(t, 60*time.Second)
	const jobs = 100
	taken := map[string]bool{}
	for i := range jobs {
		j := testJob("")
		j.ID = ivd.JobID(fmt.Sprintf("%04d", i))
		fetching, cancel := context.WithCancel(ctx)
		result := make(chan []*queue.Delivery, 1)
		go func() {
			got, _ := q.Jobs(job.Backup).Fetch(fetching, 2)
			result <- got
		}()
		must(t, q.Publish(ctx, j))
		after := time.AfterFunc(time.Duration(i)*20*time.Microsecond, cancel)
		for _, d := range <-result {
			must(t, d.Ack(ctx))
			taken[string(d.Job.ID)] = true
		}
		after.Stop()
		cancel()
	}
	for len(taken) < jobs {
		got, err := other.Jobs(job.Backup).Fetch(ctx, 10)
		must(t, err)
		for _, d := range got {
			must(t, d.Ack(ctx))
			taken[string(d.Job.ID)] = true
		}
	}
	wantNone(t, other.Jobs(job.Backup), 2*shortWait)
}
