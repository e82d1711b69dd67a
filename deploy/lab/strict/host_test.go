package strict_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"ivdmover/deploy/lab/script"
	"ivdmover/vddk"
)

// A host has memory for so many sessions' buffers, and for so many connections; a
// closed session gives back what it had. HotAdd takes nothing of it.
func TestHostsAreFull(t *testing.T) {
	w := newWorld(t, mib)
	s := w.snapshot()
	open := func() (*vddk.Handle, error) { return open(t, w.at(s), vddk.ReadOnly, "nbdssl") }
	for _, c := range []struct {
		hosts script.Hosts
		code  uint64
	}{
		{script.Hosts{NFCMemory: 11 * mib}, 2}, // two sessions of 16 times 64 KiB, four times
		{script.Hosts{NFCConnections: 2}, 14009},
	} {
		c.hosts.Proxies = []script.Proxy{{BIOSUUID: self, VM: "lab-vm-3", FreeSlots: 1}}
		must(t, script.WriteHosts(w.dir, c.hosts))
		first, err := open()
		must(t, err)
		second, err := open()
		must(t, err)
		_, err = open()
		wantCode(t, err, c.code)
		direct := mustOpen(t, w.at(s), vddk.ReadOnly, "hotadd")
		must(t, first.Close())
		third, err := open()
		must(t, err)
		must(t, errors.Join(second.Close(), third.Close(), direct.Close()))
	}
}

// Requests take a host's time each, and the session's line all together.
func TestHostsTakeTheirTime(t *testing.T) {
	w := newWorld(t, 4*mib)
	s := w.snapshot()
	h := mustOpen(t, w.at(s), vddk.ReadOnly, "nbdssl")
	read := func(times int) time.Duration {
		start := time.Now()
		var group sync.WaitGroup
		for range times {
			group.Go(func() {
				b := vddk.Alloc(256 << 10)
				defer b.Free()
				if err := h.Read(b.Bytes(), 0); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		return time.Since(start)
	}
	must(t, script.WriteHosts(w.dir, script.Hosts{Latency: script.Duration(100 * time.Millisecond)}))
	if d := read(1); d < 100*time.Millisecond {
		t.Errorf("one read took %v", d)
	}
	must(t, script.WriteHosts(w.dir, script.Hosts{Bandwidth: 4 * mib}))
	if d := read(4); d < 240*time.Millisecond {
		t.Errorf("a MiB took %v of a line of 4 MiB/s", d)
	}
	must(t, script.WriteHosts(w.dir, script.Hosts{}))
}
