package s3

import (
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// TestClockAhead: a signed request of a host whose clock is ahead lives no longer
// than was meant, by the store's clock.
func TestClockAhead(t *testing.T) {
	now := time.Date(2026, 11, 24, 23, 15, 0, 0, time.UTC)
	for _, c := range []struct {
		name  string
		ahead []time.Duration // what answers made it look
		want  time.Duration
	}{
		{"nothing known", nil, 15 * time.Minute},
		{"cut seconds", []time.Duration{990 * time.Millisecond}, 15 * time.Minute},
		{"behind", []time.Duration{-5 * time.Minute}, 15 * time.Minute},
		{"ahead", []time.Duration{2*time.Minute + 700*time.Millisecond, 2*time.Minute + 100*time.Millisecond, 2*time.Minute + 30*time.Second}, 13*time.Minute - 100*time.Millisecond},
		{"one slow answer", []time.Duration{0, 40 * time.Second}, 15 * time.Minute},
		{"set meanwhile", []time.Duration{0, 10 * time.Minute}, 5 * time.Minute},
		{"set back meanwhile", []time.Duration{10 * time.Minute, 0}, 15 * time.Minute},
	} {
		k := &clock{}
		for _, a := range c.ahead {
			k.saw(now, now.Add(a))
		}
		if got := k.shorten(15 * time.Minute); got != c.want {
			t.Errorf("%s: lives %s, want %s", c.name, got, c.want)
		}
	}
}

// TestStall: a service that takes a request and says nothing is given up.
func TestStall(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(io.Discard, c) }() // reads for ever
		}
	}()
	transport, err := newTransport("", 50*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	defer transport.CloseIdleConnections()
	start := time.Now()
	resp, err := (&http.Client{Transport: transport}).Get("http://" + l.Addr().String())
	if err == nil {
		resp.Body.Close()
		t.Fatal("an answer")
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("given up after %s", took)
	}
}
