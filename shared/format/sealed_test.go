package format_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"testing"

	"lukechampine.com/blake3"
	"pgregory.net/rapid"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

// key is a key that is always the same.
func key(b byte) ivd.Key { return ivd.Key(bytes.Repeat([]byte{b}, 32)) }

// signer is a key pair that is always the same.
func signer(b byte) ed25519.PrivateKey { return ed25519.NewKeyFromSeed(key(b).Reveal()) }

var suite = format.NewSuite(key(1), key(2))

// writerKeys are those of a writer of an encrypted repository.
func writerKeys() *format.WriterKeys {
	return &format.WriterKeys{Suite: suite, Frame: key(3), DataKey: ivd.KeyID{7}, SealedFrame: [format.SealedKeySize]byte(content(9, format.SealedKeySize, true)), Sign: signer(4)}
}

// sealedHeader is header in an encrypted repository.
func sealedHeader(kind format.PackKind, nonce byte) format.PackHeader {
	h := header(kind, nonce)
	h.Cipher = format.CipherAES
	if kind == format.DataPack {
		h.DataKey = ivd.KeyID{7}
	}
	return h
}

// addSealed adds a frame that is named with the suite's key.
func addSealed(p *format.Pack, kind format.FrameKind, plain []byte, level int) ivd.Place {
	stored, compression := format.Compress(nil, plain, level)
	off, n := p.Add(kind, suite.ID(plain), len(plain), compression, stored)
	return ivd.Place{Offset: off, Length: n}
}

// opened is what opens a pack by the frame key.
func opened(h format.PackHeader) (*format.Opener, error) {
	k := format.ChunkKey(key(3), h.Writer, h.Nonce)
	return suite.Opener(h, &k)
}

// sealedPack is a data pack of three chunks.
func sealedPack() ([]byte, [][]byte, []ivd.Place) {
	p := format.NewPack(sealedHeader(format.DataPack, 5), writerKeys())
	plains := [][]byte{content(1, 5000, false), content(2, 3000, true), content(3, 0, true)}
	var places []ivd.Place
	for _, c := range plains {
		places = append(places, addSealed(p, format.ChunkFrame, c, 3))
	}
	body, _ := p.Finish()
	return bytes.Clone(body), plains, places
}

func TestSealedPackRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kind := rapid.SampledFrom([]format.PackKind{format.DataPack, format.IndexPack}).Draw(t, "kind")
		frame := map[format.PackKind]format.FrameKind{format.DataPack: format.ChunkFrame, format.IndexPack: format.NodeFrame}[kind]
		want := sealedHeader(kind, rapid.Byte().Draw(t, "nonce"))
		p := format.NewPack(want, writerKeys())
		var plains [][]byte
		for i := range rapid.IntRange(0, 6).Draw(t, "frames") {
			plain := content(uint64(i), rapid.IntRange(0, 30_000).Draw(t, "length"), rapid.Bool().Draw(t, "random"))
			addSealed(p, frame, plain, rapid.IntRange(0, 9).Draw(t, "level"))
			plains = append(plains, plain)
		}
		body, ref := p.Finish()
		h, entries, err := format.DecodePack(body, opened)
		if err != nil || h != want || len(entries) != len(plains) {
			t.Fatalf("%d frames of %+v: %v", len(entries), h, err)
		}
		o, err := opened(h)
		if err != nil {
			t.Fatal(err)
		}
		if kind == format.IndexPack { // by its reference alone
			if o, err = suite.Opener(suite.IndexHeader(repository, domain, ref), nil); err != nil {
				t.Fatal(err)
			}
		}
		for i, e := range entries {
			got, err := o.Frame(nil, body[e.Offset:e.Offset+e.Length], suite.ID(plains[i]))
			if err != nil || !bytes.Equal(got, plains[i]) {
				t.Fatalf("frame %d: %v", i, err)
			}
			if n := len(plains[i]); n > 100 && bytes.Contains(body, plains[i][:64]) {
				t.Fatalf("frame %d lies in the clear", i)
			}
		}
	})
}

// Whatever single byte of a sealed pack changes, opening it or its signature tells.
func TestSealedPackDamage(t *testing.T) {
	body, _, _ := sealedPack()
	public := signer(4).Public().(ed25519.PublicKey)
	for i := range body {
		b := bytes.Clone(body)
		b[i] ^= 0x41
		_, _, err := format.DecodePack(b, opened)
		if err == nil {
			err = verifyPack(b, public)
		}
		if i >= format.PackHeaderSize && i < format.PackHeaderSize+format.SealedKeySize {
			continue // it opens with the data key, or it does not
		}
		if k := ivd.KindOf(err); k != ivd.Corrupt && k != ivd.Unsupported {
			t.Fatalf("byte %d of %d: %v", i, len(body), err)
		}
	}
}

func verifyPack(b []byte, k ed25519.PublicKey) error {
	t, err := format.ReadTrailer(b[len(b)-format.TrailerSize:], int64(len(b)), format.CipherAES)
	if err != nil {
		return err
	}
	return format.VerifyPack(b[:format.PackHeaderSize], b[t.Offset:t.Offset+t.Length], b[len(b)-format.TrailerSize:], k)
}

func TestPackSignature(t *testing.T) {
	body, _, _ := sealedPack()
	if err := verifyPack(body, signer(4).Public().(ed25519.PublicKey)); err != nil {
		t.Error(err)
	}
	if err := verifyPack(body, signer(5).Public().(ed25519.PublicKey)); ivd.KindOf(err) != ivd.Corrupt {
		t.Errorf("with another writer's key: %v", err)
	}
	p := format.NewPack(header(format.DataPack, 1), nil)
	plain, _ := p.Finish()
	if err := verifyPack(plain, signer(4).Public().(ed25519.PublicKey)); ivd.KindOf(err) != ivd.Corrupt {
		t.Errorf("of a pack that is not signed: %v", err)
	}
}

// Who holds the metadata key alone reads the directory, and no chunk.
func TestDirectoryWithoutChunks(t *testing.T) {
	body, plains, places := sealedPack()
	h, err := format.ReadPackHeader(body)
	if err != nil {
		t.Fatal(err)
	}
	o, err := suite.Opener(h, nil)
	if err != nil {
		t.Fatal(err)
	}
	tr, err := format.ReadTrailer(body[len(body)-format.TrailerSize:], int64(len(body)), format.CipherAES)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := o.Directory(body[tr.Offset:tr.Offset+tr.Length], tr)
	if err != nil || len(entries) != len(plains) || entries[1].ID != suite.ID(plains[1]) {
		t.Fatalf("%+v, %v", entries, err)
	}
	frame := body[places[0].Offset : places[0].Offset+places[0].Length]
	if got, err := o.Frame(nil, frame, entries[0].ID); ivd.KindOf(err) != ivd.Invalid || got != nil {
		t.Errorf("a chunk without its key: %d bytes, %v", len(got), err)
	}
}

// A frame opens in its own pack and with its own key only.
func TestFrameIsOfItsPack(t *testing.T) {
	body, plains, places := sealedPack()
	frame := body[places[0].Offset : places[0].Offset+places[0].Length]
	id := suite.ID(plains[0])
	right := sealedHeader(format.DataPack, 5)
	pack := func(change func(h *format.PackHeader)) format.PackHeader {
		h := right
		change(&h)
		return h
	}
	k, other := format.ChunkKey(key(3), right.Writer, right.Nonce), format.ChunkKey(key(9), right.Writer, right.Nonce)
	for what, c := range map[string]struct {
		h format.PackHeader
		k ivd.Key
	}{
		"another nonce":      {pack(func(h *format.PackHeader) { h.Nonce[0]++ }), k},
		"another writer":     {pack(func(h *format.PackHeader) { h.Writer[0]++ }), k},
		"another domain":     {pack(func(h *format.PackHeader) { h.Domain[0]++ }), k},
		"another data key":   {pack(func(h *format.PackHeader) { h.DataKey[0]++ }), k},
		"another repository": {pack(func(h *format.PackHeader) { h.Repository = "7b1f2d0e-7a53-4c1d-9e0f-2b8c5d4a3f21" }), k},
		"another key":        {right, other},
	} {
		o, err := suite.Opener(c.h, &c.k)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := o.Frame(nil, frame, id); ivd.KindOf(err) != ivd.Corrupt {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := suite.Opener(header(format.DataPack, 5), &k); ivd.KindOf(err) != ivd.Corrupt {
		t.Errorf("a plain pack in an encrypted domain: %v", err)
	}
	if _, err := (format.Suite{}).Opener(right, nil); ivd.KindOf(err) != ivd.Corrupt {
		t.Errorf("a sealed pack in a plain repository: %v", err)
	}
}

// A machine that is resumed twice from one moment fills the same pack with other
// content: what is sealed then must not be sealed by the same key and nonce.
func TestNonceOfAResumedMachine(t *testing.T) {
	seal := func(plain []byte) []byte {
		p := format.NewPack(sealedHeader(format.DataPack, 5), writerKeys())
		at := addSealed(p, format.ChunkFrame, plain, 0)
		body, _ := p.Finish()
		return bytes.Clone(body[at.Offset+format.FrameHeaderSize : at.Offset+at.Length-format.TagSize])
	}
	a, b := content(1, 4096, true), content(2, 4096, true)
	stream := make([]byte, 4096) // equal key streams would cancel each other out
	x, y := seal(a), seal(b)
	for i := range stream {
		stream[i] = x[i] ^ y[i] ^ a[i] ^ b[i]
	}
	if bytes.Count(stream, []byte{0}) > 100 {
		t.Fatal("two contents are sealed with one key stream")
	}
	if !bytes.Equal(seal(a), x) {
		t.Fatal("sealing is not deterministic")
	}
}

// Ids are BLAKE3's keyed mode.
func TestKeyedID(t *testing.T) {
	for _, n := range []int{0, 1, 1023, 1024, 1025, 16384, 16385, 300_000} {
		b := content(1, n, true)
		h := blake3.New(32, key(1).Reveal())
		_, _ = h.Write(b)
		if got := suite.ID(b); !bytes.Equal(got[:], h.Sum(nil)) {
			t.Errorf("of %d bytes: %s", n, got)
		}
	}
	if id := (format.Suite{}).ID([]byte("x")); id != format.Sum([]byte("x")) {
		t.Errorf("without a key: %s", id)
	}
}

func TestPackHeaderOfACipher(t *testing.T) {
	body, _, _ := sealedPack()
	for what, c := range map[string]struct {
		change func(b []byte)
		kind   ivd.Kind
	}{
		"no data key":          {func(b []byte) { clear(b[80:96]) }, ivd.Corrupt},
		"ids without a key":    {func(b []byte) { b[12] = 1 }, ivd.Unsupported},
		"another cipher":       {func(b []byte) { b[11] = 2 }, ivd.Unsupported},
		"a key of index packs": {func(b []byte) { b[10] = 2 }, ivd.Unsupported},
		"no cipher":            {func(b []byte) { b[11], b[12] = 0, 1 }, ivd.Unsupported},
	} {
		b := bytes.Clone(body[:format.PackHeaderSize])
		c.change(b)
		if _, err := format.ReadPackHeader(b); ivd.KindOf(err) != c.kind {
			t.Errorf("%s: %v", what, err)
		}
	}
	if n := binary.LittleEndian.Uint32(body[format.PackHeaderSize+format.SealedKeySize+8:]); n != 0 {
		t.Errorf("frame %d follows the sealed key", n)
	}
}
