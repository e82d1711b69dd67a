package text

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// nasty is what a name may hold.
const nasty = "a\x1b[31mb\nc\u202ed\u009be\tf\u2028g\u200bh\xffi\U000e0041j"

func TestSafe(t *testing.T) {
	const want = `a\x1b[31mb\nc\u202ed\u009be\tf\u2028g\u200bh\xffi\ue0041j`
	if got := Safe(nasty); got != want {
		t.Errorf("%q\nwant %q", got, want)
	}
	for _, s := range []string{"", "data-01", "größe", "磁盘", "👩\u200d👧", "\ufffd", `a\b`} {
		if got := Safe(s); got != s {
			t.Errorf("%q became %q", s, got)
		}
	}
}

func FuzzSafe(f *testing.F) {
	f.Add(nasty)
	f.Fuzz(func(t *testing.T, s string) {
		for _, r := range Safe(s) {
			if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
				t.Fatalf("%q lets %q through", s, r)
			}
		}
		if !utf8.ValidString(Safe(s)) {
			t.Fatalf("%q is no UTF-8", Safe(s))
		}
		if got := Width(Cut(Safe(s), 10)); got > 10 {
			t.Fatalf("%q takes %d columns", Cut(Safe(s), 10), got)
		}
		b, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var was, is string
		if json.Unmarshal(b, &was) != nil || json.Unmarshal(EscapeJSON(b), &is) != nil || was != is {
			t.Fatalf("%q became %q", was, is)
		}
		if strings.ContainsFunc(string(EscapeJSON(b)), steers) {
			t.Fatalf("JSON %q", EscapeJSON(b))
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
