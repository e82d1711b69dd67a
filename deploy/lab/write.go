package lab

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"

	"ivdmover/deploy/lab/disk"
	"ivdmover/deploy/lab/estate"
	"ivdmover/shared/ivd"
)

// Write is a guest's write: it puts what r holds at an offset of a disk, in the
// laboratory of a folder, whether that runs (here or in another process) or not.
// Changed-block tracking sees it. What reaches beyond the disk's end is refused
// with kind Invalid; what lies before it is then written already.
func Write(ctx context.Context, dir string, id ivd.DiskID, offset int64, r io.Reader) (n int64, err error) {
	path, err := estate.Locate(dir, id)
	if err != nil {
		return 0, err
	}
	d, err := disk.Open(path)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	buf := make([]byte, 1<<20)
	for {
		if err := ctx.Err(); err != nil {
			return n, err
		}
		k, end := io.ReadFull(r, buf)
		if k > 0 {
			if err := d.WriteAt(buf[:k], offset+n); err != nil {
				return n, writeError(id, err)
			}
			n += int64(k)
		}
		switch {
		case errors.Is(end, io.EOF), errors.Is(end, io.ErrUnexpectedEOF):
			return n, nil
		case end != nil:
			return n, fmt.Errorf("read what to write to disk %s: %w", id, end)
		}
	}
}

func writeError(id ivd.DiskID, err error) error {
	if errors.Is(err, disk.ErrRange) {
		return &ivd.Error{Kind: ivd.Invalid, Op: "write to disk " + string(id), Err: err, Remedy: "write less, or at a lower offset"}
	}
	return fmt.Errorf("write to disk %s: %w", id, err)
}

// Random is n bytes that depend on the seed alone.
func Random(seed uint64, n int64) io.Reader {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	return io.LimitReader(rand.NewChaCha8(key), n)
}
