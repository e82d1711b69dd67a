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

var (
	writer = ivd.WriterID{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}
	domain = ivd.DomainID{0xd0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}
)

func header(kind format.PackKind, nonce byte) format.PackHeader {
	return format.PackHeader{Kind: kind, Repository: repository, Domain: domain, Writer: writer, Nonce: ivd.Nonce{nonce}}
}

// packRef is a pack with that first byte of its id.
func packRef(id byte) ivd.PackRef {
	return ivd.PackRef{Pack: ivd.PackID{id}, Writer: writer, Nonce: ivd.Nonce{id, 1}}
}

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
		want := header(format.DataPack, 0)
		want.Nonce = ivd.Nonce(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "nonce"))
		p := format.NewPack(want, nil)
		var plains [][]byte
		var places []ivd.Place
		for i := range rapid.IntRange(0, 8).Draw(t, "frames") {
			n := rapid.IntRange(0, 70_000).Draw(t, "length")
			plain := content(uint64(i), n, rapid.Bool().Draw(t, "random"))
			plains = append(plains, plain)
			places = append(places, add(p, format.ChunkFrame, plain, rapid.IntRange(0, 19).Draw(t, "level")))
		}
		before := p.Len()
		body, ref := p.Finish()
		if ref.Writer != want.Writer || ref.Nonce != want.Nonce {
			t.Fatalf("a pack with header %+v is %+v", want, ref)
		}
		if format.PackSum(body) != ref.Pack {
			t.Fatal("the id is not the sum of the bytes")
		}
		if again, ref2 := p.Finish(); !bytes.Equal(again, body) || ref2 != ref {
			t.Fatal("finishing twice changes the pack")
		}
		if want := before + format.FrameOverhead + 48*len(plains) + format.TrailerSize; len(body) != want {
			t.Fatalf("pack of %d bytes, want %d", len(body), want)
		}
		h, entries, err := format.DecodePack(body, nil)
		if err != nil {
			t.Fatal(err)
		}
		if h != want {
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
			dst, err = new(format.Opener).Frame(dst, body[e.Offset:e.Offset+e.Length], e.ID)
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
	p := format.NewPack(header(format.IndexPack, 7), nil)
	add(p, format.NodeFrame, content(1, 500, false), 1)
	add(p, format.PageFrame, content(2, 300, true), 1)
	body, ref := p.Finish()
	free := 0
	for i := range body {
		b := bytes.Clone(body)
		b[i] ^= 0x41
		if format.PackSum(b) == ref.Pack {
			t.Fatalf("byte %d is not in the pack's id", i)
		}
		_, _, err := format.DecodePack(b, nil)
		if err == nil {
			free++ // repository, domain, writer, nonce: another pack, as good as this one
			continue
		}
		if k := ivd.KindOf(err); k != ivd.Corrupt && k != ivd.Unsupported {
			t.Fatalf("byte %d: kind %q: %v", i, k, err)
		}
	}
	if free > 4*16 {
		t.Fatalf("%d bytes can change unseen", free)
	}
	for n := range body {
		if _, _, err := format.DecodePack(body[:n], nil); ivd.KindOf(err) != ivd.Corrupt {
			t.Fatalf("a pack cut off at %d: %v", n, err)
		}
	}
}

func TestPackReset(t *testing.T) {
	fill := func(p *format.Pack) ivd.PackRef {
		add(p, format.ChunkFrame, content(3, 5000, true), 1)
		_, ref := p.Finish()
		return ref
	}
	p := format.NewPack(header(format.IndexPack, 1), nil)
	add(p, format.NodeFrame, content(9, 90000, true), 0)
	p.Finish()
	p.Reset(header(format.DataPack, 2), nil)
	if got, want := fill(p), fill(format.NewPack(header(format.DataPack, 2), nil)); got != want {
		t.Fatalf("a pack in used memory is %+v, want %+v", got, want)
	}
}

func TestPackMisuse(t *testing.T) {
	id := format.Sum(nil)
	finished := format.NewPack(header(format.DataPack, 0), nil)
	finished.Finish()
	for name, f := range map[string]func(){
		"a chunk in an index pack": func() {
			format.NewPack(header(format.IndexPack, 0), nil).Add(format.ChunkFrame, id, 0, 0, nil)
		},
		"stored larger than plain": func() {
			format.NewPack(header(format.DataPack, 0), nil).Add(format.ChunkFrame, id, 1, 1, make([]byte, 2))
		},
		"a pack of no kind":   func() { format.NewPack(header(3, 0), nil).Add(format.ChunkFrame, id, 0, 0, nil) },
		"a finished pack":     func() { finished.Add(format.ChunkFrame, id, 0, 0, nil) },
		"a repository's name": func() { format.NewPack(format.PackHeader{Kind: format.DataPack, Repository: "mine"}, nil) },
		"a chunk beyond bounds": func() {
			format.NewPack(header(format.DataPack, 0), nil).Add(format.ChunkFrame, id, format.MaxChunk+1, 1, nil)
		},
		"a node beyond bounds": func() {
			format.NewPack(header(format.IndexPack, 0), nil).Add(format.NodeFrame, id, format.MaxPlain+1, 1, nil)
		},
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
