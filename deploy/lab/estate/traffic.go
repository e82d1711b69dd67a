package estate

import (
	"encoding/binary"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"ivdmover/shared/ivd"
)

// Traffic counts the bytes that handles have moved.
type Traffic struct {
	Read    int64 `json:"read"`
	Written int64 `json:"written"`
}

func (t Traffic) plus(o Traffic) Traffic { return Traffic{t.Read + o.Read, t.Written + o.Written} }

// Traffic tells what was moved of each disk since the start, over every transport.
func (e *Estate) Traffic() map[ivd.DiskID]Traffic {
	e.mu.Lock()
	all := maps.Clone(e.traffic)
	e.mu.Unlock()
	for id, modes := range e.Direct() {
		for _, t := range modes {
			all[id] = all[id].plus(t)
		}
	}
	return all
}

// Direct tells what of it went beside the data port, by transport.
func (e *Estate) Direct() map[ivd.DiskID]map[string]Traffic {
	all := map[ivd.DiskID]map[string]Traffic{}
	for at, t := range readDirect(e.o.Dir) {
		before := e.directBefore[at]
		t = Traffic{t.Read - before.Read, t.Written - before.Written}
		if t == (Traffic{}) {
			continue
		}
		if all[at.disk] == nil {
			all[at.disk] = map[string]Traffic{}
		}
		all[at.disk][at.mode] = t
	}
	return all
}

// way is a disk's, beside the data port.
type way struct {
	disk ivd.DiskID
	mode string
}

// readDirect reads the counters that the library adds to, DIR/traffic/DISK.MODE. They
// are never set back, since a process may have them mapped.
func readDirect(dir string) map[way]Traffic {
	all := map[way]Traffic{}
	names, err := os.ReadDir(filepath.Join(dir, "traffic"))
	if err != nil {
		return all
	}
	for _, n := range names {
		disk, mode, _ := strings.Cut(n.Name(), ".")
		b, err := os.ReadFile(filepath.Join(dir, "traffic", n.Name()))
		if err != nil || len(b) != 16 {
			continue
		}
		all[way{ivd.DiskID(strings.ToLower(disk)), mode}] = Traffic{
			Read: int64(binary.NativeEndian.Uint64(b)), Written: int64(binary.NativeEndian.Uint64(b[8:])),
		}
	}
	return all
}
