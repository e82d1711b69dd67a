package sheet

import (
	"fmt"
	"strings"
)

// columns is how wide the text is.
const columns = 78

// On a terminal the code is black on white, whatever colours it has: a code of light
// modules on a dark ground is not read by every camera.
const (
	onWhite  = "\x1b[30;107m"
	asBefore = "\x1b[0m"
)

// Text is the sheet for a printer, or for a terminal.
func (s Sheet) Text(terminal bool) (string, error) {
	c, err := s.code()
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString("RECOVERY SHEET of an encrypted ivdmover repository\n\n")
	wrap(&b, "", Warning)
	b.WriteByte('\n')
	for _, f := range s.Facts() {
		fmt.Fprintf(&b, "  %-12s %s\n", f.Name, f.Value)
	}
	b.WriteByte('\n')
	for _, line := range blocks(c) {
		if terminal {
			line = onWhite + line + asBefore
		}
		b.WriteString("  " + line + "\n")
	}
	b.WriteByte('\n')
	for i, line := range s.Lines() {
		fmt.Fprintf(&b, "  line %d   %s\n", i+1, line)
	}
	b.WriteString("\nThere is no letter I, L, O or U: what looks like one is 1, 1, 0 or V.\n\nWhen the passphrase is lost:\n")
	for i, step := range s.Steps() {
		wrap(&b, fmt.Sprintf("%d. ", i+1), step)
	}
	return b.String(), nil
}

// wrap writes a paragraph whose first line begins with a mark.
func wrap(b *strings.Builder, mark, text string) {
	indent := strings.Repeat(" ", len(mark))
	line := mark
	for i, word := range strings.Fields(text) {
		if i > 0 && len(line)+1+len(word) > columns {
			b.WriteString(strings.TrimRight(line, " ") + "\n")
			line = indent
		}
		if line != mark && line != indent {
			line += " "
		}
		line += word
	}
	b.WriteString(line + "\n")
}
