package format_test

import (
	"strings"
	"testing"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

// printedRecovery is how the secret 0, 1, … 31 is printed, for ever.
const printedRecovery = `000G-40R4-0M30-FNF2
104G-M2RC-1M70-YQKX
208H-44RM-2MB1-EKGJ
30CH-M6RW-3MF1-YPB2`

func countingKey() (k ivd.Key) {
	for i := range k {
		k[i] = byte(i)
	}
	return k
}

// What a person types of a sheet is read however it is written.
func TestRecovery(t *testing.T) {
	printed := strings.Join(format.RecoveryLines(countingKey()), "\n")
	if printed != printedRecovery {
		t.Errorf("printed:\n%s", printed)
	}
	for what, typed := range map[string]string{
		"as it is printed":  printed,
		"in lower case":     strings.ToLower(printed),
		"on one line":       strings.ReplaceAll(printed, "\n", " "),
		"without a dash":    strings.NewReplacer("-", "", "\n", "").Replace(printed),
		"letters for zeros": strings.NewReplacer("0", "O", "1", "l").Replace(printed),
		"of another system": strings.ReplaceAll(printed, "\n", "\r\n") + "\r\n",
	} {
		if got, like, err := format.ParseRecovery(typed); err != nil || !like || !got.Equal(countingKey()) {
			t.Errorf("%s: %t, %v", what, like, err)
		}
	}
}

// Every wrong letter, every swap of two neighbours and of two lines is found, and the
// line is named.
func TestRecoveryMistyped(t *testing.T) {
	printed := []byte(printedRecovery)
	refused := func(what, typed, says string) {
		t.Helper()
		_, like, err := format.ParseRecovery(typed)
		if ivd.KindOf(err) != ivd.Invalid || !like || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %t, %v, want %q", what, like, err, says)
		}
	}
	line := 1
	for i, b := range printed {
		if b == '\n' {
			line++
		}
		if b == '\n' || b == '-' {
			continue
		}
		for _, other := range []byte("0123456789ABCDEFGHJKMNPQRSTVWXYZ") {
			typed := append([]byte(nil), printed...)
			if typed[i] = other; other != b {
				refused(string(typed), string(typed), "line "+string(rune('0'+line)))
			}
		}
		if next := printed[min(i+1, len(printed)-1)]; next != b && next != '-' && next != '\n' {
			typed := append([]byte(nil), printed...)
			typed[i], typed[i+1] = next, b
			refused("swapped "+string(typed), string(typed), "line")
		}
	}
	lines := strings.Split(printedRecovery, "\n")
	for i := range lines {
		for j := range i {
			swapped := append([]string(nil), lines...)
			swapped[i], swapped[j] = lines[j], lines[i]
			refused("swapped lines", strings.Join(swapped, "\n"), "line")
		}
	}
	for _, text := range []string{"", "correct horse battery staple", strings.Join(lines[:3], ""), printedRecovery + "0", strings.Replace(printedRecovery, "G", "U", 1), strings.Replace(printedRecovery, "G", "é", 1)} {
		if _, like, err := format.ParseRecovery(text); like || ivd.KindOf(err) != ivd.Invalid {
			t.Errorf("%q: %t, %v", text, like, err)
		}
	}
}

// Whatever is typed is read without a panic, and what is taken is printed as it was.
func FuzzParseRecovery(f *testing.F) {
	f.Add(printedRecovery)
	f.Add(strings.ToLower(printedRecovery))
	f.Add("correct horse battery staple")
	f.Add(strings.Repeat("é", 64))
	f.Fuzz(func(t *testing.T, text string) {
		secret, _, err := format.ParseRecovery(text)
		if err != nil {
			return
		}
		if again, _, err := format.ParseRecovery(strings.Join(format.RecoveryLines(secret), "")); err != nil || !again.Equal(secret) {
			t.Errorf("%q is not what it was taken for: %v", text, err)
		}
	})
}
