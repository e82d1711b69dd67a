package api

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ivdmover/coordinator/news"
	"ivdmover/shared/ivd"
)

// piped are a client and the server that it reaches through pipes, so that time is the
// test's own.
func piped(t *testing.T, h http.Handler) (c *Client, lines func() []string) {
	t.Helper()
	var mu sync.Mutex
	var heard []string
	c, err := NewClient(ClientOptions{Token: "t", News: func(line string) {
		mu.Lock()
		defer mu.Unlock()
		heard = append(heard, line)
	}})
	if err != nil {
		t.Fatal(err)
	}
	l := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
	c.http.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		here, there := net.Pipe()
		select {
		case l.conns <- there:
			return here, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}}
	s := &http.Server{Handler: h}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		c.Close()
		_ = s.Close()
		<-served
	})
	return c, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return heard
	}
}

type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error { close(p.closed); return nil }

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }

// What takes hours is waited for as long as the server is at work, and the client hears
// with what.
func TestAnswerThatTakesHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, lines := piped(t, live(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Hour)
			news.Tell(r.Context(), "delete größe\n%d%%", 37)
			time.Sleep(5 * time.Hour)
			w.Header().Set("X-Said", "yes")
			answer(w, http.StatusOK, Repository{ID: "late"})
		})))
		r, err := c.Repository(t.Context())
		if err != nil || r.ID != "late" {
			t.Fatalf("%+v, %v", r, err)
		}
		heard := lines()
		if len(heard) < 1000 || heard[0] != "at work" || heard[len(heard)-2] != "delete größe\n37%" || heard[len(heard)-1] != "" {
			t.Errorf("%d lines: %q … %q", len(heard), heard[0], heard[len(heard)-2:])
		}
		// One that fails in the end fails as it would have at once.
		c, _ = piped(t, live(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(time.Hour)
			fail(w, &ivd.Error{Kind: ivd.Locked, Err: errors.New("in use"), Remedy: "wait"})
		})))
		if _, err := c.Repository(t.Context()); ivd.KindOf(err) != ivd.Locked || ivd.RemedyOf(err) != "wait" {
			t.Errorf("%v", err)
		}
	})
}

// Nothing is heard of a request that is answered at once, and a handler that says nothing
// has answered all the same.
func TestAnswerAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, lines := piped(t, live(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
		response, err := c.send(t.Context(), http.MethodGet, "/", nil, nil)
		if err != nil || response.StatusCode != http.StatusOK || len(lines()) != 0 {
			t.Errorf("%+v, %v, %q", response, err, lines())
		}
		_ = response.Body.Close()
	})
}

// A server that says nothing any more is given up, before its answer and in the middle of
// it.
func TestSilentServerIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for what, begins := range map[string]bool{"before the answer": false, "in the middle": true} {
			c, _ := piped(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if begins {
					_, _ = w.Write([]byte(`{"id":`))
					_ = http.NewResponseController(w).Flush()
				}
				<-r.Context().Done()
			}))
			began := time.Now()
			_, err := c.Repository(t.Context())
			if ivd.KindOf(err) != ivd.Transient || !strings.Contains(err.Error(), "nothing was heard") || time.Since(began) != silence {
				t.Errorf("%s: after %s: %v", what, time.Since(began), err)
			}
		}
	})
}

// Who does not wait any more has the reason, and the server stops what it does for him.
func TestInterruptedRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stopped := make(chan struct{})
		c, lines := piped(t, live(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			close(stopped)
		})))
		why := errors.New("interrupted")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Hour, func() { cancel(why) })
		if _, err := c.Repository(ctx); !errors.Is(err, why) || lines()[len(lines())-1] != "" {
			t.Errorf("%v, %q", err, lines())
		}
		<-stopped
	})
}

// Only who wants interim responses gets them: other clients take the first response for
// the answer.
func TestInterimResponsesForWhoWantsThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := piped(t, live(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(time.Hour)
			answer(w, http.StatusOK, Repository{ID: "late"})
		})))
		interim := 0
		trace := &httptrace.ClientTrace{Got1xxResponse: func(int, textproto.MIMEHeader) error { interim++; return nil }}
		r, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), http.MethodGet, "http://pipe/", nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := c.http.Do(r)
		if err != nil || response.StatusCode != http.StatusOK || interim != 0 {
			t.Fatalf("%+v, %v, %d interim responses", response, err, interim)
		}
		_ = response.Body.Close()
	})
}

// stuck is the way to a client that takes nothing any more.
type stuck struct {
	http.ResponseWriter
	begun, freed chan struct{}
}

func (s stuck) Header() http.Header { return http.Header{} }

func (s stuck) WriteHeader(int) {
	close(s.begun)
	<-s.freed
}

// What is done for a client does not wait until it has taken the news.
func TestNewsForAClientThatTakesNone(t *testing.T) {
	s := stuck{begun: make(chan struct{}), freed: make(chan struct{})}
	l := &liveWriter{inner: s, header: http.Header{}}
	l.hear("at work")
	var group sync.WaitGroup
	group.Go(l.interim)
	<-s.begun
	told := make(chan struct{})
	group.Go(func() {
		l.hear("further on")
		close(told)
	})
	select {
	case <-told:
	case <-time.After(time.Minute): // it waits for the client, for ever
		t.Error("what is done waits for the client")
	}
	close(s.freed)
	group.Wait()
}
