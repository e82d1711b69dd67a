package dir_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/store"
	"ivdmover/shared/store/dir"
	"ivdmover/shared/store/storetest"
)

func open(t *testing.T, folder string) *dir.Store {
	t.Helper()
	s, err := dir.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return open(t, t.TempDir()) })
}

// staged finds the files that are staged for a lease.
func staged(t *testing.T, folder string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, ".staging", "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func wantKind(t *testing.T, what string, err error, want ivd.Kind) {
	t.Helper()
	if err == nil || ivd.KindOf(err) != want {
		t.Fatalf("%s: %v (kind %q), want kind %q", what, err, ivd.KindOf(err), want)
	}
}

// TestLeaseEnded: a collector that has renamed the lease's folder away has ended
// all that the lease might still send.
func TestLeaseEnded(t *testing.T) {
	folder := t.TempDir()
	s := open(t, folder)
	p, err := s.Prepare(t.Context(), "lease-1", "points/d/p", []byte("x"), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Discard()
	other, err := s.Prepare(t.Context(), "lease-2", "points/d/q", []byte("y"), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Discard()
	if files := staged(t, folder); len(files) != 2 {
		t.Fatalf("staged: %v", files)
	}
	if err := os.Rename(filepath.Join(folder, ".staging", "lease-1"), filepath.Join(folder, ".staging", "ended")); err != nil {
		t.Fatal(err)
	}
	wantKind(t, "send after the lease ended", p.Send(t.Context()), ivd.Expired)
	_, err = s.Stat(t.Context(), "points/d/p")
	wantKind(t, "stat", err, ivd.NotFound)
	if err := other.Send(t.Context()); err != nil {
		t.Errorf("another lease's: %v", err)
	}
}

func TestStagingIsCleanedUp(t *testing.T) {
	folder := t.TempDir()
	s := open(t, folder)
	for i, send := range []bool{true, false} {
		p, err := s.Prepare(t.Context(), "lease-1", store.Name(fmt.Sprintf("points/d/%d", i)), []byte("x"), time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if send {
			if err := p.Send(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		p.Discard()
		if left, err := filepath.Glob(filepath.Join(folder, ".staging", "*")); err != nil || len(left) != 0 {
			t.Errorf("sent %t: left %v, %v", send, left, err)
		}
	}
}

func TestExpiry(t *testing.T) {
	s := open(t, t.TempDir())
	p, err := s.Prepare(t.Context(), "l", "points/d/p", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Discard()
	wantKind(t, "a late send", p.Send(t.Context()), ivd.Expired)
	_, err = s.Stat(t.Context(), "points/d/p")
	wantKind(t, "stat", err, ivd.NotFound)
}

func TestOpenRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, remedy := range map[string]string{file + "/x": "name a folder", file: "name a folder", t.TempDir() + "/absent": "mkdir -p"} {
		_, err := dir.Open(path)
		wantKind(t, path, err, ivd.Unmet)
		if !strings.Contains(ivd.RemedyOf(err), remedy) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v; %s", path, err, ivd.RemedyOf(err))
		}
	}
}

// TestFolderRemoved: without its folder every object looks absent, and none is.
func TestFolderRemoved(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "repository")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	s := open(t, folder)
	if err := s.Put(t.Context(), "leases/a", nil); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(folder); err != nil {
		t.Fatal(err)
	}
	_, err := s.Stat(t.Context(), "leases/a")
	wantKind(t, "stat", err, ivd.Transient)
	_, err = s.Get(t.Context(), "leases/a", 1)
	wantKind(t, "get", err, ivd.Transient)
	wantKind(t, "delete", s.Delete(t.Context(), "leases/a"), ivd.Transient)
	wantKind(t, "put", s.Put(t.Context(), "leases/a", nil), ivd.Transient)
	_, err = s.Prepare(t.Context(), "l", "points/a", nil, time.Minute)
	wantKind(t, "prepare", err, ivd.Transient)
	for _, err := range s.List(t.Context(), "leases/") {
		wantKind(t, "list", err, ivd.Transient)
		return
	}
	t.Error("list: no error")
}

// TestFoldersComeBack: somebody tidies empty folders away while we write.
func TestFoldersComeBack(t *testing.T) {
	folder := t.TempDir()
	s := open(t, folder)
	for range 3 {
		if err := s.Put(t.Context(), "data/ab/x", []byte("x")); err != nil {
			t.Fatal(err)
		}
		p, err := s.Prepare(t.Context(), "l", "points/d/p", []byte("x"), time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Send(t.Context()); err != nil {
			t.Fatal(err)
		}
		p.Discard()
		for _, name := range []string{"data", "points", ".tmp", ".staging"} {
			if err := os.RemoveAll(filepath.Join(folder, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestSymlinksStayInside: a link out of the folder is not followed.
func TestSymlinksStayInside(t *testing.T) {
	folder, outside := t.TempDir(), t.TempDir()
	s := open(t, folder)
	if err := os.Symlink(outside, filepath.Join(folder, "data")); err != nil {
		t.Fatal(err)
	}
	if err := s.Put(t.Context(), "data/x", []byte("x")); err == nil {
		t.Error("put through a link succeeded")
	}
	if entries, err := os.ReadDir(outside); err != nil || len(entries) != 0 {
		t.Errorf("outside: %v, %v", entries, err)
	}
}

// TestAbandonedFilesGo: what a killed writer left is removed a day later, and
// nothing sooner.
func TestAbandonedFilesGo(t *testing.T) {
	folder := t.TempDir()
	if err := os.Mkdir(filepath.Join(folder, ".tmp"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, age := range map[string]time.Duration{"old": 25 * time.Hour, "young": 23 * time.Hour} {
		path := filepath.Join(folder, ".tmp", name)
		if err := os.WriteFile(path, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, time.Time{}, time.Now().Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	open(t, folder)
	left, err := os.ReadDir(filepath.Join(folder, ".tmp"))
	if err != nil || len(left) != 1 || left[0].Name() != "young" {
		t.Errorf("left: %v, %v", left, err)
	}
}

// TestForeignFilesAreNoObjects: what is no name of ours is not listed.
func TestForeignFilesAreNoObjects(t *testing.T) {
	folder := t.TempDir()
	s := open(t, folder)
	for _, name := range []string{".hidden", "README.TXT", "lost+found"} {
		if err := os.WriteFile(filepath.Join(folder, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for info, err := range s.List(t.Context(), "") {
		t.Errorf("listed: %+v, %v", info, err)
	}
}

// A host that was suspended deletes nothing afterwards that was to be deleted before.
func TestDeleteAfterASuspension(t *testing.T) {
	s := open(t, t.TempDir())
	if err := s.Put(t.Context(), "data/x", []byte("x")); err != nil {
		t.Fatal(err)
	}
	ctx := &storetest.Suspended{Context: t.Context()}
	ctx.Wake()
	if err := s.Delete(ctx, "data/x"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a late deletion: %v", err)
	}
	if _, err := s.Stat(t.Context(), "data/x"); err != nil {
		t.Errorf("the object: %v", err)
	}
}
