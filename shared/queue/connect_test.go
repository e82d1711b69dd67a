package queue_test

import (
	"bufio"
	"context"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/queue"
)

func TestConnectSaysWhatToDo(t *testing.T) {
	gone := listen(t)
	must(t, gone.Close())
	unreachable := "nats://user:hidden@" + gone.Addr().String()
	for _, c := range []struct {
		name    string
		options queue.Options
		kind    ivd.Kind
		says    []string
	}{
		{"nowhere", queue.Options{}, ivd.Invalid, []string{"neither a URL"}},
		{"nobody listens", queue.Options{URL: unreachable}, ivd.Transient, []string{gone.Addr().String(), "queue.url"}},
		{"refused", queue.Options{URL: "nats://" + refuser(t)}, ivd.Denied, []string{"creds_file"}},
		{"no creds file", queue.Options{URL: unreachable, CredsFile: filepath.Join(t.TempDir(), "none")}, ivd.Invalid, []string{"queue.creds_file"}},
		{"no ca file", queue.Options{URL: unreachable, CAFile: filepath.Join(t.TempDir(), "none")}, ivd.Invalid, []string{"queue.ca_file"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := queue.Connect(t.Context(), c.options)
			wantKind(t, err, c.kind)
			text := err.Error() + ": " + ivd.RemedyOf(err)
			for _, s := range c.says {
				if !strings.Contains(text, s) {
					t.Errorf("%q does not name %q", text, s)
				}
			}
			if strings.Contains(text, "hidden") {
				t.Errorf("%q shows a password", text)
			}
		})
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := queue.Connect(ended, queue.Options{URL: unreachable})
	wantKind(t, err, ivd.Cancelled)
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// refuser is a server that knows nobody: the first words of NATS' protocol.
func refuser(t *testing.T) string {
	l := listen(t)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte("INFO {\"auth_required\":true,\"max_payload\":1048576}\r\n"))
			_, _ = bufio.NewReader(c).ReadString('\n')
			_, _ = c.Write([]byte("-ERR 'Authorization Violation'\r\n"))
			_ = c.Close()
		}
	}()
	return l.Addr().String()
}

func TestCallsWaitForTheServer(t *testing.T) {
	h := newHouse(t)
	q := h.connect(queue.Options{})
	ctx := within(t, 30*time.Second)
	rev, err := q.State().Create(ctx, "k", counter{N: 1})
	must(t, err)
	h.stop()
	done := make(chan error, 1)
	go func() {
		_, err := q.State().Update(ctx, "k", counter{N: 2}, rev)
		done <- err
	}()
	h.start()
	must(t, <-done)
	c, _, err := queue.Get[counter](ctx, q.State(), "k")
	must(t, err)
	if c.N != 2 {
		t.Fatalf("read %d", c.N)
	}
}

func TestPatienceEnds(t *testing.T) {
	h := newHouse(t)
	q := h.connect(queue.Options{Patience: 500 * time.Millisecond})
	ctx := within(t, 20*time.Second)
	h.stop()
	_, err := q.State().Put(ctx, "k", counter{})
	wantKind(t, err, ivd.Transient)
	_, _, err = queue.Get[counter](ctx, q.State(), "k")
	wantKind(t, err, ivd.Transient) // and not NotFound
	_, err = q.State().Keys(ctx, "")
	wantKind(t, err, ivd.Transient)
	_, err = q.Ask(ctx, "m", job.Request{Version: job.Version})
	wantKind(t, err, ivd.Transient)
	wantKind(t, q.Publish(ctx, testJob("0001")), ivd.Transient)
	must(t, ctx.Err())
}

func TestBeforeSetup(t *testing.T) {
	h := newHouse(t)
	q, err := queue.Connect(t.Context(), queue.Options{InProcess: h, Patience: 200 * time.Millisecond})
	must(t, err)
	t.Cleanup(q.Close)
	ctx := within(t, 20*time.Second)
	_, _, err = queue.Get[counter](ctx, q.State(), "k")
	wantKind(t, err, ivd.Transient)
	if !strings.Contains(ivd.RemedyOf(err), "ivd serve") {
		t.Errorf("%v: no remedy", err)
	}
	_, _, err = q.Movers(ctx)
	wantKind(t, err, ivd.Transient)
	wantKind(t, q.Publish(ctx, testJob("0001")), ivd.Transient)

	// A mover that came first finds its way once the queue is set up.
	got := make(chan error, 1)
	go func() {
		_, err := q.Jobs(job.Backup).Fetch(ctx, 1)
		got <- err
	}()
	other := h.connect(queue.Options{})
	must(t, other.Publish(ctx, testJob("0001")))
	must(t, <-got)
}

func TestAfterClose(t *testing.T) {
	q := newHouse(t).connect(queue.Options{})
	waiting := make(chan error, 1)
	go func() {
		_, err := q.Jobs(job.Backup).Fetch(t.Context(), 1)
		waiting <- err
	}()
	q.Close()
	q.Close()
	wantKind(t, <-waiting, ivd.Cancelled)
	_, err := q.State().Put(t.Context(), "k", counter{})
	wantKind(t, err, ivd.Cancelled)
	_, err = q.State().Watch(t.Context(), "")
	wantKind(t, err, ivd.Cancelled)
	_, err = q.Ask(t.Context(), "m", job.Request{Version: job.Version})
	wantKind(t, err, ivd.Cancelled)
}
