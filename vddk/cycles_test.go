package vddk_test

import (
	"bytes"
	"errors"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"

	"ivdmover/vddk"
)

// Ten thousand times opening, reading and closing leave nothing behind: no thread, no descriptor, no
// memory to speak of.
func TestCyclesLeaveNothing(t *testing.T) {
	path, content := sparse(t, 1<<20, 4)
	p := startPort(t, bytes.Clone(content))
	buf := alloc(t, 64<<10)
	cycle := func(params vddk.Params, path string) {
		t.Helper()
		c, err := lib.Connect(t.Context(), params, true, "")
		if err != nil {
			t.Fatal(err)
		}
		h, err := c.Open(t.Context(), path, vddk.ReadOnly)
		if err != nil {
			t.Fatal(err)
		}
		err = h.Read(buf, 0)
		_, queryErr := h.QueryAllocated(0, 2048, 128)
		if err := errors.Join(err, queryErr, h.Close(), c.Disconnect()); err != nil {
			t.Fatal(err)
		}
	}
	many := func(n int) {
		t.Helper()
		for i := range n {
			cycle(vddk.Params{}, path)
			if i%200 == 0 {
				cycle(p.params(), "6f9e")
			}
		}
	}
	many(400)
	threads, files, memory := usage(t)
	many(10_000)
	threads2, files2, memory2 := usage(t)
	if threads2 > threads+2 || files2 > files+4 { // the runtime and the test's own server come and go a little
		t.Errorf("from %d threads and %d files to %d and %d", threads, files, threads2, files2)
	}
	t.Logf("from %d to %d KiB resident", memory, memory2)
	if memory2 > memory+8<<10 {
		t.Errorf("from %d to %d KiB resident", memory, memory2)
	}
}

// usage is the process's threads, open files, and resident memory in KiB.
func usage(t *testing.T) (threads, files, memory int) {
	t.Helper()
	debug.FreeOSMemory() // what Go has not collected yet is nothing left behind
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	value := func(key string) int {
		_, rest, _ := strings.Cut(string(status), key+":")
		n, err := strconv.Atoi(strings.Fields(rest)[0])
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return value("Threads"), len(entries), value("VmRSS")
}
