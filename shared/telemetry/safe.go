package telemetry

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Safe is a text of others, such as a disk's name, as it may go to a terminal: on one
// line, with what would steer the terminal, turn the direction of writing or not be
// seen shown as its code, such as \x1b or \u202e.
func Safe(s string) string {
	if !strings.ContainsFunc(s, steers) && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], string(utf8.RuneError)):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case steers(r) && r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		case steers(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// steers reports whether a character is a control, a format character or a separator
// of lines. The two joiners that scripts and emoji need are none.
func steers(r rune) bool {
	const nonJoiner, joiner = '\u200c', '\u200d'
	if r == nonJoiner || r == joiner {
		return false
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co)
}

// Steers reports whether a text has characters that Safe shows as their codes.
func Steers(s string) bool { return strings.ContainsFunc(s, steers) }

// EscapeJSON is JSON in which the characters that Safe shows as their codes are
// escapes. Its own line breaks stay.
func EscapeJSON(b []byte) []byte {
	return escape(b, func(r rune) string {
		if r > 0xffff { // a surrogate pair
			return fmt.Sprintf(`\u%04x\u%04x`, 0xd800+(r-0x10000)>>10, 0xdc00+(r-0x10000)&0x3ff)
		}
		return fmt.Sprintf(`\u%04x`, r)
	})
}

// EscapeYAML is likewise of YAML, in which only texts in double quotes may have such
// characters.
func EscapeYAML(b []byte) []byte {
	return escape(b, func(r rune) string {
		if r > 0xffff {
			return fmt.Sprintf(`\U%08x`, r)
		}
		return fmt.Sprintf(`\u%04x`, r)
	})
}

// escape puts codes for what steers; the formats have their own for ASCII.
func escape(b []byte, code func(rune) string) []byte {
	s := string(b)
	raw := func(r rune) bool { return r >= 0x7f && steers(r) }
	if !strings.ContainsFunc(s, raw) {
		return b
	}
	var out strings.Builder
	for _, r := range s {
		if raw(r) {
			out.WriteString(code(r))
		} else {
			out.WriteRune(r)
		}
	}
	return []byte(out.String())
}

// escaped writes JSON as EscapeJSON has it, line by line.
type escaped struct{ w io.Writer }

func (e escaped) Write(b []byte) (int, error) {
	if _, err := e.w.Write(EscapeJSON(b)); err != nil {
		return 0, err
	}
	return len(b), nil
}
