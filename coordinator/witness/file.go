package witness

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/queue"
)

// Version is that of the file: lines, each of its checksum, a space and JSON. The first
// is the head, the others are entries, of which the one with the highest revision counts
// for its key. What follows the last end of a line was being written and counts for
// nothing.
const Version = 2

// head is the file's first line.
type head struct {
	Version int       `json:"version"`
	Made    time.Time `json:"made"`
	Last    uint64    `json:"last"`
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// line is one line of the file.
func line(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // of values that were JSON before
	}
	return fmt.Appendf(nil, "%08x %s\n", crc32.Checksum(text, castagnoli), text)
}

func header(made time.Time, last uint64) []byte {
	return line(head{Version: Version, Made: made, Last: last})
}

// decode reads a file. Kind Corrupt: it is none.
func decode(body []byte) (t Testimony, err error) {
	lines := bytes.Split(body, []byte("\n"))
	whole := lines[:len(lines)-1]
	if len(whole) == 0 {
		return t, ivd.Errorf(ivd.Corrupt, "it has no whole line")
	}
	var h head
	if err := unline(whole[0], &h); err != nil {
		return t, err
	}
	if err := queue.CheckVersion("it", h.Version, Version); err != nil {
		return t, err
	}
	t.Made, t.Last = h.Made, h.Last
	latest := map[string]Entry{}
	for i, l := range whole[1:] {
		var e Entry
		if err := unline(l, &e); err != nil {
			return Testimony{}, fmt.Errorf("line %d: %w", i+2, err)
		}
		t.Last = max(t.Last, e.Revision)
		if e.Key != "" && latest[e.Key].Revision <= e.Revision {
			latest[e.Key] = e
		}
	}
	maps.DeleteFunc(latest, func(_ string, e Entry) bool { return e.Gone })
	t.Entries = slices.SortedFunc(maps.Values(latest), func(a, b Entry) int { return cmp.Compare(a.Key, b.Key) })
	return t, nil
}

// unline reads one line.
func unline(l []byte, v any) error {
	sum, text, ok := bytes.Cut(l, []byte(" "))
	if !ok || string(sum) != fmt.Sprintf("%08x", crc32.Checksum(text, castagnoli)) {
		return ivd.Errorf(ivd.Corrupt, "it is not what was written")
	}
	if err := json.Unmarshal(text, v); err != nil {
		return &ivd.Error{Kind: ivd.Corrupt, Err: err}
	}
	return nil
}

// replace replaces a file by a synced one, to which more is appended.
func replace(file string, body []byte) (*os.File, error) {
	next := file + ".new"
	f, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = f.Write(body)
	if err = errors.Join(err, f.Sync()); err == nil {
		err = os.Rename(next, file)
	}
	if err == nil {
		err = syncFolder(filepath.Dir(file))
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func syncFolder(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
