package format_test

import (
	"bytes"
	"fmt"
	"testing"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

// unknown is a field of the format that may come to say what this release does not
// know, in an object that is in order otherwise.
type unknown struct {
	object string // what is read: a key of readers
	field  string
	at     int    // of the field in the object; below zero: from its end
	bytes  int    // each by itself
	values []byte // that are not known
	says   string // in the error
}

// unknowns are all such fields of packs, nodes and pages.
var unknowns = []unknown{
	{"pack header", "version", 8, 1, []byte{0, 2, 255}, "pack"},
	{"pack header", "version's second byte", 9, 1, []byte{1, 255}, "pack: version"},
	{"pack header", "kind", 10, 1, []byte{0, 3, 255}, "pack of kind"},
	{"pack header", "cipher", 11, 1, []byte{1, 255}, "pack with cipher"},
	{"pack header", "hash", 12, 1, []byte{0, 2, 255}, "and hash"},
	{"pack header", "reserved", 13, 3, []byte{1}, "pack header: reserved"},
	{"pack header", "data key's id", 80, 16, []byte{1}, "and data key"},

	{"frame", "version", 4, 1, []byte{0, 2, 255}, "frame"},
	{"frame", "kind", 5, 1, []byte{0, 5, 255}, "frame of kind"},
	{"frame", "compression", 6, 1, []byte{2, 255}, "frame with compression"},
	{"frame", "reserved", 7, 1, []byte{1, 255}, "frame: reserved"},
	{"frame", "dictionary", 20, 4, []byte{1}, "frame with dictionary"},
	{"frame", "tag", -16, 16, []byte{1}, "a tag without a cipher"},

	{"directory entry", "kind", 44, 1, []byte{0, 5, 255}, "frame of kind"},
	{"directory entry", "compression", 45, 1, []byte{2, 255}, "frame with compression"},
	{"directory entry", "reserved", 46, 2, []byte{1}, "reserved"},

	{"trailer", "signature", 0, 64, []byte{1}, "without a signature algorithm"},
	{"trailer", "version", 64 + 4, 1, []byte{0, 2, 255}, "pack trailer"},
	{"trailer", "signature algorithm", 64 + 5, 1, []byte{1, 2, 255}, "signature algorithm"},
	{"trailer", "reserved", 64 + 6, 2, []byte{1}, "pack trailer: reserved"},

	{"node", "version", 4, 1, []byte{0, 2, 255}, "node"},
	{"node", "reserved", 5, 3, []byte{1}, "reserved"},
	{"node", "reserved", 28, 4, []byte{1}, "reserved"},

	{"page", "version", 4, 1, []byte{0, 2, 255}, "page"},
	{"page", "reserved", 5, 3, []byte{1}, "reserved"},
	{"page", "reserved", 28, 4, []byte{1}, "reserved"},
	{"page", "own pack's writer", 32 + 64 + 32, 16, []byte{1}, "own pack has writer"},
	{"page", "own pack's nonce", 32 + 64 + 48, 16, []byte{1}, "and nonce"},
	{"page", "a span that is not done", 32 + 2*64, 1, []byte{2}, "partial point"},
	{"page", "state of a span", 32 + 2*64, 1, []byte{3, 255}, "state"},
}

// reader is an object that is in order, and how it is read.
type reader struct {
	good []byte
	read func(b []byte) error
}

// readers are the objects of the unknowns. The page's table names a data pack and
// then the page's own pack.
func readers(t testing.TB) map[string]reader {
	t.Helper()
	plain := content(1, 500, true)
	p := format.NewPack(header(format.DataPack, 1), nil)
	at := add(p, format.ChunkFrame, plain, 0)
	pack, _ := p.Finish()
	end := len(pack) - format.TrailerSize
	directory := int(at.Offset + at.Length)
	entry := directory + format.FrameHeaderSize

	n := format.NewNode(goldenGeometry, 1)
	n.Set(3, format.Sum(plain), ivd.Place{PackRef: packRef(9), Offset: at.Offset, Length: at.Length})
	node, err := n.Encode()
	if err != nil {
		t.Fatal(err)
	}
	g := format.NewPage(goldenGeometry, 0)
	g.SetNode(ivd.NodeRef{Span: 0, ID: format.Sum(node), Place: ivd.Place{PackRef: format.OwnPack, Offset: 96, Length: 500}}, n.Packs)
	page, err := g.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return map[string]reader{
		"pack header": {pack[:format.PackHeaderSize], func(b []byte) error {
			_, err := format.ReadPackHeader(b)
			return err
		}},
		"frame": {pack[at.Offset : at.Offset+at.Length], func(b []byte) error {
			_, err := new(format.Opener).Frame(nil, b, format.Sum(plain))
			return err
		}},
		"directory entry": {pack[entry : entry+48], func(b []byte) error {
			frame := bytes.Clone(pack[directory:end])
			copy(frame[format.FrameHeaderSize:], b)
			sum := format.Sum(b)
			copy(frame[24:], sum[:])
			_, err := new(format.Opener).Directory(frame, format.Trailer{Frames: 1, Offset: uint32(directory), Length: uint32(len(frame))})
			return err
		}},
		"trailer": {pack[end:], func(b []byte) error {
			_, err := format.ReadTrailer(b, int64(len(pack)), format.CipherNone)
			return err
		}},
		"node": {node, func(b []byte) error {
			_, err := format.DecodeNode(b, goldenGeometry, 1)
			return err
		}},
		"page": {page, func(b []byte) error {
			_, err := format.DecodePage(b, goldenGeometry, 0)
			return err
		}},
	}
}

// each calls f with the object in which one byte says what is not known.
func (u unknown) each(good []byte, f func(name string, b []byte)) {
	for i := range u.bytes {
		for _, v := range u.values {
			at := u.at + i
			if u.at < 0 {
				at += len(good)
			}
			b := bytes.Clone(good)
			b[at] = v
			f(fmt.Sprintf("%s: %s (byte %d is %d)", u.object, u.field, at, v), b)
		}
	}
}

// Unknown is not damage: whatever this release does not know is refused by name,
// as unsupported, wherever it stands.
func TestUnknown(t *testing.T) {
	objects := readers(t)
	for _, u := range unknowns {
		o := objects[u.object]
		if err := o.read(o.good); err != nil {
			t.Fatalf("%s in order: %v", u.object, err)
		}
		u.each(o.good, func(name string, b []byte) {
			err := o.read(b)
			if err == nil {
				t.Errorf("%s is accepted", name)
				return
			}
			wantRefused(t, err, ivd.Unsupported, u.says)
			if ivd.RemedyOf(err) == "" {
				t.Errorf("%s: no remedy", name)
			}
		})
	}
}
