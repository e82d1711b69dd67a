// Package attached tells which disks of a laboratory are devices of proxies: what
// the laboratory's library has attached over HotAdd or opened over SAN, beside the
// data port. The library writes a file for each, below hotadd and san of the
// laboratory's folder.
//
// A disk that was hot-added stays attached when its process dies, until the
// library's Cleanup takes it away; what was open over SAN ends with its process.
// The package only reads.
package attached

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"ivdmover/shared/ivd"
)

// Disk is a disk, or a snapshot of it, that a proxy holds.
type Disk struct {
	ID       ivd.DiskID
	Snapshot ivd.SnapshotID // empty: the present content
	Mode     string         // hotadd or san
	Write    bool
	PID      int
	Place    string // of the file, below the laboratory's folder
}

// List reads what is attached now.
func List(dir string) []Disk {
	var list []Disk
	for _, pattern := range []string{"hotadd/*/[0-9]*", "san/[0-9]*"} {
		names, err := filepath.Glob(filepath.Join(escape(dir), pattern))
		if err != nil {
			continue
		}
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err != nil {
				continue // detached meanwhile
			}
			d, start := parse(string(text))
			if d.Mode == "san" && !lives(d.PID, start) {
				continue
			}
			d.Place, _ = filepath.Rel(dir, name)
			list = append(list, d)
		}
	}
	return list
}

func escape(dir string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(dir)
}

func parse(text string) (d Disk, start string) {
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		switch key {
		case "disk":
			d.ID = ivd.DiskID(strings.ToLower(value))
		case "snapshot":
			d.Snapshot = ivd.SnapshotID(value)
		case "mode":
			d.Mode = value
		case "write":
			d.Write = value == "1"
		case "pid":
			d.PID, _ = strconv.Atoi(value)
		case "start":
			start = value
		}
	}
	return d, start
}

// lives reports whether a process is there and is the one that began then: numbers
// of processes come again.
func lives(pid int, start string) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(text[strings.LastIndexByte(string(text), ')')+1:]), " ")
	words := strings.Fields(rest)
	return len(words) > 19 && words[0] != "Z" && words[0] != "X" && words[19] == start
}
