package text

import (
	"github.com/mattn/go-runewidth"

	"ivdmover/shared/telemetry"
)

// Width is how many columns a text takes on a terminal.
func Width(s string) int { return runewidth.StringWidth(s) }

// Cut is a text in so many columns at most: where it is longer, with … at its end.
func Cut(s string, columns int) string { return runewidth.Truncate(s, columns, "…") }

// Name is a name of others as it may go into a line of text.
func Name(s string) string { return Cut(telemetry.Safe(s), maxCell) }
