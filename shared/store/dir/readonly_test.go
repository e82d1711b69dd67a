package dir_test

import (
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/store/dir"
	"ivdmover/shared/store/storetest"
)

// A folder that is opened for reading is read, and nothing else happens in it.
func TestReadOnly(t *testing.T) {
	folder := t.TempDir()
	if err := open(t, folder).Put(t.Context(), "points/a", []byte("whole")); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(folder, ".tmp")); err != nil {
		t.Fatal(err)
	}
	before := storetest.Tree(t, folder)
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
	if after := storetest.Tree(t, folder); !maps.Equal(before, after) {
		t.Errorf("the folder holds %v, before %v", after, before)
	}
}
