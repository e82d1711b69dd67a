package supervise_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"ivdmover/shared/supervise"
)

const role = "SUPERVISE_TEST_ROLE"

// The test binary plays the parent and its child as well.
func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "":
		os.Exit(m.Run())
	case "parent":
		playParent()
	case "child":
		playChild(true)
	case "stubborn":
		playChild(false)
	case "deaf": // it never listens for signals
		if err := supervise.Bind(func() { os.Exit(9) }); err != nil {
			os.Exit(supervise.ExitFinal)
		}
		fmt.Println("child", os.Getpid(), os.Getenv("MARK"))
		select {}
	case "worn": // it asks to be replaced, until the file says that it was
		if os.Remove(os.Getenv("WORN")) == nil {
			os.Exit(supervise.ExitReplace)
		}
	case "final":
		os.Exit(supervise.ExitFinal)
	case "done":
		os.Exit(0)
	case "broken":
		os.Exit(1)
	case "sleeper": // it gives signs of life until it stands still
		speak()
		signals := make(chan os.Signal, 1)
		signal.Notify(signals, syscall.SIGTERM)
		fmt.Println("child", os.Getpid(), os.Getenv("MARK"))
		<-signals
	case "dead": // the same, but for its own sign: it does nothing any more
		if err := supervise.Bind(func() { os.Exit(9) }); err != nil {
			os.Exit(supervise.ExitFinal)
		}
		fmt.Println("child", os.Getpid(), os.Getenv("MARK"))
		lives := true
		supervise.Speak().Live(func() (int, bool) {
			defer func() { lives = false }()
			return 1, lives
		}, nil)
	case "relieved": // it asks for another beside it, and goes on itself
		if err := supervise.Bind(func() { os.Exit(9) }); err != nil {
			os.Exit(supervise.ExitFinal)
		}
		signals := make(chan os.Signal, 1)
		signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
		relieve := make(chan struct{})
		who := "first"
		if len(os.Args) > 1 {
			who = os.Args[1]
		}
		fmt.Println(who, os.Getpid(), supervise.LostSlots())
		if who == "first" {
			close(relieve)
		}
		go supervise.Speak().Live(func() (int, bool) { return 3, true }, relieve)
		<-signals
		fmt.Println(who, "asked to end")
	case "orphan": // it says when its parent's death asks it to end
		signals := make(chan os.Signal, 1)
		signal.Notify(signals, syscall.SIGTERM)
		fmt.Println("child", os.Getpid(), os.Getenv("MARK"))
		<-signals
		fmt.Println("child asked to end")
	case "unbound":
		if err := supervise.Bind(func() {}); err != nil {
			fmt.Println(err)
		}
	}
}

func playParent() {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM)
	o := options(os.Getenv("CHILD_ROLE"), signals)
	ctx := context.Background()
	switch os.Getenv("PARENT") {
	case "graceful": // the end of a context asks, and the child has little time
		o.Signals, o.Grace = nil, 20*time.Millisecond
		var stop context.CancelFunc
		ctx, stop = signal.NotifyContext(ctx, syscall.SIGTERM)
		defer stop()
	case "listening": // it looks often
		supervise.Listen(20*time.Millisecond, 50, func(p *os.Process) { _ = p.Kill() })
		o.Silence = 3 * time.Second
	case "relieving":
		o.Beside = []string{"beside"}
	case "gentle": // a child outlives it for as long as it takes to end in order
		o.Orphaned = syscall.SIGTERM
	}
	err := supervise.Run(ctx, o)
	fmt.Println("parent ended:", err)
}

// speak gives signs of life, and returns when the first has been given for sure.
func speak() {
	if err := supervise.Bind(func() { os.Exit(9) }); err != nil {
		os.Exit(supervise.ExitFinal)
	}
	asked := make(chan struct{}, 1)
	go supervise.Speak().Live(func() (int, bool) {
		asked <- struct{}{}
		return 2, true
	}, nil)
	<-asked
	<-asked // for the second
	go func() {
		for range asked {
		}
	}()
}

// playChild says its number, then waits for its end.
func playChild(polite bool) {
	if err := supervise.Bind(func() { os.Exit(9) }); err != nil {
		fmt.Println(err)
		os.Exit(supervise.ExitFinal)
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM)
	fmt.Println("child", os.Getpid(), os.Getenv("MARK"))
	for {
		<-signals
		fmt.Println("child asked to end")
		if polite {
			os.Exit(0)
		}
	}
}

func options(child string, signals chan os.Signal) supervise.Options {
	return supervise.Options{
		Path: os.Args[0], Env: append(os.Environ(), role+"="+child, "MARK=there", "GORACE=atexit_sleep_ms=0"), Stdout: os.Stdout,
		Signals: signals, FirstWait: 10 * time.Millisecond,
	}
}

// process is a parent whose output, and its children's, is read line by line; the
// output ends when the last of them is gone.
type process struct {
	t   *testing.T
	cmd *exec.Cmd
	out *bufio.Reader
}

func startParent(t *testing.T, child string, env ...string) *process {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), role+"=parent", "CHILD_ROLE="+child), env...)
	cmd.Stdout, cmd.Stderr = w, os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait(); r.Close() })
	if err := r.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return &process{t, cmd, bufio.NewReader(r)}
}

func (p *process) expect(prefix string) string {
	p.t.Helper()
	line, err := p.out.ReadString('\n')
	if err != nil || !strings.HasPrefix(line, prefix) {
		p.t.Fatalf("read %q, %v: want a line %q", line, err, prefix)
	}
	return strings.TrimSpace(line)
}

func (p *process) childPID() int {
	p.t.Helper()
	line := p.expect("child ")
	f := strings.Fields(line)
	pid, err := strconv.Atoi(f[1])
	if err != nil || len(f) != 3 || f[2] != "there" {
		p.t.Fatalf("child's line %q", line)
	}
	return pid
}

func (p *process) expectEnd() {
	p.t.Helper()
	if rest, err := io.ReadAll(p.out); err != nil || len(rest) > 0 {
		p.t.Fatalf("after the end: %q, %v", rest, err)
	}
}

func TestKilledChildIsReplaced(t *testing.T) {
	p := startParent(t, "child")
	first := p.childPID()
	for range 3 {
		syscall.Kill(first, syscall.SIGKILL)
		next := p.childPID()
		if next == first {
			t.Fatal("the same child")
		}
		first = next
	}
	p.cmd.Process.Signal(syscall.SIGTERM)
	p.expect("child asked to end")
	p.expect("parent ended: <nil>")
	p.expectEnd()
}

func TestAChildThatDoesNotListenYetEndsInOrder(t *testing.T) {
	p := startParent(t, "deaf")
	p.childPID()
	p.cmd.Process.Signal(syscall.SIGTERM)
	p.expect("parent ended: <nil>")
	p.expectEnd()
}

func TestKilledParentTakesItsChildAlong(t *testing.T) {
	p := startParent(t, "stubborn")
	p.childPID()
	p.cmd.Process.Kill()
	p.expectEnd()
}

func TestSecondSignalEndsAtOnce(t *testing.T) {
	p := startParent(t, "stubborn")
	p.childPID()
	p.cmd.Process.Signal(syscall.SIGTERM)
	p.expect("child asked to end")
	p.cmd.Process.Signal(syscall.SIGTERM)
	p.expect("parent ended: " + supervise.ErrForced.Error())
	p.expectEnd()
}

// The end of the context asks the child once, and kills it when its time is up.
func TestAChildThatDoesNotEndInTimeIsKilled(t *testing.T) {
	p := startParent(t, "stubborn", "PARENT=graceful")
	p.childPID()
	p.cmd.Process.Signal(syscall.SIGTERM)
	p.expect("child asked to end")
	p.expect("parent ended: " + supervise.ErrForced.Error())
	p.expectEnd()
}

// The kernel sends a child the signal that its parent chose for the case of its death.
func TestAChildMayOutliveItsParentToEndInOrder(t *testing.T) {
	p := startParent(t, "orphan", "PARENT=gentle")
	p.childPID()
	p.cmd.Process.Kill()
	p.expect("child asked to end")
	p.expectEnd()
}

func TestEndOfThePipeEndsTheChild(t *testing.T) {
	// Without the kernel's signal: the pipe alone.
	theirs, ours, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), role+"=stubborn", "MARK=there")
	cmd.ExtraFiles = []*os.File{theirs}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	ours.Close()
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 9 {
		t.Fatalf("the child ended with %v", err)
	}
}

func TestFinalStatusIsNotRestarted(t *testing.T) {
	if err := supervise.Run(t.Context(), options("final", nil)); !errors.Is(err, supervise.ErrFinal) {
		t.Fatalf("err = %v", err)
	}
}

func TestMissingProgramIsAnError(t *testing.T) {
	o := options("final", nil)
	o.Path = filepath.Join(t.TempDir(), "none")
	if err := supervise.Run(t.Context(), o); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("err = %v", err)
	}
}

func TestBindRefusesStrangers(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), role+"=unbound")
	out, err := cmd.Output()
	if err != nil || !strings.Contains(string(out), "supervisor") {
		t.Fatalf("%q, %v", out, err)
	}
}

func TestAChildThatAsksForItIsReplaced(t *testing.T) {
	file := filepath.Join(t.TempDir(), "worn")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("WORN", file)
	for _, healthy := range []time.Duration{time.Nanosecond, time.Hour} { // at once, and with a wait
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		o := options("worn", nil)
		o.Healthy = healthy
		if err := supervise.Run(t.Context(), o); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(file); err == nil {
			t.Error("it was never started")
		}
	}
}

// waits collects how long Run waits before each replacement, and ends it after some.
type waits struct {
	slog.Handler
	end   context.CancelFunc
	left  int
	found []time.Duration
}

func (w *waits) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "in" {
			w.found = append(w.found, a.Value.Duration())
			if w.left--; w.left == 0 {
				w.end()
			}
		}
		return true
	})
	return nil
}

// collectWaits runs o until it has waited n times.
func collectWaits(t *testing.T, n int, o supervise.Options) []time.Duration {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w := &waits{Handler: slog.NewTextHandler(io.Discard, nil), end: cancel, left: n}
	o.Log = slog.New(w)
	if err := supervise.Run(ctx, o); err != nil {
		t.Fatal(err)
	}
	return w.found
}

// Waits double up to the longest one, and start anew after a child that lived long.
func TestWaitsGrowAndAreReset(t *testing.T) {
	o := options("broken", nil)
	o.FirstWait, o.LastWait, o.Healthy = time.Millisecond, 4*time.Millisecond, time.Hour
	if got, want := collectWaits(t, 4, o), []time.Duration{1e6, 2e6, 4e6, 4e6}; !slices.Equal(got, want) {
		t.Errorf("children that die at once: waits %v, want %v", got, want)
	}
	o.Healthy = time.Nanosecond
	if got, want := collectWaits(t, 3, o), []time.Duration{1e6, 1e6, 1e6}; !slices.Equal(got, want) {
		t.Errorf("children that lived long: waits %v, want %v", got, want)
	}
}

// What is always wanted is replaced however it ended, or did not even start.
func TestAlwaysReplaces(t *testing.T) {
	for name, spoil := range map[string]func(*supervise.Options){
		"status 0":     func(*supervise.Options) {},
		"final status": func(o *supervise.Options) { o.Env = append(o.Env, role+"=final") },
		"not there":    func(o *supervise.Options) { o.Path = filepath.Join(t.TempDir(), "none") },
	} {
		o := options("done", nil)
		o.FirstWait, o.Always = time.Millisecond, true
		spoil(&o)
		if got := collectWaits(t, 2, o); len(got) != 2 {
			t.Errorf("%s: waits %v", name, got)
		}
	}
	if err := supervise.Run(t.Context(), options("done", nil)); err != nil {
		t.Errorf("without Always, status 0 is the end: %v", err)
	}
}

// A signal between two children ends Run at once.
func TestSignalDuringAWait(t *testing.T) {
	signals := make(chan os.Signal, 1)
	o := options("broken", signals)
	o.FirstWait = time.Hour
	w := &waits{Handler: slog.NewTextHandler(io.Discard, nil), end: func() { signals <- syscall.SIGTERM }, left: 1}
	o.Log = slog.New(w)
	if err := supervise.Run(t.Context(), o); err != nil || len(w.found) != 1 {
		t.Errorf("%v, waits %v", err, w.found)
	}
}
