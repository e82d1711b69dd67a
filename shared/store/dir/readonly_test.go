package dir_test

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/store/dir"
)

// files is what a folder holds, with the times of it.
func files(t *testing.T, folder string) map[string]time.Time {
	t.Helper()
	all := map[string]time.Time{}
	err := filepath.WalkDir(folder, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		all[path] = info.ModTime()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// A folder that is opened for reading is read, and nothing else happens in it.
func TestReadOnly(t *testing.T) {
	folder := t.TempDir()
	if err := open(t, folder).Put(t.Context(), "points/a", []byte("whole")); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(folder, ".tmp")); err != nil {
		t.Fatal(err)
	}
	before := files(t, folder)
	s, err := dir.OpenReadOnly(folder)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	o, err := s.Get(t.Context(), "points/a", 10)
	if err != nil || string(o.Body) != "whole" || !o.Now.IsZero() || o.Modified.IsZero() {
		t.Errorf("get: %+v, %v", o, err)
	}
	part := make([]byte, 3)
	if err := s.ReadAt(t.Context(), "points/a", part, 2); err != nil || string(part) != "ole" {
		t.Errorf("read: %q, %v", part, err)
	}
	if i, err := s.Stat(t.Context(), "points/a"); err != nil || i.Size != 5 {
		t.Errorf("stat: %+v, %v", i, err)
	}
	for i, err := range s.List(t.Context(), "points/") {
		if err != nil || i.Name != "points/a" {
			t.Errorf("list: %+v, %v", i, err)
		}
	}
	wantKind(t, "put", s.Put(t.Context(), "points/b", nil), ivd.Denied)
	wantKind(t, "delete", s.Delete(t.Context(), "points/a"), ivd.Denied)
	_, err = s.Prepare(t.Context(), "lease-1", "points/b", nil, time.Minute)
	wantKind(t, "prepare", err, ivd.Denied)
	if after := files(t, folder); !maps.Equal(before, after) {
		t.Errorf("the folder holds %v, before %v", after, before)
	}
}
