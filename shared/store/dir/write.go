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
// synced after it. A folder that was removed meanwhile is made once more.
func (s *Store) into(name store.Name, place func() error) error {
	folder := path.Dir(string(name))
	if err := s.makeDir(folder); err != nil {
		return err
	}
	err := place()
	if errors.Is(err, fs.ErrNotExist) {
		s.forget(folder)
		if err := s.makeDir(folder); err != nil {
			return err
		}
		err = place()
	}
	if err != nil {
		return err
	}
	return s.syncDir(folder)
}

// write makes a synced file of a random name in a folder of the store's own, and
// removes it again where that fails.
func (s *Store) write(ctx context.Context, folder string, body []byte) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if err := s.makeDir(folder); err != nil {
		return "", err
	}
	temp := path.Join(folder, uuid.NewString())
	f, err := s.create(temp, folder)
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

// create makes an empty file, and its folder again where that has gone.
func (s *Store) create(name, folder string) (*os.File, error) {
	const flags = os.O_WRONLY | os.O_CREATE | os.O_EXCL
	f, err := s.root.OpenFile(name, flags, fileMode)
	if errors.Is(err, fs.ErrNotExist) {
		s.forget(folder)
		if err := s.makeDir(folder); err != nil {
			return nil, err
		}
		f, err = s.root.OpenFile(name, flags, fileMode)
	}
	return f, err
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
