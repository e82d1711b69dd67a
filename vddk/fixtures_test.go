package vddk_test

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"ivdmover/vddk"
)

// recorder is a slog.Handler that keeps its lines.
type recorder struct {
	mu    sync.Mutex
	lines []slog.Record
}

func (r *recorder) Enabled(context.Context, slog.Level) bool { return true }
func (r *recorder) WithAttrs([]slog.Attr) slog.Handler       { return r }
func (r *recorder) WithGroup(string) slog.Handler            { return r }

func (r *recorder) Handle(_ context.Context, line slog.Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, line)
	return nil
}

// contains reports whether a line of the level has the text in it.
func (r *recorder) contains(level slog.Level, text string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, line := range r.lines {
		if line.Level == level && strings.Contains(line.Message, text) {
			return true
		}
	}
	return false
}

// sparse writes a file of size bytes: random data in some places, holes elsewhere.
// It returns the file's path and its content.
func sparse(t testing.TB, size int64, seed uint64) (string, []byte) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "disk.raw")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	content := make([]byte, size)
	random := rand.New(rand.NewPCG(seed, 1))
	for range 4 {
		at := random.Int64N(size)
		n := min(random.Int64N(300<<10)+1, size-at)
		fill(random, content[at:at+n])
		if _, err := f.WriteAt(content[at:at+n], at); err != nil {
			t.Fatal(err)
		}
	}
	return path, content
}

// fill makes random content.
func fill(random *rand.Rand, buf []byte) {
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], random.Uint64())
	_, _ = rand.NewChaCha8(seed).Read(buf)
}

// openFile opens a file of this machine through the library.
func openFile(t testing.TB, path string, flags vddk.OpenFlags) *vddk.Handle {
	t.Helper()
	return openDisk(t, vddk.Params{}, path, flags, "")
}

func openDisk(t testing.TB, p vddk.Params, path string, flags vddk.OpenFlags, modes string) *vddk.Handle {
	t.Helper()
	c, err := lib.Connect(t.Context(), p, flags&vddk.ReadOnly != 0, modes)
	if err != nil {
		t.Fatal(err)
	}
	h, err := c.Open(t.Context(), path, flags)
	if err != nil {
		_ = c.Disconnect()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(h.Close(), c.Disconnect()); err != nil {
			t.Error(err)
		}
	})
	return h
}

func alloc(t testing.TB, n int) []byte {
	t.Helper()
	b := vddk.Alloc(n)
	t.Cleanup(b.Free)
	return b.Bytes()
}

// wantCode checks that err is an *Error of a code and class.
func wantCode(t testing.TB, err error, code uint64, class vddk.Class) *vddk.Error {
	t.Helper()
	var e *vddk.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want VIX error %d", err, code)
	}
	if e.Code != code || e.Class != class {
		t.Fatalf("got %v (class %s), want code %d of class %s", e, e.Class, code, class)
	}
	if e.Name == "" || e.Op == "" || e.Text == "" {
		t.Fatalf("error %#v says too little", e)
	}
	return e
}
