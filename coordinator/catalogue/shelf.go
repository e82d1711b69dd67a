package catalogue

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"ivdmover/shared/ivd"
)

// File is where in a folder the catalogue of a repository lies. It holds the names of
// disks, in an encrypted repository, too: only its owner may read it. It can be deleted
// whenever nobody has it open, and is made anew.
func File(dir, repository string) string { return filepath.Join(dir, "catalogue-"+repository) }

// shelf keeps points that were read in a file, the points of each disk in one value.
// Whatever is wrong with the file is answered by deleting it: it is a copy. Where there
// can be no file it keeps points in memory, as many as are worth it. Its methods are safe
// for concurrent use.
type shelf struct {
	path string // empty: in memory only
	log  *slog.Logger

	mu     sync.Mutex
	of     string           // guarded by mu; what the file is of: nothing is known of anything else
	db     *bbolt.DB        // guarded by mu; nil: memory counts
	memory map[Disk][]Point // guarded by mu
	count  int              // guarded by mu; of points in memory
}

const keptPoints = 50_000 // points that are kept in memory: some 500 bytes each

var (
	aboutBucket = []byte("about")
	disksBucket = []byte("disks")
	ofKey       = []byte("of")
	castagnoli  = crc32.MakeTable(crc32.Castagnoli)
)

// get yields what is kept of the points of a disk, or of all, of a repository in the
// state that is given.
func (s *shelf) get(state string, of Disk, yield func(Point)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle(state)
	if s.db == nil {
		for d, points := range s.memory {
			for _, p := range points {
				if of.means(d) {
					yield(p)
				}
			}
		}
		return
	}
	var found []Point // nothing is yielded of a file that turns out to be damaged
	err := s.safely(func() error {
		return s.db.View(func(tx *bbolt.Tx) error {
			read := newReader()
			b := tx.Bucket(disksBucket)
			if of.Source != "" && of.ID != "" {
				key := of.key()
				if v := b.Get(key); v != nil {
					return read.value(key, v, &found)
				}
				return nil
			}
			return b.ForEach(func(key, v []byte) error {
				if source, id, _ := strings.Cut(string(key), "/"); !of.means(Disk{ivd.SourceID(source), ivd.DiskID(id)}) {
					return nil
				}
				return read.value(key, v, &found)
			})
		})
	})
	if err != nil {
		s.discard(err)
		return
	}
	for _, p := range found {
		yield(p)
	}
}

// put replaces what is kept of some disks; of one without points nothing is.
func (s *shelf) put(state string, disks map[Disk][]Point) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle(state)
	if s.db == nil {
		for d, points := range disks {
			if s.count += len(points) - len(s.memory[d]); s.count > keptPoints {
				clear(s.memory) // reading anew is cheaper than to keep account of use
				s.count = len(points)
			}
			s.memory[d] = points
		}
		return
	}
	err := s.safely(func() error {
		return s.db.Update(func(tx *bbolt.Tx) error {
			b := tx.Bucket(disksBucket)
			for d, points := range disks {
				if len(points) == 0 {
					if err := b.Delete(d.key()); err != nil {
						return err
					}
					continue
				}
				if err := b.Put(d.key(), value(d.key(), points)); err != nil {
					return err
				}
			}
			return nil
		})
	})
	if err != nil {
		s.discard(err)
	}
}

// settle opens the file where that was not done, and empties it where the repository is in
// another state than when it was written.
func (s *shelf) settle(state string) {
	if s.of == state {
		return
	}
	was := s.of
	s.of = state
	s.memory, s.count = map[Disk][]Point{}, 0
	if s.path == "" || was != "" && s.db == nil {
		return
	}
	err := s.safely(func() error {
		if s.db == nil {
			if err := s.open(); err != nil {
				return err
			}
		}
		return s.db.Update(func(tx *bbolt.Tx) error {
			about, err := tx.CreateBucketIfNotExists(aboutBucket)
			if err != nil || string(about.Get(ofKey)) == state && tx.Bucket(disksBucket) != nil {
				return err
			}
			if err := tx.DeleteBucket(disksBucket); err != nil && !errors.Is(err, bolterrors.ErrBucketNotFound) {
				return err
			}
			if _, err = tx.CreateBucket(disksBucket); err != nil {
				return err
			}
			return about.Put(ofKey, []byte(state))
		})
	})
	if err != nil {
		s.discard(err)
	}
}

// open waits a second for a process that has the file open. The list of free pages is kept
// in the file: without it bbolt walks through all pages in a goroutine of its own, whose
// panics nobody can catch.
func (s *shelf) open() (err error) {
	s.db, err = bbolt.Open(s.path, 0o600, &bbolt.Options{Timeout: time.Second, FreelistType: bbolt.FreelistMapType})
	if err != nil {
		return fmt.Errorf("open the catalogue: %w", err)
	}
	return os.Chmod(s.path, 0o600)
}

// discard deletes the file and begins another; where that fails, or the file is another
// process's, points are kept in memory.
func (s *shelf) discard(why error) {
	s.shut()
	s.memory, s.count = map[Disk][]Point{}, 0
	if errors.Is(why, bolterrors.ErrTimeout) {
		s.log.Warn("another process has the catalogue open: restore points are kept in memory, and read again after the next start", "file", s.path)
		return
	}
	s.log.Warn("the catalogue is not what was written: it is deleted, and made anew of the repository", "file", s.path, "err", why)
	err := os.Remove(s.path)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		err = s.safely(func() error {
			if err := s.open(); err != nil {
				return err
			}
			return s.db.Update(func(tx *bbolt.Tx) error {
				about, err := tx.CreateBucket(aboutBucket)
				if err != nil {
					return err
				}
				if _, err = tx.CreateBucket(disksBucket); err != nil {
					return err
				}
				return about.Put(ofKey, []byte(s.of))
			})
		})
	}
	if err != nil {
		s.shut()
		s.log.Warn("making the catalogue's file failed: restore points are kept in memory, and read again after the next start; look at state_dir and its space", "file", s.path, "err", err)
	}
}

// shut closes the file, whatever state it is in.
func (s *shelf) shut() {
	if db := s.db; db != nil {
		s.db = nil
		_ = s.safely(db.Close) // what was committed is in the file
	}
}

// Close gives the file to others.
func (s *shelf) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shut()
	s.memory, s.count = map[Disk][]Point{}, 0
}

// safely makes an error of a panic, which bbolt has for pages that it cannot understand,
// and of a fault of memory that maps a file which was cut off.
func (s *shelf) safely(do func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("it cannot be read: %v", p)
		}
	}()
	return do()
}

func (d Disk) key() []byte { return []byte(string(d.Source) + "/" + string(d.ID)) }

// means reports whether it names a disk, or with an empty part any.
func (d Disk) means(o Disk) bool {
	return (d.Source == "" || d.Source == o.Source) && (d.ID == "" || d.ID == o.ID)
}

// value is the points of a disk, with a checksum over them and the disk before it.
func value(key []byte, points []Point) []byte {
	b := make([]byte, 4, 4+200*len(points))
	for _, p := range points {
		b = appendPoint(b, p)
	}
	binary.LittleEndian.PutUint32(b, crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, b[4:]))
	return b
}
