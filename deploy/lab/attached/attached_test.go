package attached

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func mark(t *testing.T, dir, name, mode string, pid int, start string) {
	t.Helper()
	path := filepath.Join(dir, name)
	text := fmt.Sprintf("disk=AB-1\nsnapshot=s\nmode=%s\nwrite=1\npid=%d\nstart=%s\ntmp=/t\n", mode, pid, start)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// What was hot-added stays when its process dies; what was open over SAN does not,
// and a process is more than its number.
func TestList(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a [strange] name")
	if list := List(dir); len(list) != 0 {
		t.Fatalf("of nothing: %v", list)
	}
	stat, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		t.Fatal(err)
	}
	begun := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))[19]
	mark(t, dir, "hotadd/uuid/0", "hotadd", 1<<30, "1")
	mark(t, dir, "hotadd/uuid/.new", "hotadd", 1<<30, "1")
	mark(t, dir, "hotadd/lock", "hotadd", 1<<30, "1")
	mark(t, dir, "san/0", "san", 1<<30, "1")
	mark(t, dir, "san/1", "san", os.Getpid(), begun)
	mark(t, dir, "san/2", "san", os.Getpid(), "1")
	var places []string
	for _, d := range List(dir) {
		places = append(places, d.Place)
		if d.ID != "ab-1" || d.Snapshot != "s" || !d.Write {
			t.Errorf("%+v", d)
		}
	}
	if got := strings.Join(places, " "); got != "hotadd/uuid/0 san/1" {
		t.Errorf("attached: %s", got)
	}
}
