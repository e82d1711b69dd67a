package serve_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ivdmover/coordinator/api"
	"ivdmover/coordinator/broker"
	"ivdmover/coordinator/serve"
	"ivdmover/shared/config"
	"ivdmover/shared/ivd"
	"ivdmover/shared/pause"
)

// said keeps what a coordinator logs.
type said struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *said) has(text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Contains(s.text.String(), text)
}

// early is a coordinator that was started before something that it needs.
type early struct {
	*testing.T
	said  said
	ready chan struct{}
	ended chan error
	stop  context.CancelFunc
}

func startEarly(t *testing.T, cfg *config.Config) *early {
	t.Helper()
	e := &early{T: t, ready: make(chan struct{}), ended: make(chan error, 1)}
	ctx, stop := context.WithCancel(t.Context())
	e.stop = stop
	o := serve.Options{Log: slog.New(slog.NewTextHandler(&e.said, nil)), Ready: func(string) { close(e.ready) }}
	go func() { e.ended <- serve.Run(ctx, cfg, o) }()
	t.Cleanup(func() {
		stop()
		<-e.ended
	})
	return e
}

// waits waits until it says that it waits for something.
func (e *early) waits(what string) {
	e.Helper()
	e.says("waiting for " + what)
}

// says waits until its log has a text.
func (e *early) says(text string) {
	e.Helper()
	ctx, cancel := context.WithTimeout(e.Context(), time.Minute)
	defer cancel()
	for !e.said.has(text) {
		select {
		case err := <-e.ended:
			e.ended <- err
			e.Fatalf("it has ended, and never said %q: %v", text, err)
		default:
		}
		if pause.For(ctx, 20*time.Millisecond) != nil {
			e.Fatalf("it never said %q: %s", text, e.said.text.String())
		}
	}
}

// serves waits until it is ready, and ends it.
func (e *early) serves() {
	e.Helper()
	select {
	case <-e.ready:
	case err := <-e.ended:
		e.ended <- err
		e.Fatalf("it has ended: %v", err)
	case <-time.After(2 * time.Minute):
		e.Fatalf("it is not ready: %s", e.said.text.String())
	}
	e.stop()
	err := <-e.ended
	e.ended <- err
	if err != nil {
		e.Error(err)
	}
}

// answersThatItWaits asks the API, which says for what it waits, and that it is not
// ready.
func (e *early) answersThatItWaits(cfg *config.Config, what string) {
	e.Helper()
	c, err := api.NewClient(api.ClientOptions{Server: "http://" + cfg.API.Listen, TokenFile: serve.TokenFile(cfg.StateDir)})
	if err != nil {
		e.Fatal(err)
	}
	defer c.Close()
	_, runs := c.Runs(e.Context())
	_, health := c.Health(e.Context())
	for _, err := range []error{runs, health} {
		if ivd.KindOf(err) != ivd.Transient || !strings.Contains(err.Error(), "is starting, and waits for "+what+": ") || ivd.RemedyOf(err) == "" {
			e.Errorf("%v (%s)", err, ivd.RemedyOf(err))
		}
	}
}

// freePort is one where nothing listens yet.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestQueueThatStartsLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	addr, dir := freePort(t), t.TempDir()
	cfg := w.config(t, "")
	cfg.Queue.URL, cfg.Queue.CredsFile = "nats://"+addr, filepath.Join(dir, "coordinator.creds")
	s, err := broker.Start(t.Context(), broker.Options{Dir: dir, Listen: addr}) // makes the credentials
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	cfg.API.Listen = freePort(t)
	e := startEarly(t, cfg)
	e.waits("the queue")
	e.answersThatItWaits(cfg, "the queue")
	if s, err = broker.Start(t.Context(), broker.Options{Dir: dir, Listen: addr}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	e.serves()
}

func TestVCenterThatStartsLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cfg := w.config(t, "")
	u, err := url.Parse(cfg.VCenters[0].URL)
	if err != nil {
		t.Fatal(err)
	}
	target, addr := u.Host, freePort(t)
	u.Host = addr
	cfg.VCenters[0].URL = u.String()
	cfg.API.Listen = freePort(t)
	e := startEarly(t, cfg)
	e.waits("vCenter lab")
	e.answersThatItWaits(cfg, "vCenter lab")
	forward(t, addr, target)
	e.serves()
}

// forward carries connections to another address.
func forward(t *testing.T, from, to string) {
	t.Helper()
	l, err := net.Listen("tcp", from)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	t.Cleanup(func() { _ = l.Close(); all.Wait() })
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			d, err := net.Dial("tcp", to)
			if err != nil {
				_ = c.Close()
				continue
			}
			for _, way := range [2][2]net.Conn{{c, d}, {d, c}} {
				all.Go(func() {
					_, _ = io.Copy(way[0], way[1])
					_, _ = c.Close(), d.Close()
				})
			}
		}
	})
}

// A store that asks for time is waited for; that there is no such bucket is an answer.
func TestStoreThatAsksForTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var answers atomic.Bool
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		code, status := "SlowDown", http.StatusServiceUnavailable
		if answers.Load() {
			code, status = "NoSuchBucket", http.StatusNotFound
		}
		rw.Header().Set("Content-Type", "application/xml")
		rw.WriteHeader(status)
		_, _ = io.WriteString(rw, `<?xml version="1.0"?><Error><Code>`+code+`</Code><Message>x</Message><BucketName>b</BucketName></Error>`)
	}))
	t.Cleanup(srv.Close)
	cfg := w.config(t, "")
	w.write(t, "key", "k\n")
	key := filepath.Join(w.dir, "key")
	cfg.Repository.URL, cfg.Repository.Endpoint, cfg.Repository.PathStyle = "s3://bucket/p", srv.URL, new(true)
	cfg.Repository.AccessKeyFile, cfg.Repository.SecretKeyFile, cfg.Repository.Region = key, key, "us-east-1"
	e := startEarly(t, cfg)
	e.waits("the repository")
	answers.Store(true)
	err := <-e.ended
	e.ended <- err
	if ivd.KindOf(err) != ivd.Unmet || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("%v (%s), not that there is no such bucket", err, ivd.KindOf(err))
	}
}

// A coordinator that waits ends when it is asked to, which is no error.
func TestEndWhileItWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cfg := w.config(t, "")
	cfg.Queue.URL = "nats://" + freePort(t)
	e := startEarly(t, cfg)
	e.waits("the queue")
	e.stop()
	err := <-e.ended
	e.ended <- err
	if err != nil {
		t.Errorf("%v", err)
	}
}
