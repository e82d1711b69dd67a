package format_test

import (
	"bytes"
	"crypto/ed25519"
	"os"
	"path/filepath"
	"testing"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

// goldenKeys are the keys of the golden files of an encrypted repository.
type goldenKeys struct{}

func (goldenKeys) Opens(ivd.KeyID, format.Secrecy) (ivd.Key, error) { return key(5), nil }

func (goldenKeys) Signer(ivd.KeyID, format.Magic) (ed25519.PublicKey, error) {
	return signer(4).Public().(ed25519.PublicKey), nil
}

// sealGolden makes the golden files of an encrypted repository, of the plain ones.
func sealGolden(t *testing.T) map[string][]byte {
	t.Helper()
	k := writerKeys()
	k.SealedFrame = [format.SealedKeySize]byte(bytes.Repeat([]byte{7}, format.SealedKeySize))
	pack := func(kind format.PackKind, frame format.FrameKind, contents ...[]byte) []byte {
		p := format.NewPack(sealedHeader(kind, 5), k)
		for _, c := range contents {
			addSealed(p, frame, c, 3)
		}
		body, _ := p.Finish()
		return body
	}
	point, err := format.Protect(readGolden(t, "point"), "points/"+string(goldenPoint), format.Protection{
		Key: key(5), KeyID: ivd.KeyID{5}, Random: [32]byte(key(6)), Signer: ivd.KeyID{4}, Sign: signer(4),
	})
	if err != nil {
		t.Fatal(err)
	}
	return map[string][]byte{
		"sealed-data.pack":  pack(format.DataPack, format.ChunkFrame, content(1, 4096, true), content(3, 777, false)),
		"sealed-index.pack": pack(format.IndexPack, format.NodeFrame, readGolden(t, "node")),
		"sealed-point":      point,
	}
}

// What an encrypted repository holds is read for ever, and written as it was.
func TestGoldenSealed(t *testing.T) {
	now := sealGolden(t)
	if *update {
		for name, b := range now {
			if err := os.WriteFile(filepath.Join(goldenFolder, name), b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	point := readGolden(t, "sealed-point")
	if !bytes.Equal(point, now["sealed-point"]) {
		t.Error("the point is sealed differently")
	}
	if plain, err := format.Unprotect(point, format.PointMagic, goldenKeys{}); err != nil || !bytes.Equal(plain, readGolden(t, "point")) {
		t.Errorf("the point: %v", err)
	}
	for name, want := range map[string][][]byte{
		"sealed-data.pack": {content(1, 4096, true), content(3, 777, false)}, "sealed-index.pack": {readGolden(t, "node")},
	} {
		b := readGolden(t, name)
		h, entries, err := format.DecodePack(b, opened)
		if err != nil || len(entries) != len(want) {
			t.Fatalf("%s: %d frames, %v", name, len(entries), err)
		}
		if err := verifyPack(b, signer(4).Public().(ed25519.PublicKey)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		o, err := opened(h)
		if err != nil {
			t.Fatal(err)
		}
		for i, e := range entries {
			if got, err := o.Frame(nil, b[e.Offset:e.Offset+e.Length], suite.ID(want[i])); err != nil || !bytes.Equal(got, want[i]) {
				t.Errorf("%s, frame %d: %v", name, i, err)
			}
		}
	}
}
