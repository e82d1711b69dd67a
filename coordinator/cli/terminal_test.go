package cli_test

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"ivdmover/coordinator/api"
	"ivdmover/coordinator/cli/termtest"
)

// onTerminal runs the binary as a shell on a terminal does; its standard output goes
// elsewhere. The shell keeps the terminal until finish is called, which waits for the
// binary's end and gives its exit code.
func onTerminal(t *testing.T, args ...string) (term *termtest.Terminal, out *bytes.Buffer, finish func() int) {
	t.Helper()
	term, out = termtest.Open(t, 80, 24), &bytes.Buffer{}
	cmd := exec.CommandContext(t.Context(), "/bin/sh", append([]string{"-c", `trap : INT; "$0" "$@"; code=$?; exec 3>&-; read line; exit $code`, program}, args...)...)
	ended, ends, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ended.Close() })
	cmd.ExtraFiles = []*os.File{ends}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = term.File, out, term.File
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	err = cmd.Start()
	_ = ends.Close()
	if err != nil {
		t.Fatal(err)
	}
	return term, out, func() int {
		t.Helper()
		if err := ended.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(ended); err != nil { // until the binary has ended, and the shell has closed it
			t.Fatalf("the binary does not end, and the terminal shows %q", term.Screen())
		}
		term.Settle()
		term.Type("\n")
		_ = cmd.Wait() // its exit code says it
		return cmd.ProcessState.ExitCode()
	}
}

// Ctrl-C takes the bars away and leaves a terminal on which only the message stands.
func TestCtrlCTakesTheBarsAway(t *testing.T) {
	url := serve(t, estate())
	term, out, finish := onTerminal(t, "backup", "--all", "--wait", "--server", url)
	term.Await("bar", func(s string) bool {
		return strings.HasPrefix(s, "data-01            [==== ") && strings.Contains(s, "\n0 of 2 disks ended")
	})
	term.Type("\x03")
	want := "ivd: no longer waiting; run " + string(runA) + " goes on; follow it with `ivd run show " + string(runA) + " --follow`, end it with `ivd run cancel " + string(runA) + "`"
	term.Await("message alone", func(s string) bool { return unwrapped(s) == strings.ReplaceAll(want, " ", "") })
	if code := finish(); code != 1 || out.Len() > 0 {
		t.Errorf("exit code %d, out %q", code, out)
	}
}

// With JSON, bars are shown as ever, and standard output has the JSON alone.
func TestBarsBesideJSON(t *testing.T) {
	rooms := estate()
	url := serve(t, rooms)
	term, out, finish := onTerminal(t, "backup", "--all", "--wait", "-o", "json", "--server", url)
	term.Await("bar", func(s string) bool { return strings.HasPrefix(s, "data-01            [==== ") })
	rooms.Put(backup(api.Done))
	term.Await("end", func(s string) bool {
		return strings.HasPrefix(s, "data-01: done in 1m05s, 155 MiB of 40.0 GiB read, 115 MiB stored\n") && strings.Count(s, "\n") == 2
	})
	code := finish()
	var v api.RunDetail
	if err := json.Unmarshal(out.Bytes(), &v); code != 0 || err != nil || v.State != api.Done {
		t.Errorf("exit code %d, %v: %s", code, err, out)
	}
}

// unwrapped is what a screen says, without spaces and the ends of its lines.
func unwrapped(screen string) string {
	return strings.NewReplacer("\n", "", " ", "").Replace(screen)
}
