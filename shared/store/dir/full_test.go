package dir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"testing"

	"ivdmover/shared/ivd"
)

// TestClassify: what the file system says, wrapped as package os wraps it.
func TestClassify(t *testing.T) {
	s, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for errno, want := range map[syscall.Errno]ivd.Kind{
		syscall.ENOSPC: ivd.Full, syscall.EDQUOT: ivd.Full, syscall.EFBIG: ivd.Full,
		syscall.EACCES: ivd.Denied, syscall.EPERM: ivd.Denied, syscall.EROFS: ivd.Denied,
		syscall.ENOENT: ivd.NotFound, syscall.ESTALE: ivd.Transient, syscall.EMFILE: ivd.Transient,
		syscall.ENOTDIR: ivd.Invalid, syscall.EIO: ivd.Unknown,
	} {
		err := s.failed("put x", errors.Join(fmt.Errorf("layer: %w", &fs.PathError{Op: "write", Path: "x", Err: errno}), nil))
		if kind := ivd.KindOf(err); kind != want {
			t.Errorf("%v: kind %q, want %q", errno, kind, want)
		}
		if definite := want == ivd.Full || want == ivd.Denied; refused(errno) != definite {
			t.Errorf("%v: that it is definite is %t, want %t", errno, !definite, definite)
		}
		if remedy := ivd.RemedyOf(err); (want == ivd.Full || want == ivd.Denied) && remedy == "" {
			t.Errorf("%v: no remedy", errno)
		}
	}
}

// TestFull writes more than this process may: the part that was written goes.
func TestFull(t *testing.T) {
	folder := t.TempDir()
	s, err := Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Put(t.Context(), "data/x", []byte("whole")); err != nil {
		t.Fatal(err)
	}
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 1 << 20, Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	err = s.Put(t.Context(), "data/x", make([]byte, 3<<20))
	if back := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); back != nil {
		t.Fatal(back)
	}
	if ivd.KindOf(err) != ivd.Full {
		t.Fatalf("put beyond the limit: %v", err)
	}
	o, err := s.Get(t.Context(), "data/x", 10)
	if err != nil || string(o.Body) != "whole" {
		t.Errorf("the object that was there: %q, %v", o.Body, err)
	}
	if left, err := os.ReadDir(folder + "/" + tempDir); err != nil || len(left) != 0 {
		t.Errorf("temporary files: %v, %v", left, err)
	}
}
