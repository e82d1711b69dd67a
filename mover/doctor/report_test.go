package doctor

import (
	"strings"
	"testing"
)

// What a vCenter or a library calls things steers no terminal.
func TestOthersTextInTheReport(t *testing.T) {
	const evil = "a\x1b[2J\u202e\nforged\u009b"
	r := Report{Host: evil, Library: Library{Maker: evil}, Disk: &Disk{Datastore: evil}, Checks: []Check{{Name: evil, Detail: evil, Remedy: evil}}, Warnings: []string{evil}}
	var b strings.Builder
	if err := r.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	if got := b.String(); strings.ContainsAny(got, "\x1b\u202e\u009b") || strings.Contains(got, "\nforged") {
		t.Errorf("%q", got)
	}
}
