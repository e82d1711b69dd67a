package strict_test

import (
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"ivdmover/deploy/lab/script"
	"ivdmover/vddk"
)

func read(h *vddk.Handle) error {
	b := vddk.Alloc(4096)
	defer b.Free()
	return h.Read(b.Bytes(), 0)
}

// Calls end as the script says, from the n-th on, so many times, by disk and mode.
func TestScriptOfCodes(t *testing.T) {
	w := newWorld(t, mib)
	w.proxy(1)
	s := w.snapshot()
	h := mustOpen(t, w.at(s), vddk.ReadOnly, "nbdssl")
	must(t, script.WriteFaults(w.dir,
		script.Fault{Call: "ReadAsync", Nth: 2, Times: 2, Do: script.Code(14011)},
		script.Fault{Call: "ReadAsync", Disk: "0badc0de-0000-4000-8000-000000000000", Times: script.Always, Do: script.Abort},
		script.Fault{Call: "QueryAllocatedBlocks", Disk: strings.ToUpper(string(w.disk.ID())), Do: script.Code(14014)},
		script.Fault{Call: "Open", Mode: "hotadd", Times: script.Always, Do: script.Code(13)},
		script.Fault{Call: "Open", Nth: 2, Do: script.Code(14009)},
		script.Fault{Call: "Cleanup", Shared: true, Nth: 2, Do: script.Code(3014)},
	))
	for i, code := range []uint64{0, 14011, 14011, 0, 0} {
		if err := read(h); code != 0 {
			wantCode(t, err, code)
		} else if err != nil {
			t.Fatalf("read %d: %v", i, err)
		}
	}
	_, err := h.QueryAllocated(0, 2048, 128)
	wantCode(t, err, 14014)
	_, err = h.QueryAllocated(0, 2048, 128)
	must(t, err)
	if other := mustOpen(t, w.at(s), vddk.ReadOnly, "hotadd:nbdssl"); other.Transport() != "nbdssl" {
		t.Fatal(other.Transport())
	}
	_, err = open(t, w.at(s), vddk.ReadOnly, "nbdssl")
	wantCode(t, err, 14009)
	_, err = open(t, w.at(s), vddk.ReadOnly, "hotadd")
	wantCode(t, err, 13)
	for _, code := range []uint64{0, 3014, 0} {
		if _, _, err := lib.Cleanup(t.Context(), w.at(s)); code != 0 {
			wantCode(t, err, code)
		} else {
			must(t, err)
		}
	}
	must(t, script.WriteFaults(w.dir))
	mustOpen(t, w.at(s), vddk.ReadOnly, "hotadd")
}

// A delay is the request's, not the handle's; a hang never ends, and the others do.
func TestScriptOfTime(t *testing.T) {
	w := newWorld(t, mib)
	s := w.snapshot()
	h := mustOpen(t, w.at(s), vddk.ReadOnly, "nbdssl")
	must(t, script.WriteFaults(w.dir, script.Fault{Call: "ReadAsync", Do: script.Delay(200 * time.Millisecond)}))
	start := time.Now()
	must(t, read(h))
	if d := time.Since(start); d < 200*time.Millisecond {
		t.Fatalf("the read took %v", d)
	}
	c, err := lib.Connect(t.Context(), w.at(s), true, "nbdssl")
	must(t, err)
	lost, err := c.Open(t.Context(), "", vddk.ReadOnly) // never closed: it waits for what hangs
	must(t, err)
	must(t, script.WriteFaults(w.dir, script.Fault{Call: "ReadAsync", Shared: true, Do: script.Hang}))
	ended := make(chan error, 1)
	go func() { ended <- read(lost) }()
	for !exists(filepath.Join(w.dir, "faults.count")) { // the one that hangs comes first
		runtime.Gosched()
	}
	for range 20 {
		must(t, read(h))
	}
	select {
	case err := <-ended:
		t.Fatalf("what hangs has ended: %v", err)
	default:
	}
}

// A panic and an abort end the process; a shared rule spares the next one.
func TestScriptOfDeath(t *testing.T) {
	w := newWorld(t, mib)
	s := w.snapshot()
	text := lines(w.login.Server, w.login.Port, w.login.Thumbprint, w.login.User, w.login.Cookie, w.disk.ID(), w.disk.Datastore(), s)
	for _, c := range []struct {
		do     string
		shared bool
		dies   []bool
	}{{script.Panic, false, []bool{true, true}}, {script.Abort, true, []bool{true, false}}} {
		must(t, script.WriteFaults(w.dir, script.Fault{Call: "ReadAsync", Shared: c.shared, Do: c.do}))
		for _, dies := range c.dies {
			cmd := again("read", t.TempDir())
			cmd.Env = append(cmd.Env, "IVD_STRICT_PARAMS="+text, "GOTRACEBACK=none")
			out, err := cmd.CombinedOutput()
			status, _ := cmd.ProcessState.Sys().(syscall.WaitStatus)
			if died := status.Signal() == syscall.SIGABRT || cmd.ProcessState.ExitCode() == 2; died != dies || !dies && err != nil {
				t.Fatalf("%s: %v\n%s", c.do, err, out)
			}
		}
	}
}
