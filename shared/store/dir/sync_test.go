package dir

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/store"
)

// disk is what a folder's syncs come to.
type disk struct {
	fails  bool
	synced map[string]bool // folders, since they were last forgotten
}

// openOn opens a store whose folders are synced as d says.
func openOn(t *testing.T, folder string, d *disk) *Store {
	t.Helper()
	d.synced = map[string]bool{}
	s, err := Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	s.sync = func(f *os.File) error {
		if d.fails {
			return syscall.EIO
		}
		d.synced[filepath.Base(f.Name())] = true
		return f.Sync()
	}
	return s
}

const point store.Name = "points/d/p"

// Whatever is there and was never synced, since a sync failed or its writer died before
// it, is acknowledged by nobody before it is: not as "exists", not by who sent it, and
// not by who reads it.
func TestNothingIsAcknowledgedUnsynced(t *testing.T) {
	send := func(s *Store) error {
		p, err := s.Prepare(t.Context(), "lease", point, []byte("whole"), time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Discard()
		return p.Send(t.Context())
	}
	for name, c := range map[string]struct {
		again func(s *Store, first store.Pending) error
		want  ivd.Kind // once the folder can be synced
	}{
		"another creation":  {func(s *Store, _ store.Pending) error { return send(s) }, ivd.Exists},
		"the same creation": {func(_ *Store, first store.Pending) error { return first.Send(t.Context()) }, ivd.Exists},
		"who reads it": {func(s *Store, _ store.Pending) error {
			o, err := s.Get(t.Context(), point, 10)
			if err == nil && string(o.Body) != "whole" {
				err = errors.New("it is not what was sent")
			}
			return err
		}, ""},
		"who stores it": {func(s *Store, _ store.Pending) error { return s.Put(t.Context(), point, []byte("whole")) }, ""},
		"who replaces it": {func(s *Store, _ store.Pending) error {
			return s.Replace(t.Context(), store.Object{Info: store.Info{Name: point}, Body: []byte("other")}, []byte("third"))
		}, ivd.Conflict},
		"who deletes it": {func(s *Store, _ store.Pending) error {
			if err := os.Remove(filepath.Join(s.path, string(point))); err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
			return s.Delete(t.Context(), point)
		}, ""},
	} {
		for _, process := range []string{"the same process", "another process"} {
			if name == "the same creation" && process == "another process" {
				continue
			}
			t.Run(name+", "+process, func(t *testing.T) {
				folder, d := t.TempDir(), &disk{}
				s := openOn(t, folder, d)
				first, err := s.Prepare(t.Context(), "lease", point, []byte("whole"), time.Minute)
				if err != nil {
					t.Fatal(err)
				}
				defer first.Discard()
				d.fails = true
				if err := first.Send(t.Context()); ivd.KindOf(err) != ivd.Transient {
					t.Fatalf("linked and not synced: %v", err)
				}
				if process == "another process" {
					d.fails = false
					s = openOn(t, folder, d)
					if _, err := s.now(); err != nil { // what it needs of its own
						t.Fatal(err)
					}
					if err := s.makeDir(stagingDir + "/lease"); err != nil {
						t.Fatal(err)
					}
				}
				clear(d.synced)
				if name != "another creation" { // whose Prepare syncs too, and is no answer
					d.fails = true
					if err := c.again(s, first); err == nil || ivd.KindOf(err) == ivd.Exists || ivd.KindOf(err) == ivd.Conflict {
						t.Fatalf("while nothing can be synced: %v", err)
					}
				}
				d.fails = false
				clear(d.synced)
				if err := c.again(s, first); ivd.KindOf(err) != c.want || (err == nil) != (c.want == "") {
					t.Fatalf("%v, want kind %q", err, c.want)
				}
				if !d.synced["d"] {
					t.Errorf("its folder was not synced: %v", d.synced)
				}
			})
		}
	}
}

// A folder that has not changed is not synced again and again.
func TestFolderIsSyncedOnce(t *testing.T) {
	d := &disk{}
	s := openOn(t, t.TempDir(), d)
	if err := s.Put(t.Context(), point, []byte("whole")); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(s.path, "points/d")
	now, old := time.Now(), time.Now().Add(-time.Hour)
	for i, c := range []struct {
		changed time.Time // the folder
		sync    bool
	}{{now, true}, {now, true}, {old, true}, {old, false}, {old.Add(time.Second), true}, {old.Add(time.Second), false}} {
		at := c.changed
		if err := os.Chtimes(folder, at, at); err != nil {
			t.Fatal(err)
		}
		clear(d.synced)
		if _, err := s.Get(t.Context(), point, 10); err != nil {
			t.Fatal(err)
		}
		if d.synced["d"] != c.sync {
			t.Errorf("read %d, changed at %s: synced %t", i, at, d.synced["d"])
		}
	}
}
