package text

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mattn/go-runewidth"
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

// Width is how many columns a text takes on a terminal.
func Width(s string) int { return runewidth.StringWidth(s) }

// Cut is a text in so many columns at most: where it is longer, with … at its end.
func Cut(s string, columns int) string { return runewidth.Truncate(s, columns, "…") }

// Name is a name of others as it may go into a line of text.
func Name(s string) string { return Cut(Safe(s), maxCell) }

// EscapeJSON is JSON in which the characters that Safe shows as their codes are
// escapes. Its own line breaks stay.
func EscapeJSON(b []byte) []byte {
	s := string(b)
	if !strings.ContainsFunc(s, func(r rune) bool { return r >= 0x7f && steers(r) }) {
		return b
	}
	var out strings.Builder
	for _, r := range s {
		switch {
		case r < 0x7f || !steers(r):
			out.WriteRune(r)
		case r > 0xffff: // a surrogate pair
			fmt.Fprintf(&out, `\u%04x\u%04x`, 0xd800+(r-0x10000)>>10, 0xdc00+(r-0x10000)&0x3ff)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	return []byte(out.String())
}
