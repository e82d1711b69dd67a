package serve

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/uuid"
	"golang.org/x/sys/unix"

	"ivdmover/shared/ivd"
)

// state is the coordinator's folder, locked for this process by the kernel, which
// lets go of it however the process ends.
type state struct {
	lock     *os.File
	instance string // names this coordinator in the records of its runs; the same after a restart
	file     string // of the token
	token    ivd.Secret
}

// TokenFile is where, below a state folder, the API's token is for the command line of the
// same user.
func TokenFile(dir string) string { return filepath.Join(dir, "api.token") }

// checkState finds what openState would end of, without making or locking anything.
func checkState(dir string) error {
	there := dir
	for {
		info, err := os.Stat(there)
		switch {
		case err == nil && !info.IsDir():
			return &ivd.Error{Kind: ivd.Invalid, Op: "state_dir", Err: fmt.Errorf("%s is no folder", there), Remedy: "name another state_dir"}
		case err == nil && there == dir:
			return errors.Join(closed(dir), writable(dir))
		case err == nil:
			return writable(there) // it is to be made
		case !errors.Is(err, fs.ErrNotExist) || there == filepath.Dir(there):
			return &ivd.Error{Kind: ivd.Invalid, Op: "state_dir", Err: err, Remedy: stateRemedy}
		}
		there = filepath.Dir(there)
	}
}

func writable(dir string) error {
	if err := unix.Access(dir, unix.W_OK|unix.X_OK); err != nil {
		return &ivd.Error{Kind: ivd.Invalid, Op: "state_dir", Err: fmt.Errorf("%s: %w", dir, err), Remedy: stateRemedy + "; check as the user of `ivd serve`"}
	}
	return nil
}

const stateRemedy = "check state_dir and its rights"

func openState(dir string) (*state, error) {
	const remedy = stateRemedy
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, &ivd.Error{Kind: ivd.Invalid, Op: "make the state folder", Err: err, Remedy: remedy}
	}
	if err := closed(dir); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, &ivd.Error{Kind: ivd.Denied, Op: "lock the state folder", Err: err, Remedy: remedy}
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		e := &ivd.Error{Kind: ivd.Locked, Op: "state folder " + dir, Err: errors.New("another `ivd serve` uses it"), Remedy: "end that one, or set another state_dir"}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			e.Kind, e.Err, e.Remedy = ivd.Denied, err, "put state_dir on a local file system"
		}
		return nil, e
	}
	s := &state{lock: f}
	if s.instance, err = instance(dir); err != nil {
		s.close()
		return nil, &ivd.Error{Kind: ivd.Denied, Op: "state folder " + dir, Err: err, Remedy: remedy}
	}
	// A new one at each start: what somebody got who listened in our place is void.
	s.file, s.token = TokenFile(dir), ivd.Secret(rand.Text())
	if err := replace(s.file, s.token.Reveal()+"\n"); err != nil {
		s.close()
		return nil, &ivd.Error{Kind: ivd.Denied, Op: "write the API's token", Err: err, Remedy: remedy}
	}
	return s, nil
}

// tellRoot writes what the root key of an encrypted repository is, for movers that share
// the state folder; of a plain one there is no such file.
func tellRoot(file string, root ivd.KeyID) error {
	var err error
	if root.IsZero() {
		if err = os.Remove(file); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	} else {
		err = replace(file, root.String()+"\n")
	}
	if err != nil {
		return &ivd.Error{Kind: ivd.Denied, Op: "say what the repository's root key is", Err: err, Remedy: stateRemedy}
	}
	return nil
}

// replace writes a file of this user's alone, whole.
func replace(file, text string) error {
	next := file + ".new"
	if err := os.WriteFile(next, []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(next, file)
}

// closed refuses a folder in which others could put files of their own in the place of
// ours.
func closed(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return &ivd.Error{Kind: ivd.Denied, Op: "state folder", Err: err, Remedy: "check state_dir and its rights"}
	}
	if info.Mode().Perm()&0o022 != 0 {
		return &ivd.Error{
			Kind: ivd.Denied, Op: "state folder " + dir, Err: fmt.Errorf("others may write to it (%s)", info.Mode()),
			Remedy: "chmod go-w " + dir,
		}
	}
	return nil
}

// instance reads the folder's own name, which is made once.
func instance(dir string) (string, error) {
	file := filepath.Join(dir, "instance")
	text, err := os.ReadFile(file)
	if err == nil {
		if id, err := uuid.Parse(strings.TrimSpace(string(text))); err == nil {
			return id.String(), nil
		}
		return "", fmt.Errorf("%s holds no UUID", file)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	id := uuid.NewString()
	return id, replace(file, id+"\n")
}

func (s *state) close() {
	if s.file != "" {
		_ = os.Remove(s.file) // it lets nobody in any more
	}
	_ = s.lock.Close() // nothing was written to it
}
