// Package sheet draws a recovery sheet: a page on paper that opens an encrypted
// repository when its passphrase is lost, with its secret as a QR code and in letters
// that a person can type, and with what must be known to use it years later.
//
// It draws, and neither makes the secret nor stores anything. What it draws is secret as
// a whole.
package sheet

import (
	"fmt"
	"strings"
	"time"

	"rsc.io/qr"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/keys"
)

// Sheet is what a recovery sheet says.
type Sheet struct {
	Recovery keys.Recovery
	URL      string // the repository's
	Endpoint string // of its store; empty: there is none, or the usual one
	Domain   ivd.DomainID
	Slot     int
	Name     string // the slot's
	Created  time.Time
	Heads    []Fact // the last record of each coordinator, by which an earlier state is noticed
}

// Fact is a line of the sheet.
type Fact struct{ Name, Value string }

// Facts are what tells this repository from others.
func (s Sheet) Facts() []Fact {
	facts := []Fact{{"repository", s.Recovery.Repository}, {"at", s.URL}}
	if s.Endpoint != "" {
		facts = append(facts, Fact{"endpoint", s.Endpoint})
	}
	facts = append(facts,
		Fact{"root key", s.Recovery.Root.String()},
		Fact{"domain", s.Domain.String()},
		Fact{"slot", fmt.Sprintf("%d, %s", s.Slot, s.Name)},
		Fact{"made", s.Created.UTC().Format(time.RFC3339)},
	)
	return append(facts, s.Heads...)
}

// Lines are the secret in letters.
func (s Sheet) Lines() []string { return format.RecoveryLines(s.Recovery.Secret) }

// Warning is what whoever finds the sheet must know.
const Warning = "Keep this sheet locked away, apart from the store. Whoever has it, and can read the store, reads all that was backed up."

// Steps say how the sheet is used, to who may never have seen ivd.
func (s Sheet) Steps() []string {
	return []string{
		"Get ivd, of any release that reads format 1, and what gives access to the store. Write a configuration, ivd.yaml, whose repository.url (and endpoint) are those above.",
		"Compare the root key above with the one that `ivd repo info --config ivd.yaml` shows. Where they differ, it is another repository, or somebody has changed it. A repository whose generations or records are lower than those above was brought back to an earlier state, and lacks what came after.",
		"Write the four lines, one after the other on one line, or what the code says, to a file that only you can read, and name it as repository.passphrase_file. Upper and lower case, spaces and dashes do not matter; a line that is mistyped is named. Everything works with it as with a passphrase: list the restore points, restore them.",
		fmt.Sprintf("Give the repository a new passphrase: `ivd repo key add --config ivd.yaml --name NAME`. If others may have seen this sheet, remove its slot then: `ivd repo key remove %d --config ivd.yaml`, with the new passphrase.", s.Slot),
		"Without ivd: its document format.md says how everything is stored and sealed. The four lines are Crockford's base32; of the ten bytes of each the last two are a checksum (CRC-16/CCITT-FALSE of the line's number and the eight bytes before), and the 32 others are the secret of the slot above, which is of the kind key_file.",
	}
}

// code is the QR code, which a quarter of may be lost.
func (s Sheet) code() (*qr.Code, error) {
	c, err := qr.Encode(s.Recovery.Text(), qr.Q)
	if err != nil {
		return nil, fmt.Errorf("draw the code of a recovery sheet: %w", err)
	}
	return c, nil
}

// quiet is the white that a QR code needs around it, in modules.
const quiet = 4

// blocks draws a code in lines of half blocks, two modules high each, ink for what is
// dark.
func blocks(c *qr.Code) []string {
	var lines []string
	for y := -quiet; y < c.Size+quiet; y += 2 {
		var line strings.Builder
		for x := -quiet; x < c.Size+quiet; x++ {
			line.WriteString([]string{" ", "▀", "▄", "█"}[b2i(c.Black(x, y))+2*b2i(c.Black(x, y+1))])
		}
		lines = append(lines, line.String())
	}
	return lines
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
