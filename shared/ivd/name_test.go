package ivd

import (
	"regexp"
	"strings"
	"testing"
)

// The grammar of sources and disks, byte by byte and at its length.
func TestIsName(t *testing.T) {
	grammar := regexp.MustCompile(`^[0-9a-z][0-9a-z.-]{0,127}$`)
	texts := []string{"", strings.Repeat("a", 128), strings.Repeat("a", 129)}
	for c := range 256 {
		texts = append(texts, string([]byte{byte(c)}), "a"+string([]byte{byte(c)}), "a"+string([]byte{byte(c)})+"b")
	}
	for _, s := range texts {
		if got, want := isName(s), grammar.MatchString(s) && s != "a\n"; got != want {
			t.Errorf("%q: %t, want %t", s, got, want)
		}
	}
}
