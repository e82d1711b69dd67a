package vddk_test

import (
	"errors"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// The rules of VMware's best practices, and of a C library in a Go process, that
// the binding keeps for its callers; each with what fails when it is not kept. The
// watching library (testdata/dummy.c) ends the process, naming the rule, in scenes
// that do everything at once.
var rules = []struct {
	rule  string
	holds func(*testing.T)
}{
	{"InitEx comes once in a process", refused("twice", "loaded before", "once in a process")},
	{"InitEx comes on the main thread", refused("offmain", "not on the main thread", "runtime.LockOSThread")},
	{"all three log functions are given", watched("")},
	{"a line is formatted where its va_list is", watched(`level=WARN msg="a warning of 3 words"`)},
	{"noise of every start is no warning", watched(`level=DEBUG msg="Get CEIP status failed: nobody asked"`)},
	{"threads that call the library are made after InitEx", watched("")},
	{"ConnectEx, Open, Close and Disconnect come on one thread, one at a time", watched("")},
	{"a handle's calls come on one thread, one at a time", watched("")},
	{"a handle does asynchronous I/O only", watched("")},
	{"at most 32 requests are in flight on a handle", watched("")},
	{"Wait comes before Flush and before Close, and nothing is in flight then", watched("")},
	{"handles are closed before Disconnect", conformsEnd},
	{"a handle is not used after Close, nor closed twice", conformsEnd},
	{"Exit comes at the end", watched("dummy: Exit")},
	{"Exit never comes while a handle is open", hangs},
	{"a call that hangs, of any kind, is given up without a wait, and holds up nobody else", hangs},
	{"a process is started by fork and exec, and nothing else forks", conformsFork},
	{"a buffer stays until the callback, outside Go's heap, aligned", conformsBuffers},
	{"NULL is given only where it is a value", conformsParams},
	{"FreeConnectParams frees what AllocateConnectParams made, and nothing else", watched("")},
	{"callback data are numbers: a completion that comes twice or late finds nobody", watched("")},
	{"a completion may come before ReadAsync returns, and not at all when it returns VIX_OK", watched("")},
	{"the code is in the low 16 bits", watched("")},
	{"libdir is the distribution's root", loadRefuses},
	{"LD_LIBRARY_PATH is set before the start, and gone after loading", TestVersionAndModes},
	{"SIGPIPE of a library's thread ends nothing", brokenPipe},
	{"a handler without SA_ONSTACK is repaired after loading", watched(repaired("window changed", `"loading the library"`))},
	{"a handler without SA_ONSTACK is repaired after InitEx", watched(repaired("user defined signal 2", "InitEx"))},
	{"a handler without SA_ONSTACK is repaired after the first Open", watched(repaired("I/O possible", `"the first Open"`))},
	{"a panic ends the process, and its words are logged", panics},
}

func TestRules(t *testing.T) {
	for _, r := range rules {
		t.Run(strings.ReplaceAll(r.rule, "/", " "), r.holds)
	}
}

// scene is that which all watched rules share: played once.
var scene struct {
	once sync.Once
	out  string
	err  error
}

func watched(line string) func(*testing.T) {
	return func(t *testing.T) {
		scene.once.Do(func() { scene.out, scene.err = play(t, "dummy", dummy(t)) })
		out, err := scene.out, scene.err
		if err != nil || !strings.Contains(out, line) {
			t.Fatalf("%v; want a line with %s in\n%s", err, line, out)
		}
	}
}

func repaired(signal, after string) string {
	return `level=WARN msg="a signal handler without SA_ONSTACK was repaired" signal="` + signal + `" after=` + after
}

// refused plays a scene that must fail to load, with a problem and a remedy.
func refused(scene, problem, remedy string) func(*testing.T) {
	return func(t *testing.T) { checkRefused(t, scene, dummy(t), problem, remedy) }
}

func checkRefused(t *testing.T, scene, libdir, problem, remedy string) {
	t.Helper()
	out, err := play(t, scene, libdir)
	gotProblem, gotRemedy, _ := strings.Cut(out, "remedy:")
	if err == nil || !strings.Contains(gotProblem, problem) || !strings.Contains(gotRemedy, remedy) {
		t.Errorf("%s %q: want %q and the remedy %q, got %v\n%s", scene, libdir, problem, remedy, err, out)
	}
}

func panics(t *testing.T) {
	out, err := play(t, "panic", dummy(t))
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGABRT {
		t.Fatalf("ended with %v\n%s", err, out)
	}
	if !strings.Contains(out, `level=ERROR msg="ASSERT bora/lib/ssl/ssl.c:12"`) {
		t.Errorf("the last words are lost:\n%s", out)
	}
}

func brokenPipe(t *testing.T) {
	if out, err := play(t, "pipe", dummy(t)); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
