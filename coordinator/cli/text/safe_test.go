package text

import (
	"strings"
	"testing"
)

func FuzzCut(f *testing.F) {
	f.Add("磁盘 e\u0301 \x1b")
	f.Fuzz(func(t *testing.T, s string) {
		if got := Width(Name(s)); got > maxCell {
			t.Fatalf("%q takes %d columns", Name(s), got)
		}
	})
}

// Columns stand where a terminal has them: a wide character takes two, and long names
// are cut.
func TestTableOfOthersNames(t *testing.T) {
	table := Table{Columns: []Column{Left("NAME"), Left("ON")}}
	table.Row("磁盘", "x")
	table.Row("e\u0301", "x")
	table.Row("a\nb\x1b", "x")
	table.Row(strings.Repeat("n", 300), "x")
	var b strings.Builder
	if err := table.Write(&b); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	if len(lines) != 5 {
		t.Fatalf("%d lines:\n%s", len(lines), b.String())
	}
	for _, l := range lines[1:] {
		if at := Width(l[:strings.LastIndex(l, "x")]); at != maxCell+len(gap) {
			t.Errorf("the second column is at %d: %q", at, l)
		}
	}
	if !strings.Contains(b.String(), "n…") || strings.Contains(b.String(), "\x1b") {
		t.Errorf("%q", b.String())
	}
}
