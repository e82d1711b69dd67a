package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"ivdmover/shared/ivd"
)

// secretFile is a file that a secret is written to, for this user alone. Its name is
// taken before the secret is of any use, and it has nothing in it until then, so that no
// file seems to open what it does not.
type secretFile struct {
	f *os.File // nil: it is written, or was given up
}

// newSecretFile takes a name that is free.
func newSecretFile(path string) (*secretFile, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	switch {
	case errors.Is(err, fs.ErrExist):
		return nil, &ivd.Error{Kind: ivd.Exists, Err: fmt.Errorf("%s is there already, and is not overwritten", path), Remedy: "give another name, or remove it"}
	case err != nil:
		return nil, &ivd.Error{Kind: ivd.Unmet, Err: err, Remedy: "give a file in a folder that this user may write to"}
	}
	return &secretFile{f}, nil
}

// write writes the secret, durably.
func (s *secretFile) write(content []byte) error {
	_, err := s.f.Write(content)
	if err == nil {
		err = s.f.Sync()
	}
	if err == nil {
		err = syncFolder(filepath.Dir(s.f.Name()))
	}
	if err != nil {
		return err // and it is given up
	}
	err = s.f.Close()
	s.f = nil
	return err
}

func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// giveUp removes a file that was not written. It is safe after write.
func (s *secretFile) giveUp() {
	if s == nil || s.f == nil {
		return
	}
	_ = s.f.Close()
	_ = os.Remove(s.f.Name()) // what stays is empty, or not whole
	s.f = nil
}
