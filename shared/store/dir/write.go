package dir

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"time"

	"github.com/google/uuid"

	"ivdmover/shared/ivd"
	"ivdmover/shared/store"
)

// pieceSize is how much is written between two looks at the context.
const pieceSize = 1 << 20

// Put writes a temporary file, syncs it, renames it into its place and syncs the
// folder.
func (s *Store) Put(ctx context.Context, name store.Name, body []byte) error {
	if err := name.Validate(); err != nil {
		return err
	}
	if err := s.mayWrite(); err != nil {
		return s.failed("put "+string(name), err)
	}
	temp, err := s.write(ctx, tempDir, body)
	if err != nil {
		return s.failed("put "+string(name), racing(err))
	}
	if err := s.into(name, func() error { return s.root.Rename(temp, string(name)) }); err != nil {
		_ = s.root.Remove(temp) // best effort: sweep finds what stays
		return s.failed("put "+string(name), racing(err))
	}
	return nil
}

// into runs an operation that places an object, with its folder made before and
// synced after it.
func (s *Store) into(name store.Name, place func() error) error {
	folder := path.Dir(string(name))
	if err := s.within(folder, place); err != nil {
		return err
	}
	return s.syncDir(folder)
}

// removals is how often a folder may vanish under one writer: whoever takes the last file
// out of a folder removes it, between the making of the folder and of the next file in it.
const removals = 50

// within makes a folder and runs an operation in it, and both again where somebody has
// removed the folder meanwhile.
func (s *Store) within(folder string, do func() error) error {
	for n := 1; ; n++ {
		err := s.makeDir(folder)
		if err == nil {
			err = do()
		}
		if !errors.Is(err, fs.ErrNotExist) || n == removals || s.there() != nil {
			return err
		}
		s.forget(folder)
	}
}

// write makes a synced file of a random name in a folder of the store's own, and
// removes it again where that fails.
func (s *Store) write(ctx context.Context, folder string, body []byte) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	f, temp, err := s.create(folder)
	if err != nil {
		return "", err
	}
	err = writeAll(ctx, f, body)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return "", errors.Join(err, s.root.Remove(temp))
	}
	return temp, nil
}

// create makes an empty file of a random name, and its folder where that is not there.
func (s *Store) create(folder string) (f *os.File, name string, err error) {
	name = path.Join(folder, uuid.NewString())
	err = s.within(folder, func() (err error) {
		f, err = s.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
		return err
	})
	return f, name, err
}

func writeAll(ctx context.Context, f *os.File, body []byte) error {
	for len(body) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := f.Write(body[:min(len(body), pieceSize)])
		if err != nil {
			return err
		}
		body = body[n:]
	}
	return nil
}

// Delete removes the file and syncs its folder: a point that is confirmed to be
// gone does not come back with a crash.
func (s *Store) Delete(ctx context.Context, name store.Name) error {
	op := "delete " + string(name)
	ctx, cancel := store.Deleting(ctx)
	defer cancel()
	if err := cmp.Or(name.Validate(), s.mayWrite(), store.Late(ctx)); err != nil {
		return s.failed(op, err)
	}
	err := s.root.Remove(string(name))
	if errors.Is(err, fs.ErrNotExist) {
		// Perhaps an earlier call removed it and died before the sync.
		if err = s.syncDir(path.Dir(string(name))); errors.Is(err, fs.ErrNotExist) {
			err = s.there()
		}
		return s.failed(op, err)
	}
	if err == nil {
		err = s.syncDir(path.Dir(string(name)))
	}
	return s.failed(op, err)
}

// abandoned is the age at which a temporary file has no writer any more: none
// takes a day for one object, and one that does fails at its rename.
const abandoned = 24 * time.Hour

// sweep removes the temporary files of writers that died. What it cannot remove
// stays: it is no object, and costs space only. Its error is that of a folder that
// cannot be written to, whatever its mode says.
func (s *Store) sweep() error {
	now, err := s.now()
	if err != nil {
		if kind, _ := classify(err, s.path); kind == ivd.Denied {
			return err
		}
		return nil // a full one can still be read and deleted from
	}
	s.sweepStaging(now)
	s.sweepOld(tempDir, now)
	return nil
}
