// Package witness keeps a copy of what must not be forgotten in a file beside the
// queue's own, so that what its server has dropped, and says nothing of, is noticed at
// the next start and can be put back.
//
// What it promises: the copy is replaced whole and synced, or not at all; one that
// cannot be read is never taken for an empty one. It knows keys and values, and not
// what they mean. A Witness is used by one goroutine at a time.
package witness

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/queue"
)

// Version is that of the file.
const Version = 1

// Testimony is what a bucket was seen to hold.
type Testimony struct {
	Version int       `json:"version"`
	Made    time.Time `json:"made"` // when the bucket was made at its server
	Last    uint64    `json:"last"` // its latest revision
	Entries []Entry   `json:"entries"`
}

// Entry is one value of it.
type Entry struct {
	Key   string          `json:"key"`
	Value json.RawMessage `json:"value"`
}

// Witness is the copy in one file.
type Witness struct {
	file string
	last []byte // as it was written
}

// At is the witness in a file, which need not be there.
func At(file string) *Witness { return &Witness{file: file} }

// Read reads what was written last; the zero Testimony where nothing was. Kind
// Corrupt: it cannot be read.
func (w *Witness) Read() (t Testimony, err error) {
	body, err := os.ReadFile(w.file)
	if errors.Is(err, fs.ErrNotExist) {
		return t, nil
	}
	if err != nil {
		return t, fmt.Errorf("read %s: %w", w.file, err)
	}
	if err := json.Unmarshal(body, &t); err != nil {
		return Testimony{}, &ivd.Error{Kind: ivd.Corrupt, Op: "read " + w.file, Err: err}
	}
	return t, queue.CheckVersion(w.file, t.Version, Version)
}

// Write replaces what was written before, unless it is the same.
func (w *Witness) Write(t Testimony) error {
	t.Version = Version
	body, err := json.Marshal(t)
	if err != nil {
		return fmt.Errorf("write %s: %w", w.file, err)
	}
	if bytes.Equal(body, w.last) {
		return nil
	}
	if err := replace(w.file, body); err != nil {
		return fmt.Errorf("write %s: %w", w.file, err)
	}
	w.last = body
	return nil
}

// replace replaces a file by a synced one.
func replace(file string, body []byte) error {
	next := file + ".new"
	f, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(body)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(next, file); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(file))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
