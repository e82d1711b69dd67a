package stage

import (
	"bufio"
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

// Compare reads both files to their ends. The restored one may be longer, since
// vSphere makes disks of whole MiB, and must then be zero there.
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
	x, y := bufio.NewReaderSize(a, 1<<20), bufio.NewReaderSize(b, 1<<20)
	p, q := make([]byte, 1<<20), make([]byte, 1<<20)
	for n := int64(0); ; {
		i, errA := io.ReadFull(x, p)
		j, errB := io.ReadFull(y, q[:i])
		if j < i || !bytes.Equal(p[:i], q[:i]) {
			return n, fmt.Errorf("%w in the MiB at offset %d", ErrDiffers, n)
		}
		n += int64(i)
		if errA == nil {
			continue
		}
		if !errors.Is(errA, io.EOF) && !errors.Is(errA, io.ErrUnexpectedEOF) {
			return n, errA
		}
		if errB != nil && !errors.Is(errB, io.EOF) {
			return n, errB
		}
		return n, onlyZeros(y)
	}
}

func onlyZeros(r io.Reader) error {
	rest, err := io.ReadAll(r)
	if err == nil && len(bytes.TrimLeft(rest, "\x00")) > 0 {
		err = fmt.Errorf("%w: the disk is not zero beyond its old end", ErrDiffers)
	}
	return err
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

// CompareData compares the parts of two sparse files that hold data in either, so
// that a huge and mostly empty disk is compared in no time.
func CompareData(want, got string) error {
	a, err := os.Open(want)
	if err != nil {
		return err
	}
	defer a.Close()
	b, err := os.Open(got)
	if err != nil {
		return err
	}
	defer b.Close()
	return errors.Join(sameData(a, b), sameData(b, a))
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
