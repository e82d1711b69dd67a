package main

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"ivdmover/shared/supervise"
)

// What others wrote steers no terminal in the program's own line either, nor in what
// it leaves for `ivd serve`.
func TestOthersTextInTheReport(t *testing.T) {
	file := filepath.Join(t.TempDir(), "reason")
	t.Setenv(supervise.ReasonVariable, file)
	report(errors.New("open disk \x1b[2J\u202e\u009b: no\nsuch disk"))
	text, err := os.ReadFile(file)
	if want := `open disk \x1b[2J\u202e\u009b: no; such disk`; err != nil || string(text) != want {
		t.Errorf("%q, %v, want %q", text, err, want)
	}
}
