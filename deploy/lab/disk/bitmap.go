package disk

import (
	"errors"
	"io"
	"math/bits"
	"os"

	"golang.org/x/sys/unix"
)

// A bitmap file has a bit for each block of the disk, the lowest bit of the first
// byte being its first block. It may be shorter than the disk: what is not there
// is not set.

// setBits sets the bits [from, to) in f, which only one process does at a time.
func setBits(f *os.File, from, to int64) error {
	first := from >> 3
	buf := make([]byte, (to-1)>>3-first+1)
	if err := readZero(f, buf, first); err != nil {
		return err
	}
	changed := false
	for b := from; b < to; b++ {
		i, bit := b>>3-first, byte(1)<<(b&7)
		if buf[i]&bit == 0 {
			buf[i] |= bit
			changed = true
		}
	}
	if !changed {
		return nil
	}
	_, err := f.WriteAt(buf, first)
	return err
}

// readZero reads, taking what is beyond the file's end as zeros.
func readZero(f *os.File, p []byte, off int64) error {
	n, err := f.ReadAt(p, off)
	if errors.Is(err, io.EOF) {
		clear(p[n:])
		return nil
	}
	return err
}

const windowBytes = 4096

// scanner looks through one bitmap file, a window at a time. It is for one pass
// of one goroutine; bits set after a window was read may be missed.
type scanner struct {
	f     *os.File
	first int64 // byte that buf begins with
	buf   []byte
	ahead int64 // what upcoming has found
	err   error
}

// upcoming is next, for a pass whose from never falls: it asks the file only once
// for each set bit.
func (s *scanner) upcoming(from, limit int64) int64 {
	if from > s.ahead || s.ahead == 0 {
		s.ahead = s.next(from, limit)
	}
	return s.ahead
}

func (s *scanner) load(byteAt int64) bool {
	if s.buf != nil && byteAt >= s.first && byteAt < s.first+windowBytes {
		return true
	}
	if s.buf == nil {
		s.buf = make([]byte, windowBytes)
	}
	s.first = byteAt / windowBytes * windowBytes
	s.err = errors.Join(s.err, readZero(s.f, s.buf, s.first))
	return s.err == nil
}

func (s *scanner) has(block int64) bool {
	return s.load(block>>3) && s.buf[block>>3-s.first]&(1<<(block&7)) != 0
}

// next is the first set bit in [from, limit), or limit. Holes cost nothing.
func (s *scanner) next(from, limit int64) int64 {
	for from < limit {
		at := from >> 3
		if s.buf == nil || at < s.first || at >= s.first+windowBytes {
			data, err := seekData(s.f, at)
			if err != nil || data < 0 {
				s.err = errors.Join(s.err, err)
				return limit
			}
			from, at = max(from, data<<3), max(at, data)
		}
		if from >= limit || !s.load(at) {
			return limit
		}
		x := s.buf[at-s.first] >> (from & 7)
		if x != 0 {
			return min(limit, from+int64(bits.TrailingZeros8(x)))
		}
		from = (at + 1) << 3
	}
	return limit
}

// seekData is the offset of the first data at or after off; -1 when there is none.
func seekData(f *os.File, off int64) (int64, error) {
	at, err := unix.Seek(int(f.Fd()), off, unix.SEEK_DATA)
	if errors.Is(err, unix.ENXIO) {
		return -1, nil
	}
	return at, err
}

// seekHole is the end of the data that off lies in.
func seekHole(f *os.File, off int64) (int64, error) {
	return unix.Seek(int(f.Fd()), off, unix.SEEK_HOLE)
}
