package format_test

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

const repository = "6b1f2d0e-7a53-4c1d-9e0f-2b8c5d4a3f21"

var writer = ivd.WriterID{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}

// content is n bytes that compress well, or not at all.
func content(seed uint64, n int, random bool) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(seed, 1))
	for i := range b {
		if random {
			b[i] = byte(r.Uint32())
		} else {
			b[i] = byte(i/64) ^ byte(seed)
		}
	}
	return b
}

func add(p *format.Pack, kind format.FrameKind, plain []byte, level int) ivd.Place {
	stored, compression := format.Compress(nil, plain, level)
	off, n := p.Add(kind, format.Sum(plain), len(plain), compression, stored)
	return ivd.Place{Offset: off, Length: n}
}

func TestPackRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		salt := [32]byte(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "salt"))
		p := format.NewPack(format.DataPack, repository, writer, salt)
		var plains [][]byte
		var places []ivd.Place
		for i := range rapid.IntRange(0, 8).Draw(t, "frames") {
			n := rapid.IntRange(0, 70_000).Draw(t, "length")
			plain := content(uint64(i), n, rapid.Bool().Draw(t, "random"))
			plains = append(plains, plain)
			places = append(places, add(p, format.ChunkFrame, plain, rapid.IntRange(0, 19).Draw(t, "level")))
		}
		before := p.Len()
		body, id := p.Finish()
		if format.PackSum(body) != id {
			t.Fatal("the id is not the sum of the bytes")
		}
		if again, id2 := p.Finish(); !bytes.Equal(again, body) || id2 != id {
			t.Fatal("finishing twice changes the pack")
		}
		if want := before + format.FrameOverhead + 48*len(plains) + format.TrailerSize; len(body) != want {
			t.Fatalf("pack of %d bytes, want %d", len(body), want)
		}
		h, entries, err := format.DecodePack(body)
		if err != nil {
			t.Fatal(err)
		}
		if h != (format.PackHeader{Kind: format.DataPack, Repository: repository, Writer: writer, Salt: salt}) {
			t.Fatalf("header %+v", h)
		}
		if len(entries) != len(plains) {
			t.Fatalf("%d entries, want %d", len(entries), len(plains))
		}
		var dst []byte
		for i, e := range entries {
			if e.ID != format.Sum(plains[i]) || e.Offset != places[i].Offset || e.Length != places[i].Length {
				t.Fatalf("entry %d is %+v, want %+v", i, e, places[i])
			}
			dst, err = format.OpenFrame(dst, body[e.Offset:e.Offset+e.Length], e.ID)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(dst, plains[i]) {
				t.Fatalf("frame %d differs", i)
			}
		}
	})
}

// Whatever single byte of a pack changes, decoding it or its id tells.
func TestPackDamage(t *testing.T) {
	p := format.NewPack(format.IndexPack, repository, writer, [32]byte{7})
	add(p, format.NodeFrame, content(1, 500, false), 1)
	add(p, format.PageFrame, content(2, 300, true), 1)
	body, id := p.Finish()
	free := 0
	for i := range body {
		b := bytes.Clone(body)
		b[i] ^= 0x41
		if format.PackSum(b) == id {
			t.Fatalf("byte %d is not in the pack's id", i)
		}
		_, _, err := format.DecodePack(b)
		if err == nil {
			free++ // salt, writer and a digit of the repository: another pack, as good as this one
			continue
		}
		if k := ivd.KindOf(err); k != ivd.Corrupt && k != ivd.Unsupported {
			t.Fatalf("byte %d: kind %q: %v", i, k, err)
		}
	}
	if free > 48+36 {
		t.Fatalf("%d bytes can change unseen", free)
	}
	for n := range body {
		if _, _, err := format.DecodePack(body[:n]); ivd.KindOf(err) != ivd.Corrupt {
			t.Fatalf("a pack cut off at %d: %v", n, err)
		}
	}
}

func TestPackReset(t *testing.T) {
	fill := func(p *format.Pack) ivd.PackID {
		add(p, format.ChunkFrame, content(3, 5000, true), 1)
		_, id := p.Finish()
		return id
	}
	p := format.NewPack(format.IndexPack, repository, writer, [32]byte{1})
	add(p, format.NodeFrame, content(9, 90000, true), 0)
	p.Finish()
	p.Reset(format.DataPack, repository, writer, [32]byte{2})
	if got, want := fill(p), fill(format.NewPack(format.DataPack, repository, writer, [32]byte{2})); got != want {
		t.Fatalf("a pack in used memory is %s, want %s", got, want)
	}
}

func TestPackMisuse(t *testing.T) {
	id := format.Sum(nil)
	finished := format.NewPack(format.DataPack, repository, writer, [32]byte{})
	finished.Finish()
	for name, f := range map[string]func(){
		"a chunk in an index pack": func() {
			format.NewPack(format.IndexPack, repository, writer, [32]byte{}).Add(format.ChunkFrame, id, 0, 0, nil)
		},
		"stored larger than plain": func() {
			format.NewPack(format.DataPack, repository, writer, [32]byte{}).Add(format.ChunkFrame, id, 1, 1, make([]byte, 2))
		},
		"a finished pack":       func() { finished.Add(format.ChunkFrame, id, 0, 0, nil) },
		"a repository's name":   func() { format.NewPack(format.DataPack, "mine", writer, [32]byte{}) },
		"content beyond bounds": func() { finished.Add(format.ChunkFrame, id, format.MaxPlain+1, 0, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Fatal("it is accepted")
				}
			}()
			f()
		})
	}
}

func TestNewerPack(t *testing.T) {
	p := format.NewPack(format.DataPack, repository, writer, [32]byte{})
	place := add(p, format.ChunkFrame, []byte("x"), 0)
	body, _ := p.Finish()
	newer := bytes.Clone(body)
	newer[8] = 2
	if _, _, err := format.DecodePack(newer); ivd.KindOf(err) != ivd.Unsupported || ivd.RemedyOf(err) == "" {
		t.Fatalf("pack of version 2: %v", err)
	}
	frame := bytes.Clone(body[place.Offset : place.Offset+place.Length])
	frame[7] = 1
	if _, err := format.OpenFrame(nil, frame, format.Sum([]byte("x"))); ivd.KindOf(err) != ivd.Unsupported {
		t.Fatalf("frame with a cipher: %v", err)
	}
}
