package format_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"pgregory.net/rapid"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

// frameOf is a frame as it lies in a pack.
func frameOf(plain []byte, level int) ([]byte, ivd.ContentID) {
	p := format.NewPack(header(format.DataPack, 0), nil)
	at := add(p, format.ChunkFrame, plain, level)
	body, _ := p.Finish()
	return bytes.Clone(body[at.Offset : at.Offset+at.Length]), format.Sum(plain)
}

func TestCompress(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		plain := content(1, rapid.IntRange(0, 300_000).Draw(t, "length"), rapid.Bool().Draw(t, "random"))
		dst := make([]byte, 0, rapid.IntRange(0, 300_000).Draw(t, "room"))
		stored, compression := format.Compress(dst, plain, rapid.IntRange(0, 22).Draw(t, "level"))
		switch compression {
		case format.CompressionNone:
			if !bytes.Equal(stored, plain) {
				t.Fatal("stored as it is, and differs")
			}
		case format.CompressionZstd:
			if len(stored) >= len(plain) {
				t.Fatalf("%d bytes became %d", len(plain), len(stored))
			}
		default:
			t.Fatalf("compression %d", compression)
		}
	})
}

// The content goes into the caller's memory where there is room, and no further.
func TestOpenFrameMemory(t *testing.T) {
	for _, level := range []int{0, 3} {
		plain := content(7, 5000, false)
		frame, id := frameOf(plain, level)
		room := make([]byte, 6000)
		room[5000] = 0xaa
		got, err := new(format.Opener).Frame(room[:0], frame, id)
		if err != nil || !bytes.Equal(got, plain) {
			t.Fatal(err)
		}
		if &got[0] != &room[0] || room[5000] != 0xaa {
			t.Fatalf("level %d: not in the caller's memory, or beyond", level)
		}
		if got, err = new(format.Opener).Frame(make([]byte, 0, 10), frame, id); err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("with too little room: %v", err)
		}
		if n := testing.AllocsPerRun(20, func() { _, _ = new(format.Opener).Frame(room[:0], frame, id) }); n > 1 {
			t.Errorf("level %d: %.0f allocations to open a frame", level, n)
		}
	}
}

// To seal a chunk in used memory allocates nothing.
func TestSealAllocations(t *testing.T) {
	plain := content(5, ivd.DefaultChunkSize, false)
	room := make([]byte, 0, 2*len(plain))
	p := format.NewPack(header(format.DataPack, 0), nil)
	seal := func() {
		stored, compression := format.Compress(room, plain, 1)
		p.Add(format.ChunkFrame, format.Sum(plain), len(plain), compression, stored)
	}
	for range 100 {
		seal()
	}
	p.Finish()
	p.Reset(header(format.DataPack, 0), nil)
	if n := testing.AllocsPerRun(50, seal); n > 0 {
		t.Errorf("%.1f allocations to seal a chunk", n)
	}
}

// What a frame's header says binds what its content may become.
func TestFrameBomb(t *testing.T) {
	frame, id := frameOf(make([]byte, format.MaxChunk), 3)
	if len(frame) > 10_000 {
		t.Fatalf("zeros take %d bytes", len(frame))
	}
	if _, err := new(format.Opener).Frame(nil, frame, id); err != nil {
		t.Fatal(err)
	}
	for plain, kind := range map[uint32]ivd.Kind{
		uint32(len(frame)): ivd.Corrupt, format.MaxChunk - 1: ivd.Corrupt,
		format.MaxChunk + 1: ivd.Unsupported, 1<<32 - 1: ivd.Unsupported,
	} {
		lying := bytes.Clone(frame)
		binary.LittleEndian.PutUint32(lying[12:], plain)
		bounded(t, len(lying), 4*uint64(min(plain, format.MaxChunk))+1<<16, 1, func() {
			if _, err := new(format.Opener).Frame(nil, lying, id); ivd.KindOf(err) != kind {
				t.Fatalf("8 MiB that call themselves %d bytes: %v", plain, err)
			}
		})
	}
}

func BenchmarkSeal(b *testing.B) {
	for name, random := range map[string]bool{"text": false, "random": true} {
		b.Run(name, func(b *testing.B) {
			plain := content(5, ivd.DefaultChunkSize, random)
			room := make([]byte, 0, 2*len(plain))
			p := format.NewPack(header(format.DataPack, 0), nil)
			b.SetBytes(int64(len(plain)))
			b.ReportAllocs()
			for b.Loop() {
				id := format.Sum(plain)
				stored, compression := format.Compress(room, plain, 1)
				if p.Len() >= format.PackSize {
					p.Finish()
					p.Reset(header(format.DataPack, 0), nil)
				}
				p.Add(format.ChunkFrame, id, len(plain), compression, stored)
			}
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	plain := content(5, ivd.DefaultChunkSize, false)
	frame, id := frameOf(plain, 1)
	room := make([]byte, len(plain))
	b.SetBytes(int64(len(plain)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := new(format.Opener).Frame(room[:0], frame, id); err != nil {
			b.Fatal(err)
		}
	}
}
