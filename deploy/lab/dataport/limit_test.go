package dataport

import (
	"testing"
	"time"

	"ivdmover/deploy/lab/script"
)

func TestLimits(t *testing.T) {
	var l limits
	h := script.Hosts{NFCMemory: 48 << 20, NFCConnections: 20}
	for i := range 12 { // as many sessions of 16 x 4 buffers as a host of 6.x or 7.0 has memory for
		if err := l.take(h, 4<<20); err != nil {
			t.Fatalf("session %d: %v", i, err)
		}
	}
	if err := l.take(h, 4<<20); codeOf(err) != noMemory || err.Error() != "Failed to allocate the requested 4194304 bytes" {
		t.Fatal(err)
	}
	l.give(4 << 20)
	if err := l.take(h, 4<<20); err != nil {
		t.Fatal(err)
	}
	h.NFCConnections = 12
	if err := l.take(h, 0); codeOf(err) != connRefused {
		t.Fatal(err)
	}
	if err := l.take(script.Hosts{}, 1<<40); err != nil {
		t.Fatal(err)
	}
}

func TestPace(t *testing.T) {
	var x pace
	start := time.Unix(1000, 0)
	h := script.Hosts{Latency: script.Duration(2 * time.Millisecond)}
	for range 3 { // requests wait for the latency side by side
		if got := x.until(start, h, 1<<20).Sub(start); got != 2*time.Millisecond {
			t.Fatal(got)
		}
	}
	h.Bandwidth = 100 << 20
	for i, want := range []time.Duration{10, 20, 30} { // and for the line one after another
		if got := x.until(start, h, 1<<20).Sub(start); got != want*time.Millisecond {
			t.Fatalf("request %d: %v", i, got)
		}
	}
	later := start.Add(time.Second)
	if got := x.until(later, h, 1<<10).Sub(later); got != 2*time.Millisecond {
		t.Fatalf("after a rest: %v", got)
	}
}
