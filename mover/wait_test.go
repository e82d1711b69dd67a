package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"os"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"ivdmover/coordinator/broker"
	"ivdmover/shared/queue"
)

// heard reads what a mover says until it says that.
func heard(t *testing.T, output io.Reader, want string) {
	t.Helper()
	lines := bufio.NewScanner(output)
	var all []string
	for lines.Scan() {
		all = append(all, lines.Text())
		if strings.Contains(lines.Text(), want) {
			return
		}
	}
	t.Fatalf("it never said %q: %s", want, strings.Join(all, "\n"))
}

// A mover may be started before the queue's server, and before the coordinator that
// sets the queue up; it says for what it waits, in one process.
func TestAMoverThatIsStartedFirst(t *testing.T) {
	p := newPlace(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr, dir := l.Addr().String(), t.TempDir()
	l.Close()
	start := func() *broker.Server {
		s, err := broker.Start(t.Context(), broker.Options{Dir: dir, Listen: addr})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		return s
	}
	file, err := broker.MoverCreds(dir, "proxy-2")
	if err != nil {
		t.Fatal(err)
	}
	p.write(replaceQueue(t, p.config, "nats://"+addr, file))
	cmd, output := p.start()
	heard(t, output, "waiting for the queue")
	pid := childOf(t, cmd.Process.Pid)
	s := start()
	heard(t, output, "waiting for the coordinator")
	if p.queue, err = queue.Connect(t.Context(), queue.Options{InProcess: s, Name: "test"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.queue.Close)
	if err := p.queue.Setup(t.Context()); err != nil {
		t.Fatal(err)
	}
	heard(t, output, "mover is ready")
	if now := childOf(t, cmd.Process.Pid); now != pid {
		t.Errorf("it took another child")
	}
}

// A mover that waits ends when it is asked to.
func TestAMoverIsEndedWhileItWaits(t *testing.T) {
	p := newPlace(t)
	p.write(replaceQueue(t, p.config, "nats://127.0.0.1:1", ""))
	cmd, output := p.start()
	heard(t, output, "waiting for the queue")
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(output); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("it ended with %v", err)
		}
	case <-ctx.Done():
		t.Error("it did not end")
	}
}

// A mover whose credentials the queue refuses sends them once: it does not ask the queue to
// tell that.
func TestCredentialsThatAreRefusedAreSentOnce(t *testing.T) {
	p := newPlace(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var sent atomic.Int64
	var served sync.WaitGroup
	served.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, `INFO {"server_id":"X","version":"2.12.0","proto":1,"auth_required":true,"nonce":"abc","max_payload":1048576}`+"\r\n")
			for lines := bufio.NewScanner(c); lines.Scan(); {
				if strings.HasPrefix(lines.Text(), "CONNECT") {
					sent.Add(1)
					_, _ = io.WriteString(c, "-ERR 'Authorization Violation'\r\n")
					break
				}
			}
			_ = c.Close()
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		served.Wait()
	})
	file, err := broker.MoverCreds(t.TempDir(), "proxy-2")
	if err != nil {
		t.Fatal(err)
	}
	p.write(replaceQueue(t, p.config, "nats://"+l.Addr().String(), file))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := program(ctx, "--config", p.config, "--log-level", "error")
	said, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(said), file) || sent.Load() != 1 {
		t.Errorf("%v, %q; sent %d times", err, said, sent.Load())
	}
}

// replaceQueue is a configuration with another queue.
func replaceQueue(t *testing.T, file, url, creds string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^queue: .*$`)
	return line.ReplaceAllString(string(text), `queue: { url: "`+url+`", creds_file: "`+creds+`" }`)
}
