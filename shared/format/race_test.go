//go:build race

package format

import (
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
)

// The race detector sees what zstd reads and writes: each case is a race of another
// goroutine with it, in a process of its own, since a race fails whatever test has it.
func TestRacesWithZstdAreFound(t *testing.T) {
	plain := []byte(strings.Repeat("what compresses", 1000))
	stored, _ := Compress(nil, plain, 1)
	into := func(b []byte) []byte { return b[:0:len(b)] }
	cases := map[string]struct {
		shared []byte
		zstd   func(shared []byte) error
	}{
		"compress what is written": {plain, func(b []byte) error { Compress(nil, b, 1); return nil }},
		"compress into":            {make([]byte, len(plain)), func(b []byte) error { Compress(b, plain, 1); return nil }},
		"decompress what is written": {stored, func(b []byte) error {
			_, err := decompress(make([]byte, 0, len(plain)), b)
			return err
		}},
		"decompress into": {make([]byte, len(plain)), func(b []byte) error { _, err := decompress(into(b), stored); return err }},
	}
	if c, ok := cases[os.Getenv("IVD_TEST_RACE")]; ok {
		var both sync.WaitGroup
		both.Go(func() { c.shared[0] ^= 0 })
		both.Go(func() {
			if err := c.zstd(c.shared); err != nil {
				t.Error(err)
			}
		})
		both.Wait()
		return
	}
	for name := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(os.Args[0], "-test.run=^TestRacesWithZstdAreFound$")
			cmd.Env = append(os.Environ(), "IVD_TEST_RACE="+name)
			if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "DATA RACE") {
				t.Errorf("no race is found: %v\n%s", err, out)
			}
		})
	}
}
