package dir

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"ivdmover/shared/ivd"
	"ivdmover/shared/pause"
	"ivdmover/shared/store"
)

// lockFile is what whoever replaces an object holds locked meanwhile. It is never
// removed: who waits for it has it open.
const lockFile = ".replace"

// lockEvery is how often it is tried for.
const lockEvery = 20 * time.Millisecond

// Replace renames a new file over the old one, with a lock of the whole folder held
// from the look at the old one on. The kernel has one holder of it at a time, of this
// process or another, also where the folder is an NFS mount, and frees it when its
// holder dies, so that it is never left behind. Everybody who replaces takes it; Put
// does not, and is not used for what is replaced.
func (s *Store) Replace(ctx context.Context, was store.Object, body []byte) error {
	op := "replace " + string(was.Name)
	if err := cmp.Or(was.Name.Validate(), s.mayWrite()); err != nil {
		return s.failed(op, err)
	}
	temp, err := s.write(ctx, tempDir, body)
	if err != nil {
		return s.failed(op, racing(err))
	}
	if err := s.replace(ctx, was, temp); err != nil {
		_ = s.root.Remove(temp) // best effort: sweep finds what stays
		return s.failed(op, racing(err))
	}
	return nil
}

func (s *Store) replace(ctx context.Context, was store.Object, temp string) error {
	lock, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer lock.Close() // which unlocks it
	f, info, err := s.open(ctx, was.Name)
	if errors.Is(err, fs.ErrNotExist) {
		err = cmp.Or(s.there(), error(&ivd.Error{Kind: ivd.Conflict, Err: errors.New("it is gone")}))
	}
	if err != nil {
		return err
	}
	defer f.Close()
	now := make([]byte, min(info.Size, int64(len(was.Body))+1))
	if _, err := io.ReadFull(f, now); err != nil {
		return short(err)
	}
	if !bytes.Equal(now, was.Body) {
		if err := s.syncDir(path.Dir(string(was.Name))); err != nil {
			return err // what is there now may be what its writer does not know to be stored
		}
		return ivd.Errorf(ivd.Conflict, "it is not what was read")
	}
	return s.into(was.Name, func() error { return s.root.Rename(temp, string(was.Name)) })
}

// lock waits for the folder's lock, which closing the file gives up.
func (s *Store) lock(ctx context.Context) (*os.File, error) {
	f, err := s.root.OpenFile(lockFile, os.O_RDWR|os.O_CREATE, fileMode)
	if err != nil {
		return nil, err
	}
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return f, nil
		case errors.Is(err, syscall.ENOSYS), errors.Is(err, syscall.EOPNOTSUPP), errors.Is(err, syscall.ENOLCK):
			err = &ivd.Error{Kind: ivd.Unsupported, Err: err, Remedy: "use a file system with locks (of NFS: not mounted with nolock)"}
		case errors.Is(err, syscall.EWOULDBLOCK), errors.Is(err, syscall.EINTR):
			if err = pause.For(ctx, lockEvery); err == nil {
				continue
			}
		}
		return nil, errors.Join(err, f.Close())
	}
}
