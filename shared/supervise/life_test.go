package supervise_test

import (
	"context"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"ivdmover/shared/supervise"
)

// A child that is there and does nothing is killed and replaced: stopped as a whole, or
// not at work by its own account.
func TestAChildWithoutASignOfLifeIsReplaced(t *testing.T) {
	for _, role := range []string{"sleeper", "dead"} {
		p := startParent(t, role, "PARENT=listening")
		first := p.childPID()
		if role == "sleeper" {
			if err := syscall.Kill(first, syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
		}
		if next := p.childPID(); next == first {
			t.Errorf("%s: the same child", role)
		}
	}
}

// A child that asks to be relieved goes on, and another works beside it that knows of
// its slots. When the first has ended, one in its place takes over.
func TestAChildIsRelieved(t *testing.T) {
	p := startParent(t, "relieved", "PARENT=relieving")
	number := func(line string) (pid, lost int) {
		t.Helper()
		f := strings.Fields(line)
		pid, err := strconv.Atoi(f[1])
		if err != nil {
			t.Fatal(line)
		}
		lost, err = strconv.Atoi(f[2])
		if err != nil {
			t.Fatal(line)
		}
		return pid, lost
	}
	first, lost := number(p.expect("first "))
	if lost != 0 {
		t.Errorf("the first has lost %d slots", lost)
	}
	second, lost := number(p.expect("beside "))
	if lost != 3 {
		t.Errorf("the second has lost %d slots, want the first's", lost)
	}
	// It is replaced like the first, beside it.
	if err := syscall.Kill(second, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	number(p.expect("beside "))
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	p.expect("beside asked to end")
	if _, lost := number(p.expect("first ")); lost != 0 {
		t.Errorf("after both have ended %d slots are lost", lost)
	}
}

// Both end when the parent is asked to.
func TestARelievedChildEndsToo(t *testing.T) {
	p := startParent(t, "relieved", "PARENT=relieving")
	p.expect("first ")
	p.expect("beside ")
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	one, other := p.expect(""), p.expect("")
	if !strings.HasSuffix(one, "asked to end") || !strings.HasSuffix(other, "asked to end") || one == other {
		t.Errorf("%q, %q", one, other)
	}
	p.expect("parent ended: <nil>")
	p.expectEnd()
}

// lines passes log messages on.
type lines struct {
	slog.Handler
	said chan slog.Record
}

func (l lines) Handle(_ context.Context, r slog.Record) error { l.said <- r; return nil }

// A child that does not die although it was killed is named, its slots are lost to the
// next one, and Run goes on.
func TestAChildThatDoesNotDieIsLeftAlone(t *testing.T) {
	defer supervise.Listen(20*time.Millisecond, 5, func(*os.Process) {})()
	signals := make(chan os.Signal, 2)
	o := options("sleeper", signals)
	log := lines{slog.NewTextHandler(io.Discard, nil), make(chan slog.Record, 100)}
	o.Silence, o.Log = 3*time.Second, slog.New(log)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	o.Stdout = w
	ended := make(chan error, 1)
	go func() { ended <- supervise.Run(t.Context(), o) }()
	await := func(says string) (pid, slots int) {
		t.Helper()
		for r := range log.said {
			r.Attrs(func(a slog.Attr) bool {
				switch a.Key {
				case "pid":
					pid = int(a.Value.Int64())
				case "slots":
					slots = int(a.Value.Int64())
				}
				return true
			})
			if strings.Contains(r.Message, says) {
				return pid, slots
			}
		}
		t.Fatal(says)
		return 0, 0
	}
	first, _ := await("started")
	if _, err := r.Read(make([]byte, 100)); err != nil { // it is up
		t.Fatal(err)
	}
	if err := syscall.Kill(first, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if pid, slots := await("does not die"); pid != first || slots != 2 {
		t.Errorf("named were %d with %d slots, it was %d with 2", pid, slots, first)
	}
	second, _ := await("started")
	if env, err := os.ReadFile("/proc/" + strconv.Itoa(second) + "/environ"); err != nil || !strings.Contains(string(env), "IVD_SLOTS_LOST=2") {
		t.Errorf("the next child does not know of the lost slots: %v", err)
	}
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if pid, _ := await("is dead"); pid != first {
		t.Errorf("dead is %d", pid)
	}
	signals <- syscall.SIGTERM
	if err := <-ended; err != nil {
		t.Error(err)
	}
	w.Close()
}
