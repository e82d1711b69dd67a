package dir_test

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/store"
	"ivdmover/shared/store/dir"
)

// What a process has staged that stopped before its link is not there any more when it
// goes on, whatever the clock says; and nothing of it takes space.
func TestRevokedBeforeItsLink(t *testing.T) {
	folder := t.TempDir()
	s, err := dir.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	const lease = ivd.LeaseID("5f0c1b1e-0000-4000-8000-000000000001")
	p, err := s.Prepare(t.Context(), lease, "points/late", []byte("x"), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Revoke(t.Context(), lease); err != nil {
		t.Fatal(err)
	}
	if err := p.Send(t.Context()); ivd.KindOf(err) != ivd.Expired {
		t.Errorf("sent after it was revoked: %v", err)
	}
	if _, err := s.Stat(t.Context(), "points/late"); ivd.KindOf(err) != ivd.NotFound {
		t.Errorf("the object: %v", err)
	}
	left := func() int {
		entries, err := os.ReadDir(filepath.Join(folder, ".staging"))
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	if n := left(); n != 0 {
		t.Errorf("%d staging folders are left", n)
	}
	// Where the process dies between the two steps, the next one removes it.
	if err := os.MkdirAll(filepath.Join(folder, ".staging", ".revoked-x"), 0o700); err != nil {
		t.Fatal(err)
	}
	again, err := dir.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if n := left(); n != 0 {
		t.Errorf("%d staging folders are left after an opening", n)
	}
}

// What was staged under a lease that is gone is removed once it is dead, and what may still
// be sent is not.
func TestStagedAndLeft(t *testing.T) {
	folder := t.TempDir()
	s := open(t, folder)
	if _, err := s.Prepare(t.Context(), "gone", "points/late", []byte("x"), time.Minute); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Prepare(t.Context(), "young", "points/soon", []byte("x"), time.Minute); err != nil {
		t.Fatal(err)
	}
	past := time.Now().Add(-25 * time.Hour)
	for _, path := range append(staged(t, folder), filepath.Join(folder, ".staging", "gone")) {
		if filepath.Base(filepath.Dir(path)) != "young" {
			if err := os.Chtimes(path, past, past); err != nil {
				t.Fatal(err)
			}
		}
	}
	open(t, folder)
	if left := staged(t, folder); len(left) != 1 || filepath.Base(filepath.Dir(left[0])) != "young" {
		t.Errorf("staged are %v", left)
	}
	if _, err := os.Stat(filepath.Join(folder, ".staging", "gone")); !os.IsNotExist(err) {
		t.Errorf("the folder of a lease that is gone: %v", err)
	}
}

// Who takes the last staged file of a lease away removes its folder, and stands in nobody's
// way who stages the next one.
func TestStagedAtOnce(t *testing.T) {
	folder := t.TempDir()
	const lease = ivd.LeaseID("5f0c1b1e-0000-4000-8000-000000000001")
	var group sync.WaitGroup
	for who := range 8 {
		s, err := dir.Open(folder)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		group.Go(func() {
			for n := range 100 {
				p, err := s.Prepare(t.Context(), lease, store.Name(fmt.Sprintf("points/%d/%d", who, n)), []byte("x"), time.Minute)
				if err != nil {
					t.Error(err)
					return
				}
				p.Discard()
			}
		})
	}
	group.Wait()
}
