package heads

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"

	"ivdmover/shared/ivd"
)

// fileVersion is that of the file: one line, of a checksum, a space and JSON.
const fileVersion = 1

// note is what the file holds.
type note struct {
	Version int `json:"version"`
	Heads

	Pending *pending `json:"pending,omitempty"`
	// Passed are runs whose records have the number of another one's, and were there
	// before anything was noted of their series.
	Passed []ivd.RunID `json:"passed,omitempty"`
}

// pending is a record that is about to be stored, or was.
type pending struct {
	Head   Head   `json:"head"`
	Object []byte `json:"object"`
}

func (n note) equal(o note) bool { return reflect.DeepEqual(n, o) }

// File is where in a folder is what was seen of a repository.
func File(dir, repository string) string { return filepath.Join(dir, "heads-"+repository) }

// Read is what a file says was seen of a repository; nothing where there is no file.
func Read(file string) (Heads, error) {
	n, err := read(file)
	return n.Heads, err
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func read(file string) (n note, err error) {
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return note{}, nil
	}
	if err != nil {
		return note{}, fmt.Errorf("read what was seen of the repository: %w", err)
	}
	sum, text, _ := bytes.Cut(bytes.TrimSuffix(b, []byte("\n")), []byte(" "))
	if string(sum) != fmt.Sprintf("%08x", crc32.Checksum(text, castagnoli)) || json.Unmarshal(text, &n) != nil {
		return note{}, &ivd.Error{
			Kind: ivd.Corrupt, Op: "read what was seen of the repository", Err: fmt.Errorf("%s is not what was written", file),
			Remedy: "compare what `ivd repo head` prints with what was printed of it before; where the store is no older, remove the file and start ivd serve again",
		}
	}
	if n.Version != fileVersion {
		return note{}, &ivd.Error{Kind: ivd.Unsupported, Op: "read " + file, Err: fmt.Errorf("version %d", n.Version), Remedy: "use a newer release of ivd"}
	}
	return n, nil
}

// line is the file whose JSON is text.
func line(text []byte) []byte {
	return fmt.Appendf(nil, "%08x %s\n", crc32.Checksum(text, castagnoli), text)
}

// write replaces the file by a synced one.
func (n note) write(file string) error {
	n.Version = fileVersion
	text, err := json.Marshal(n)
	if err != nil {
		return err
	}
	next := file + ".new"
	f, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(line(text))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(next, file); err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(file))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
