package telemetry

import (
	"encoding/json"
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
		b, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var was, is string
		if json.Unmarshal(b, &was) != nil || json.Unmarshal(EscapeJSON(b), &is) != nil || was != is {
			t.Fatalf("%q became %q", was, is)
		}
		if Steers(string(EscapeJSON(b))) {
			t.Fatalf("JSON %q", EscapeJSON(b))
		}
	})
}
