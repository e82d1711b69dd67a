package stage

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"ivdmover/shared/ivd"
)

// ErrDiffers is what comparisons find.
var ErrDiffers = errors.New("not identical")

// Compare compares every byte of two files, of which the second may be longer, since
// vSphere makes disks of whole MiB, and must then be zero there. What is a hole in
// both is equal without being read. It returns the first file's size.
func Compare(want, got string) (int64, error) {
	a, err := os.Open(want)
	if err != nil {
		return 0, err
	}
	defer a.Close()
	b, err := os.Open(got)
	if err != nil {
		return 0, err
	}
	defer b.Close()
	x, err := a.Stat()
	if err != nil {
		return 0, err
	}
	y, err := b.Stat()
	if err != nil {
		return 0, err
	}
	if y.Size() < x.Size() {
		return 0, fmt.Errorf("%w: %d bytes, want at least %d", ErrDiffers, y.Size(), x.Size())
	}
	return x.Size(), errors.Join(sameData(a, b), sameData(b, a))
}

// Differences are the blocks of 64 KiB that differ between two files of one size,
// neighbours together.
func Differences(from, to string) ([]ivd.Extent, error) {
	const block = 64 << 10
	a, err := os.Open(from)
	if err != nil {
		return nil, err
	}
	defer a.Close()
	b, err := os.Open(to)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	var found []ivd.Extent
	p, q := make([]byte, block), make([]byte, block)
	for off := int64(0); ; off += block {
		n, err := io.ReadFull(a, p)
		if n == 0 {
			return found, ignoreEOF(err)
		}
		if _, err := io.ReadFull(b, q[:n]); err != nil {
			return nil, err
		}
		if bytes.Equal(p[:n], q[:n]) {
			continue
		}
		if last := len(found) - 1; last >= 0 && found[last].End() == off {
			found[last].Length += int64(n)
		} else {
			found = append(found, ivd.Extent{Offset: off, Length: int64(n)})
		}
	}
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// cut copies a part of a file into another.
func cut(from, to string, part ivd.Extent) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	b := make([]byte, part.Length)
	if _, err := in.ReadAt(b, part.Offset); err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o600)
}

// sameData compares the data of a with what b has at the same places; beyond b's end
// there must be zeros.
func sameData(a, b *os.File) error {
	p, q := make([]byte, 1<<20), make([]byte, 1<<20)
	for off := int64(0); ; {
		from, err := unix.Seek(int(a.Fd()), off, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return nil // only a hole is left
		}
		if err != nil {
			return err
		}
		to, err := unix.Seek(int(a.Fd()), from, unix.SEEK_HOLE)
		if err != nil {
			return err
		}
		for off = from; off < to; {
			n, err := a.ReadAt(p[:min(int64(len(p)), to-off)], off)
			if n == 0 {
				return err
			}
			m, err := b.ReadAt(q[:n], off)
			if err != nil && !errors.Is(err, io.EOF) {
				return err
			}
			clear(q[m:n])
			if !bytes.Equal(p[:n], q[:n]) {
				return fmt.Errorf("%w in the MiB at offset %d", ErrDiffers, off)
			}
			off += int64(n)
		}
	}
}
