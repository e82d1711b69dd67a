package socket_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ivdmover/shared/socket"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A socket is reached by its path, however long that is, and by its owner alone.
func TestSocket(t *testing.T) {
	t.Parallel()
	for _, path := range []string{
		filepath.Join(t.TempDir(), "s"),
		filepath.Join(t.TempDir(), strings.Repeat("long", 30), strings.Repeat("longer", 30), "s"),
	} {
		must(t, os.MkdirAll(filepath.Dir(path), 0o777))
		must(t, os.WriteFile(path, nil, 0o600)) // of a process that was killed
		l, err := socket.Listen(path)
		must(t, err)
		info, err := os.Stat(filepath.Dir(path))
		must(t, err)
		if info.Mode().Perm() != 0o700 {
			t.Errorf("the folder's mode is %v", info.Mode())
		}
		go func() {
			if c, err := l.Accept(); err == nil {
				_, _ = c.Write([]byte("hello"))
				_ = c.Close()
			}
		}()
		c, err := socket.Dial(t.Context(), path)
		must(t, err)
		said, err := io.ReadAll(c)
		must(t, err)
		must(t, c.Close())
		if string(said) != "hello" {
			t.Errorf("it said %q", said)
		}
		must(t, l.Close())
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("it is left behind: %v", err)
		}
		_, err = socket.Dial(t.Context(), path)
		if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "/proc") {
			t.Errorf("nobody listens: %v", err)
		}
	}
}
