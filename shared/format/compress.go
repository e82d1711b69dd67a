package format

import (
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// Compression says how a frame's content is stored.
const (
	CompressionNone byte = 0
	CompressionZstd byte = 1
)

// encoderWindow bounds what each encoder keeps. Content is at most a chunk, and
// most chunks are smaller than this.
const encoderWindow = 1 << 20

// encoders has one encoder for each speed, made when it is first used. EncodeAll
// may be called by any number of goroutines and runs GOMAXPROCS at once.
var encoders [zstd.SpeedBestCompression + 1]struct {
	once sync.Once
	*zstd.Encoder
}

func encoderOf(level int) *zstd.Encoder {
	speed := zstd.EncoderLevelFromZstd(level)
	e := &encoders[speed]
	e.once.Do(func() {
		var err error
		e.Encoder, err = zstd.NewWriter(nil,
			zstd.WithEncoderLevel(speed),
			zstd.WithWindowSize(encoderWindow),
			zstd.WithEncoderCRC(false), // BLAKE3 checks the content
			zstd.WithSingleSegment(true),
			zstd.WithLowerEncoderMem(true))
		if err != nil {
			panic(fmt.Sprintf("zstd options: %v", err))
		}
	})
	return e.Encoder
}

var decoder = sync.OnceValue(func() *zstd.Decoder {
	d, err := zstd.NewReader(nil,
		zstd.WithDecoderConcurrency(0),
		zstd.WithDecoderMaxMemory(MaxPlain),
		zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		panic(fmt.Sprintf("zstd options: %v", err))
	}
	return d
})

// Compress compresses plain into dst's memory, growing it where it is too small,
// and says how: where zstd does not shrink the content it is stored as it is, and
// stored is plain itself. Level is zstd's (1 fast … 19 small); 0 stores as it is.
// Safe for concurrent use with different dst.
func Compress(dst, plain []byte, level int) (stored []byte, compression byte) {
	if level <= 0 {
		return plain, CompressionNone
	}
	raceRead(plain)
	out := encoderOf(level).EncodeAll(plain, dst[:0])
	raceWrite(dst[:min(cap(dst), len(out))])
	if len(out) >= len(plain) {
		return plain, CompressionNone
	}
	return out, CompressionZstd
}

// decompress fills dst, whose capacity is exactly the plain length.
func decompress(dst, stored []byte) ([]byte, error) {
	if err := checkZstd(stored, cap(dst)); err != nil {
		return nil, err
	}
	raceRead(stored)
	raceWrite(dst[:cap(dst)])
	plain, err := decoder().DecodeAll(stored, dst)
	if err != nil {
		return nil, corrupt("zstd: %w", err)
	}
	if len(plain) != cap(dst) {
		return nil, corrupt("zstd gave %d bytes where the frame says %d", len(plain), cap(dst))
	}
	return plain, nil
}

// zstdDictionary are the bits of a zstd frame's descriptor, its byte 4, that say how
// long a dictionary's id is.
const zstdDictionary = 3

// checkZstd wants exactly one zstd frame (RFC 8878) and nothing behind it: no
// skippable frame, no dictionary's id, a content size that is plain, and a window
// that is no larger.
func checkZstd(stored []byte, plain int) error {
	var h zstd.Header
	if err := h.Decode(stored); err != nil {
		return corrupt("zstd header: %w", err)
	}
	switch {
	case h.Skippable:
		return corrupt("zstd: a skippable frame")
	case stored[4]&zstdDictionary != 0:
		return corrupt("zstd: a dictionary's id %d", h.DictionaryID)
	case !h.HasFCS || h.FrameContentSize != uint64(plain):
		return corrupt("zstd content of %d bytes where the frame says %d", h.FrameContentSize, plain)
	case !h.SingleSegment && h.WindowSize > uint64(plain):
		return corrupt("zstd window of %d bytes for a content of %d", h.WindowSize, plain)
	}
	end, ok := zstdEnd(stored, h.HeaderSize)
	if h.HasCheckSum {
		end += 4
	}
	if !ok || end != len(stored) {
		return corrupt("zstd: a frame of %d bytes in %d", end, len(stored))
	}
	return nil
}

// zstdEnd walks the blocks that begin at from, and returns where the last one ends.
// Each has a header of 3 bytes: 1 bit that says whether it is the last one, 2 bits
// of type, 21 bits of size. A block of type 1 is one byte, repeated.
func zstdEnd(b []byte, from int) (end int, ok bool) {
	for from+3 <= len(b) {
		h := uint32(b[from]) | uint32(b[from+1])<<8 | uint32(b[from+2])<<16
		size := int(h >> 3)
		if h>>1&3 == 1 {
			size = 1
		}
		from += 3 + size
		if h&1 != 0 {
			return from, true
		}
	}
	return from, false
}
