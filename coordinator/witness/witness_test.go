package witness_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"ivdmover/coordinator/witness"
	"ivdmover/shared/ivd"
)

var made = time.Unix(1, 0).UTC()

func entry(key string, revision uint64) witness.Entry {
	return witness.Entry{Key: key, Revision: revision, Value: json.RawMessage(fmt.Sprintf(`{"n":%d}`, revision))}
}

func gone(key string, revision uint64) witness.Entry {
	return witness.Entry{Key: key, Revision: revision, Gone: true}
}

func none(string) bool { return false }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wants looks what a start reads that follows now, whatever became of the process.
func wants(t *testing.T, file string, last uint64, entries ...witness.Entry) {
	t.Helper()
	got, err := witness.At(file).Read()
	if err != nil || !got.Made.Equal(made) || got.Last != last || len(got.Entries) != len(entries) {
		t.Fatalf("%+v, %v; want %d, %v", got, err, last, entries)
	}
	for i, e := range entries {
		if !reflect.DeepEqual(got.Entries[i], e) {
			t.Errorf("%+v, want %+v", got.Entries[i], e)
		}
	}
}

// What was added is in the file when Add returns; of a key the latest counts, in
// whichever order they come.
func TestWitness(t *testing.T) {
	file := filepath.Join(t.TempDir(), "known")
	if got, err := witness.At(file).Read(); err != nil || !reflect.DeepEqual(got, witness.Testimony{}) {
		t.Fatalf("before anything was written: %+v, %v", got, err)
	}
	w := witness.At(file)
	must(t, w.Add(entry("b", 6))) // before there is a file
	must(t, w.Write(witness.Testimony{Made: made, Last: 7, Entries: []witness.Entry{entry("a", 3)}}, none))
	wants(t, file, 7, entry("a", 3), entry("b", 6))
	must(t, w.Add(entry("c", 9)))
	must(t, w.Add(entry("c", 8)))
	must(t, w.Add(witness.Entry{Revision: 10}))
	must(t, w.Add(gone("a", 11)))
	wants(t, file, 11, entry("b", 6), entry("c", 9))
}

// A list may be older than what was added meanwhile, but not than what was added before
// the last one.
func TestListThatIsOlder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "known")
	w := witness.At(file)
	list := func(keep func(string) bool, entries ...witness.Entry) {
		t.Helper()
		must(t, w.Write(witness.Testimony{Made: made, Last: 5, Entries: entries}, keep))
	}
	list(none, entry("a", 1), entry("b", 2), entry("c", 3))
	must(t, w.Add(entry("d", 6)))
	must(t, w.Add(gone("b", 7)))
	must(t, w.Add(entry("c", 8)))
	list(none, entry("a", 1), entry("b", 2), entry("c", 3))
	wants(t, file, 8, entry("a", 1), entry("c", 8), entry("d", 6))
	list(func(key string) bool { return key == "d" }, entry("c", 9)) // others have removed a, and changed c
	wants(t, file, 9, entry("c", 9), entry("d", 6))
	list(none, entry("c", 9))
	wants(t, file, 9, entry("c", 9))
	// Of another bucket nothing counts that was known of the one before.
	must(t, w.Add(entry("e", 10)))
	made2 := made.Add(time.Hour)
	must(t, w.Write(witness.Testimony{Made: made2, Last: 2}, none))
	if got, err := witness.At(file).Read(); err != nil || !got.Made.Equal(made2) || got.Last != 2 || len(got.Entries) != 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

// The file does not grow for ever.
func TestFileIsReplacedWhenItHasGrown(t *testing.T) {
	file := filepath.Join(t.TempDir(), "known")
	w := witness.At(file)
	must(t, w.Write(witness.Testimony{Made: made}, none))
	large := witness.Entry{Key: "a", Value: json.RawMessage(`"` + strings.Repeat("x", 1<<20) + `"`)}
	for i := range uint64(8) {
		large.Revision = i + 1
		must(t, w.Add(large))
		must(t, w.Write(witness.Testimony{Made: made, Entries: []witness.Entry{large}}, none))
	}
	wants(t, file, 8, large)
	if info, err := os.Stat(file); err != nil || info.Size() > 5<<20 {
		t.Errorf("%v, %v", info, err)
	}
}

func TestWitnessOfMany(t *testing.T) {
	file := filepath.Join(t.TempDir(), "known")
	w := witness.At(file)
	must(t, w.Write(witness.Testimony{Made: made}, none))
	var all sync.WaitGroup
	for i := range uint64(8) {
		all.Go(func() {
			for k := range uint64(20) {
				n := 1 + i*20 + k
				if err := w.Add(entry(fmt.Sprintf("k%03d", n), n)); err != nil {
					t.Error(err)
				}
				if k%7 == 0 {
					if err := w.Write(witness.Testimony{Made: made}, func(string) bool { return true }); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	all.Wait()
	if got, err := witness.At(file).Read(); err != nil || len(got.Entries) != 160 || got.Last != 160 {
		t.Errorf("%d entries, last %d, %v", len(got.Entries), got.Last, err)
	}
}

// A line that was being written is none; whatever else is wrong with a file is told.
func TestFileThatIsNotWhole(t *testing.T) {
	file := filepath.Join(t.TempDir(), "known")
	w := witness.At(file)
	must(t, w.Write(witness.Testimony{Made: made, Last: 1, Entries: []witness.Entry{entry("a", 1)}}, none))
	must(t, w.Add(entry("b", 2)))
	whole, err := os.ReadFile(file)
	must(t, err)
	must(t, os.WriteFile(file, whole[:len(whole)-3], 0o600))
	wants(t, file, 1, entry("a", 1))
	first := strings.IndexByte(string(whole), '\n')
	for name, body := range map[string][]byte{
		"empty": nil, "no whole line": whole[:first], "flipped": change(whole, first+20), "in its head": change(whole, 12), "another's": []byte(`{"version":1}`),
		"a line is missing its beginning": append(append([]byte{}, whole[:first+1]...), whole[first+9:]...),
	} {
		must(t, os.WriteFile(file, body, 0o600))
		if got, err := witness.At(file).Read(); ivd.KindOf(err) != ivd.Corrupt {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	newer := witness.Line(map[string]any{"version": witness.Version + 1})
	must(t, os.WriteFile(file, newer, 0o600))
	if got, err := witness.At(file).Read(); ivd.KindOf(err) != ivd.Unsupported {
		t.Errorf("a newer program's: %+v, %v", got, err)
	}
	if err := witness.At(filepath.Join(file, "below")).Write(witness.Testimony{Made: made}, none); err == nil {
		t.Error("written below a file")
	}
}

func change(b []byte, at int) []byte {
	c := append([]byte{}, b...)
	c[at] ^= 1
	return c
}
