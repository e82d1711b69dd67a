// Package dir keeps a repository in a folder, of a local file system or of one
// that several machines mount.
//
// It promises what package store does: an object is written beside its place,
// synced, renamed into it, and the folder synced, so that a crash leaves the whole
// object or none; who finds one there ("exists", or by Get) finds it durable. Creating
// once is link(2) from a staging folder of the lease's own: who renames that folder
// away has ended all that the lease might still send. Names never leave the folder,
// whatever they are (os.Root).
//
// Files below names that begin with '.' are the store's own and no objects. It
// never creates the folder itself: a path that is not mounted must not become
// an empty repository.
package dir

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"ivdmover/shared/ivd"
	"ivdmover/shared/store"
)

const (
	tempDir    = ".tmp"     // of Put: <random>
	stagingDir = ".staging" // of Prepare: <lease>/<random>

	dirMode  = 0o750
	fileMode = 0o640
)

// Store is a folder of objects. It is safe for concurrent use, also by several
// processes.
type Store struct {
	path     string
	root     *os.Root
	readOnly bool
	sync     func(*os.File) error // of a folder

	// made are the folders that this process has made or seen, and synced up to
	// the root. That another process made one does not say that it is durable.
	made sync.Map
	// settled are folders that were synced, with the time of their last change, when
	// that was long enough ago to tell another one from it.
	settled sync.Map
}

var _ store.Store = (*Store)(nil)

// Open opens the folder, which must exist and be writable. Kind Denied: it is there,
// and is not writable.
func Open(folder string) (*Store, error) {
	s, err := openFolder(folder, unix.R_OK|unix.W_OK|unix.X_OK)
	if err != nil {
		return nil, err
	}
	if err := s.sweep(); err != nil {
		return nil, openError("open repository folder "+folder, folder, errors.Join(err, s.Close()))
	}
	return s, nil
}

// OpenReadOnly opens a folder that need not be writable. The store refuses whatever
// writes, with kind Denied, and tells no time: it does not know the file system's.
func OpenReadOnly(folder string) (*Store, error) {
	s, err := openFolder(folder, unix.R_OK|unix.X_OK)
	if err != nil {
		return nil, err
	}
	s.readOnly = true
	return s, nil
}

// mayWrite refuses to write in a store that is for reading only.
func (s *Store) mayWrite() error {
	if s.readOnly {
		return &ivd.Error{Kind: ivd.Denied, Err: errors.New("it was opened for reading only")}
	}
	return nil
}

func openFolder(folder string, access uint32) (*Store, error) {
	op := "open repository folder " + folder
	folder, err := filepath.Abs(folder)
	if err != nil {
		return nil, &ivd.Error{Kind: ivd.Invalid, Op: op, Err: err}
	}
	if info, err := os.Stat(folder); err == nil && !info.IsDir() {
		return nil, openError(op, folder, syscall.ENOTDIR)
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, openError(op, folder, err)
	}
	if err := unix.Access(folder, access); err != nil {
		return nil, openError(op, folder, errors.Join(err, root.Close()))
	}
	return &Store{path: folder, root: root, sync: (*os.File).Sync}, nil
}

// Close gives the folder's descriptor back. Nothing may use the store after it.
func (s *Store) Close() error { return s.root.Close() }

// Properties say what a folder can do. A late Send is refused by this process's
// own look at the file system's clock, and by a staging folder that is gone.
func (s *Store) Properties() store.Properties {
	return store.Properties{ConditionalCreate: true, Connections: 8, ReadOnly: s.readOnly}
}

func (s *Store) String() string { return "dir://" + s.path }

// makeDir makes a folder of the repository and sees to it that it outlives a
// crash.
func (s *Store) makeDir(name string) error {
	if name == "." {
		return nil
	}
	if _, ok := s.made.Load(name); ok {
		return nil
	}
	parent := path.Dir(name)
	if err := s.makeDir(parent); err != nil {
		return err
	}
	err := s.root.Mkdir(name, dirMode)
	if errors.Is(err, fs.ErrNotExist) { // somebody has removed the parent since
		s.forget(parent)
		if err = s.makeDir(parent); err != nil {
			return err
		}
		err = s.root.Mkdir(name, dirMode)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := s.syncDir(parent); err != nil {
		return err
	}
	s.made.Store(name, struct{}{})
	return nil
}

// forget makes the next makeDir look again, at the folder and all above it.
func (s *Store) forget(name string) {
	for ; name != "."; name = path.Dir(name) {
		s.made.Delete(name)
	}
}

// tick is longer than any file system's clock stands still.
const tick = 2 * time.Second

// settle makes the entries of a folder durable, unless it has not changed since that
// was done. Now is the file system's clock.
func (s *Store) settle(name string, now time.Time) error {
	info, err := s.root.Stat(name)
	if err != nil {
		return err
	}
	changed := info.ModTime()
	if last, ok := s.settled.Load(name); ok && changed.Equal(last.(time.Time)) {
		return nil
	}
	if err := s.syncDir(name); err != nil {
		return err
	}
	if now.Sub(changed) > tick {
		s.settled.Store(name, changed)
	}
	return nil
}

// syncDir makes the entries of a folder durable.
func (s *Store) syncDir(name string) error {
	d, err := s.root.Open(name)
	if err != nil {
		return err
	}
	err = s.sync(d)
	if errors.Is(err, syscall.EINVAL) { // file systems whose folders need no sync
		err = nil
	}
	return errors.Join(err, d.Close())
}
