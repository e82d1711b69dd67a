package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"ivdmover/coordinator/keyring"
	"ivdmover/shared/ivd"
)

// askPassphrase asks a person for the passphrase of a repository that is there; nil
// where nobody can be asked.
func (a *app) askPassphrase() keyring.Ask {
	if !a.attended() {
		return nil
	}
	return func(ctx context.Context) (ivd.Secret, error) {
		return a.askSecret(ctx, "Passphrase of the repository: ")
	}
}

// askNewPassphrase asks a person for a passphrase, twice; nil where nobody can be asked.
func (a *app) askNewPassphrase() keyring.Ask {
	if !a.attended() {
		return nil
	}
	return func(ctx context.Context) (ivd.Secret, error) {
		p, err := a.askSecret(ctx, "New passphrase of the repository: ")
		if err != nil {
			return "", err
		}
		a.warnWeak(p)
		again, err := a.askSecret(ctx, "The same again: ")
		if err != nil {
			return "", err
		}
		if p != again {
			return "", &ivd.Error{Kind: ivd.Invalid, Err: errors.New("the two passphrases differ"), Remedy: "run the command again"}
		}
		return p, nil
	}
}

// attended reports whether a person can be asked.
func (a *app) attended() bool { return a.in != nil && term.IsTerminal(int(a.in.Fd())) }

// askSecret has a person type a line, which is not shown. It promises that the terminal
// shows what is typed again afterwards, also when ctx ends.
func (a *app) askSecret(ctx context.Context, prompt string) (ivd.Secret, error) {
	show, err := hideTyping(a.in)
	if err != nil {
		return "", fmt.Errorf("ask on the terminal: %w", err)
	}
	defer fmt.Fprintln(a.errs)
	defer show()
	fmt.Fprint(a.errs, prompt)
	type answer struct {
		line string
		err  error
	}
	answered := make(chan answer, 1)
	// A read of a terminal cannot be interrupted: when ctx ends, this goroutine ends
	// with the process.
	go func() {
		line, err := readLine(a.in)
		answered <- answer{line, err}
	}()
	select {
	case <-ctx.Done():
		return "", context.Cause(ctx)
	case got := <-answered:
		switch {
		case got.err != nil:
			return "", &ivd.Error{Kind: ivd.Invalid, Err: fmt.Errorf("no passphrase was given: %w", got.err), Remedy: "run the command again"}
		case got.line == "":
			return "", &ivd.Error{Kind: ivd.Invalid, Err: errors.New("the passphrase is empty"), Remedy: "run the command again"}
		}
		return ivd.Secret(got.line), nil
	}
}

// hideTyping has a terminal no longer show what is typed, until show is called.
func hideTyping(tty *os.File) (show func(), err error) {
	fd := int(tty.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return nil, err
	}
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return nil, err
	}
	t.Lflag &^= unix.ECHO
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, t); err != nil {
		return nil, err
	}
	return func() { _ = term.Restore(fd, before) }, nil // a terminal that is gone shows nothing
}

// readLine reads a line, byte by byte: what is behind it is another reader's.
func readLine(from io.Reader) (string, error) {
	var line []byte
	for b := make([]byte, 1); ; {
		n, err := from.Read(b)
		switch {
		case n == 0 && err != nil:
			return "", err
		case n > 0 && b[0] == '\n':
			return string(line), nil
		case n > 0:
			line = append(line, b[0])
		}
	}
}

// What a passphrase should have: whoever copies the bucket can try guesses for years.
const (
	fairLength   = 16 // characters
	fairDistinct = 8  // of them different
)

// warnWeak says so of a passphrase that can be guessed. It is the user's to choose.
func (a *app) warnWeak(p ivd.Secret) {
	distinct := map[rune]bool{}
	for _, c := range strings.ToLower(p.Reveal()) {
		distinct[c] = true
	}
	if utf8.RuneCountInString(p.Reveal()) < fairLength || len(distinct) < fairDistinct {
		fmt.Fprintf(a.errs, "ivd: this passphrase is weak: whoever gets a copy of the repository can try guesses as long as they like; five random words, or %d random characters, are better\n", fairLength)
	}
}
