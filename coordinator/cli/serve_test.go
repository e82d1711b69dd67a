package cli_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Two coordinators on one state folder: the second says so and ends; an interrupt
// ends the first one cleanly. The laboratory prints its one line of JSON.
func TestServeBinary(t *testing.T) {
	dir := t.TempDir()
	l := start(t, "lab", "--dir", filepath.Join(dir, "lab"), "--disks", "2", "--disk-size", "1MiB")
	var ready struct{ URL, Username, Password, Thumbprint string }
	if err := json.Unmarshal([]byte(l.line(t)), &ready); err != nil || ready.URL == "" {
		t.Fatalf("%+v, %v", ready, err)
	}
	config := write(t, "ivd.yaml", fmt.Sprintf(`
vcenters: [{ name: lab, url: %q, username: %q, password_file: %q, thumbprint: %q }]
repository: { url: "dir://%s" }
api: { listen: "127.0.0.1:0" }
state_dir: %q
`, ready.URL, ready.Username, write(t, "password", ready.Password), ready.Thumbprint, dir, filepath.Join(dir, "state")))
	if code, _, errs := ivdBinary(t, "repo", "init", "--config", config); code != 0 {
		t.Fatal(errs)
	}
	first := start(t, "serve", "--config", config, "--log-format", "json")
	var log struct{ Msg, API string }
	for log.Msg != "the coordinator is ready" {
		if err := json.Unmarshal([]byte(first.errLine(t)), &log); err != nil {
			t.Fatal(err)
		}
	}
	code, out, errs := ivdBinary(t, "disks", "--server", log.API)
	if code != 0 || strings.Count(out, "\n") != 3 {
		t.Errorf("disks: %d %s %s", code, out, errs)
	}
	code, _, errs = ivdBinary(t, "serve", "--config", config)
	if want := "ivd: state folder " + filepath.Join(dir, "state") + ": another `ivd serve` uses it; end that one, or set another state_dir\n"; code != 1 || errs != want {
		t.Errorf("a second coordinator: %d %q", code, errs)
	}
	first.signal(t, os.Interrupt)
	if code, errs := first.wait(t); code != 0 || strings.Contains(errs, "ivd: ") {
		t.Errorf("an interrupted coordinator: %d %s", code, errs)
	}
	code, _, errs = ivdBinary(t, "disks", "--server", log.API)
	if code != 1 || !strings.Contains(errs, "is `ivd serve` running?") {
		t.Errorf("disks without it: %d %s", code, errs)
	}
	l.signal(t, os.Interrupt)
	if code, errs := l.wait(t); code != 0 || errs != "" {
		t.Errorf("an interrupted laboratory: %d %s", code, errs)
	}
}
