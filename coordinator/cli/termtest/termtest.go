// Package termtest is a terminal for tests: a pseudo-terminal of the kernel's, and
// what a person would see on it. A program that writes to its File behaves as on
// a terminal; the test reads the screen.
//
// It understands what bars need of ECMA-48 (cursor up, erase below) and nothing
// else: any other control sequence fails the test.
package termtest

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// patience bounds how long a test waits for what it wants to see.
const patience = 20 * time.Second

// Terminal is a screen of a given size.
type Terminal struct {
	File *os.File // for the program to write to

	t      *testing.T
	master *os.File
	width  int
	height int

	mu      sync.Mutex
	lines   [][]rune // all that was ever shown; the last ones are on the screen
	row     int      // the cursor's, in lines
	column  int
	bad     string // a control sequence that is not understood
	bells   int
	changed chan struct{}
}

// Open makes a terminal, which is closed at the test's end.
func Open(t *testing.T, width, height int) *Terminal {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(int(master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: uint16(height), Col: uint16(width)})
	}
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	term := &Terminal{File: file, t: t, master: master, width: width, height: height, lines: [][]rune{nil}, changed: make(chan struct{}, 1)}
	read := make(chan struct{})
	go func() { defer close(read); term.read(bufio.NewReader(master)) }()
	t.Cleanup(func() {
		_ = file.Close()
		<-read // ends when nobody has the terminal any more
		_ = master.Close()
	})
	return term
}

// Type types, as a person at the keyboard does: "\x03" is Ctrl-C.
func (term *Terminal) Type(s string) {
	term.t.Helper()
	if _, err := term.master.WriteString(s); err != nil {
		term.t.Fatal(err)
	}
}

// Screen is all that was shown and not erased, line by line, without trailing
// spaces. What has scrolled off the top is a part of it.
func (term *Terminal) Screen() string {
	term.mu.Lock()
	defer term.mu.Unlock()
	if term.bad != "" {
		term.t.Fatalf("control sequence %q", term.bad)
	}
	var lines []string
	for _, l := range term.lines {
		lines = append(lines, strings.TrimRight(string(l), " "))
	}
	return strings.Join(lines, "\n")
}

// Await waits until the screen is as want says.
func (term *Terminal) Await(what string, want func(screen string) bool) string {
	term.t.Helper()
	limit := time.After(patience)
	for {
		screen := term.Screen()
		if want(screen) {
			return screen
		}
		select {
		case <-term.changed:
		case <-limit:
			term.t.Fatalf("no %s on the screen:\n%s", what, screen)
		}
	}
}

// Settle waits until all that was written is shown.
func (term *Terminal) Settle() {
	term.t.Helper()
	bells := func() int {
		term.mu.Lock()
		defer term.mu.Unlock()
		return term.bells
	}
	before := bells()
	if _, err := term.File.WriteString("\a"); err != nil {
		term.t.Fatal(err)
	}
	term.Await("bell", func(string) bool { return bells() > before })
}

// read shows what is written, until the terminal is closed.
func (term *Terminal) read(from *bufio.Reader) {
	for {
		r, _, err := from.ReadRune()
		if err != nil {
			return
		}
		term.mu.Lock()
		switch r {
		case '\x1b':
			term.control(from)
		case '\r':
			term.column = 0
		case '\n':
			term.down()
		case '\a':
			term.bells++
		default:
			term.put(r)
		}
		term.mu.Unlock()
		select {
		case term.changed <- struct{}{}:
		default:
		}
	}
}

func (term *Terminal) down() {
	if term.row++; term.row == len(term.lines) {
		term.lines = append(term.lines, nil)
	}
}

// put writes a rune, on the next line where this one is full.
func (term *Terminal) put(r rune) {
	if term.column == term.width {
		term.column = 0
		term.down()
	}
	line := term.lines[term.row]
	for len(line) <= term.column {
		line = append(line, ' ')
	}
	line[term.column] = r
	term.lines[term.row] = line
	term.column++
}

func (term *Terminal) control(from *bufio.Reader) {
	sequence := ""
	for !strings.ContainsAny(sequence, "ABCDHJKhlm") {
		r, _, err := from.ReadRune()
		if err != nil {
			return
		}
		sequence += string(r)
	}
	up, isUp := strings.CutSuffix(strings.TrimPrefix(sequence, "["), "A")
	n, err := strconv.Atoi(up)
	switch {
	case isUp && err == nil: // no higher than the screen's first line
		term.row = max(term.row-n, len(term.lines)-term.height, 0)
	case sequence == "[J":
		term.lines = term.lines[:term.row+1]
		if line := term.lines[term.row]; len(line) > term.column {
			term.lines[term.row] = line[:term.column]
		}
	default:
		term.bad = sequence
	}
}
