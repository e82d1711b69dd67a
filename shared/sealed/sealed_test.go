package sealed

import (
	"bytes"
	"encoding/hex"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"ivdmover/shared/ivd"
)

func newKey(t *testing.T) *Key {
	t.Helper()
	k, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestOpensForWhoAskedOnly(t *testing.T) {
	key, other := newKey(t), newKey(t)
	q := About("login", 1, "mover", "disk")
	for name, answer := range map[string][]byte{"short": []byte("secret"), "empty": {}, "long": bytes.Repeat([]byte("secret"), 1<<16)} {
		t.Run(name, func(t *testing.T) {
			sealed, err := Seal(key.Public(), q, answer)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := key.Open(q, sealed); err != nil || !bytes.Equal(got, answer) {
				t.Fatalf("%d bytes, %v", len(got), err)
			}
			if len(answer) > 0 && bytes.Contains(sealed, answer[:6]) {
				t.Error("the answer is in the seal as it is")
			}
			again, err := Seal(key.Public(), q, answer)
			if err != nil || bytes.Equal(again, sealed) {
				t.Errorf("two seals are the same, %v", err)
			}
			if _, err := other.Open(q, sealed); ivd.KindOf(err) != ivd.Denied {
				t.Errorf("another key: %v", err)
			}
			for name, wrong := range map[string]Question{
				"purpose":         About("keys", 1, "mover", "disk"),
				"version":         About("login", 2, "mover", "disk"),
				"part":            About("login", 1, "mover", "dusk"),
				"order of parts":  About("login", 1, "disk", "mover"),
				"border of parts": About("login", 1, "mover disk"),
				"fewer parts":     About("login", 1, "mover"),
				"nothing":         nil,
			} {
				if _, err := key.Open(wrong, sealed); ivd.KindOf(err) != ivd.Denied {
					t.Errorf("another %s: %v", name, err)
				}
			}
		})
	}
}

func TestWhatWasChangedDoesNotOpen(t *testing.T) {
	key, q := newKey(t), About("login", 1, "disk")
	sealed, err := Seal(key.Public(), q, []byte("pa55word"))
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, b []byte) {
		answer, err := key.Open(q, b)
		if ivd.KindOf(err) != ivd.Denied || answer != nil {
			t.Errorf("%s: %q, %v", what, answer, err)
		} else if strings.Contains(err.Error(), "pa55word") {
			t.Errorf("%s: the answer is in the error: %v", what, err)
		}
	}
	for _, i := range []int{0, len(sealed) / 2, len(sealed) - 1} {
		spoiled := slices.Clone(sealed)
		spoiled[i] ^= 1
		check("changed", spoiled)
	}
	for _, n := range []int{0, 1, 1119, 1120, len(sealed) - 1} {
		check("cut", sealed[:n])
	}
	check("longer", append(slices.Clone(sealed), 0))
}

func TestSealRefusesWhatIsNoKey(t *testing.T) {
	key := newKey(t).Public()
	for _, b := range [][]byte{nil, []byte("no key"), key[1:], append(key, 0)} {
		if _, err := Seal(b, nil, []byte("a")); ivd.KindOf(err) != ivd.Invalid {
			t.Errorf("%d bytes: %v", len(b), err)
		}
	}
}

// Questions that differ in any part are different, whatever is in the parts.
func TestQuestionsDiffer(t *testing.T) {
	part := rapid.SampledFrom([]string{"", "a", "b", " ", "\"", "\\", "a\" \"b", "\x00", "\xff"})
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.SliceOfN(part, 0, 4).Draw(t, "a"), rapid.SliceOfN(part, 0, 4).Draw(t, "b")
		same := bytes.Equal(About("p", 1, a...), About("p", 1, b...))
		if same != slices.Equal(a, b) {
			t.Fatalf("%q and %q make %q and %q", a, b, About("p", 1, a...), About("p", 1, b...))
		}
	})
}

// What another release sealed opens: the suite and the form of questions are part
// of what movers and coordinators of different releases say to each other.
func TestOpensWhatIsKept(t *testing.T) {
	read := func(name string) []byte {
		text, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		b, err := hex.DecodeString(strings.ReplaceAll(strings.TrimSpace(string(text)), "\n", ""))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	kem, _, _ := suite()
	private, err := kem.NewPrivateKey(read("key.hex"))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := (&Key{private}).Open(About("login", 1, "proxy-1", "a \"quoted\" disk"), read("answer.hex"))
	if err != nil || string(answer) != "what was sealed" {
		t.Fatalf("%q, %v", answer, err)
	}
}
