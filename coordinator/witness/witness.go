// Package witness keeps a copy of what must not be forgotten in a file beside the
// queue's own, so that what its server has dropped, and says nothing of, is noticed at
// the next start and can be put back.
//
// What it promises: what Add and Write have returned from is on the disk; a file that
// cannot be read is never taken for an empty one. A change costs one line, and a share
// of a sync: changes that come together are synced together. It knows keys and values,
// and not what they mean. Its methods are safe for concurrent use.
package witness

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"ivdmover/shared/ivd"
)

// Testimony is what a bucket was seen to hold.
type Testimony struct {
	Made    time.Time // when the bucket was made at its server
	Last    uint64    // its latest revision
	Entries []Entry   // by key
}

// Entry is one value of it.
type Entry struct {
	Key      string          `json:"key,omitempty"` // empty: only that something was written counts
	Revision uint64          `json:"revision"`
	Value    json.RawMessage `json:"value,omitempty"`
	Gone     bool            `json:"gone,omitempty"` // it was removed, or is not to be kept any more
}

// known is an entry of the file.
type known struct {
	Entry
	fresh bool // added since the last Write: what a list says that was made before may not have it
}

// Witness is the copy in one file.
type Witness struct {
	file string

	mu      sync.Mutex
	synced  *sync.Cond
	made    time.Time        // guarded by mu, like all below
	last    uint64           // the latest revision that was added
	entries map[string]known // by key
	out     *os.File         // nil: nothing was written yet, or the last line may be cut off
	size    int64            // of the file
	whole   int64            // when it was replaced
	lines   uint64           // that were written
	durable uint64           // of these
	syncing bool
}

// At is the witness in a file, which need not be there.
func At(file string) *Witness {
	w := &Witness{file: file, entries: map[string]known{}}
	w.synced = sync.NewCond(&w.mu)
	return w
}

// Read reads what is in the file; the zero Testimony where there is none. Kind Corrupt:
// it cannot be read.
func (w *Witness) Read() (Testimony, error) {
	body, err := os.ReadFile(w.file)
	if errors.Is(err, fs.ErrNotExist) {
		return Testimony{}, nil
	}
	if err != nil {
		return Testimony{}, fmt.Errorf("read %s: %w", w.file, err)
	}
	t, err := decode(body)
	if err != nil {
		return Testimony{}, &ivd.Error{Kind: ivd.KindOf(err), Op: "read " + w.file, Err: err}
	}
	return t, nil
}

// Add adds what was written to the bucket. Before the first Write it is only remembered
// for that.
func (w *Witness) Add(e Entry) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last = max(w.last, e.Revision)
	if k := w.entries[e.Key]; e.Key != "" && k.Revision <= e.Revision {
		w.entries[e.Key] = known{e, true}
	}
	if w.out == nil {
		return nil
	}
	n, err := w.out.Write(line(e))
	w.size += int64(n)
	w.lines++
	if err == nil {
		err = w.sync(w.lines)
	}
	if err != nil {
		w.close() // the next Write makes it whole
		return fmt.Errorf("write %s: %w", w.file, err)
	}
	return nil
}

// sync waits until so many lines are on the disk: one of those who wait syncs for all.
func (w *Witness) sync(lines uint64) error {
	for w.durable < lines {
		if w.out == nil {
			return errCut
		}
		if w.syncing {
			w.synced.Wait()
			continue
		}
		upTo, out := w.lines, w.out
		w.syncing = true
		w.mu.Unlock()
		err := out.Sync()
		w.mu.Lock()
		w.syncing = false
		w.synced.Broadcast()
		if err != nil {
			return err
		}
		w.durable = max(w.durable, upTo)
	}
	return nil
}

var errCut = errors.New("a line before could not be written whole")

func (w *Witness) close() {
	if w.out != nil {
		_ = w.out.Close() // what it may have failed at was told of
		w.out = nil
	}
}

// spare is how far the file grows beyond twice what it must hold before it is replaced.
const spare = 1 << 20

// Write has the file say what a list of the bucket says, and of what was not listed what
// keep names, and what was added since the Write before: the list may be older than
// that. The file is replaced whole where there is something to change, or it has grown.
func (w *Witness) Write(t Testimony, keep func(key string) bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.syncing {
		w.synced.Wait()
	}
	before := w.entries
	if !w.made.IsZero() && !w.made.Equal(t.Made) { // another bucket, of which nothing was listed before
		before = map[string]known{}
		w.last = 0
	}
	next := make(map[string]known, len(t.Entries))
	for _, e := range t.Entries {
		next[e.Key] = known{Entry: e}
	}
	for key, k := range before {
		listed, ok := next[key]
		switch {
		case k.Revision < listed.Revision:
		case k.Gone && !k.fresh:
			delete(next, key)
		case ok || k.fresh || keep(key):
			next[key] = known{Entry: k.Entry}
		}
	}
	changed := w.out == nil || !w.made.Equal(t.Made) || !maps.Equal(live(next), live(w.entries))
	w.made, w.last, w.entries = t.Made, max(w.last, t.Last), next
	if !changed && w.size < 2*w.whole+spare {
		return nil
	}
	return w.replace()
}

// live are the revisions of what is there.
func live(entries map[string]known) map[string]uint64 {
	m := make(map[string]uint64, len(entries))
	for key, k := range entries {
		if !k.Gone {
			m[key] = k.Revision
		}
	}
	return m
}

// replace writes the file anew.
func (w *Witness) replace() error {
	body := header(w.made, w.last)
	for _, key := range slices.Sorted(maps.Keys(w.entries)) {
		if e := w.entries[key].Entry; !e.Gone {
			body = append(body, line(e)...)
		}
	}
	out, err := replace(w.file, body)
	if err != nil {
		return fmt.Errorf("write %s: %w", w.file, err)
	}
	w.close()
	w.out, w.whole, w.size, w.durable = out, int64(len(body)), int64(len(body)), w.lines
	return nil
}
