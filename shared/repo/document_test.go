package repo_test

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"lukechampine.com/blake3"

	"ivdmover/shared/ivd"
)

// byHand reads the golden repository by docs/format.md alone: every figure here
// is one of its tables', and nothing of package format is used.
type byHand struct {
	t      *testing.T
	domain string
}

type placeByHand struct {
	Pack           string
	Writer, Nonce  string
	Offset, Length int
}

func (h byHand) object(name string) []byte {
	h.t.Helper()
	b, err := os.ReadFile(filepath.Join(goldenFolder, filepath.FromSlash(name)))
	if err != nil {
		h.t.Fatal(err)
	}
	return b
}

func sumByHand(b []byte) string {
	sum := blake3.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func (h byHand) want(what string, got, want any) {
	h.t.Helper()
	if got != want {
		h.t.Fatalf("%s is %v, want %v", what, got, want)
	}
}

// frame opens a frame of a pack.
func (h byHand) frame(folder string, at placeByHand, id string) []byte {
	h.t.Helper()
	pack := h.object(folder + "/" + h.domain + "/" + at.Pack[:2] + "/" + at.Pack)
	h.want("a pack's id", sumByHand(pack), at.Pack)
	h.want("a pack's magic", string(pack[:8]), "IVDPACK\x00")
	h.want("a pack's domain", hex.EncodeToString(pack[32:48]), strings.ReplaceAll(h.domain, "-", ""))
	h.want("the writer and the nonce of a pack's reference", strings.ReplaceAll(at.Writer, "-", "")+at.Nonce, hex.EncodeToString(pack[48:80]))
	h.want("a pack's end", string(pack[len(pack)-8:]), "IVDPEND\x00")
	f := pack[at.Offset : at.Offset+at.Length]
	h.want("a frame's magic", string(f[:4]), "IVDF")
	h.want("a frame's version", f[4], byte(1))
	h.want("a frame's cipher", f[7], byte(0))
	h.want("a frame's length", len(f), int(binary.LittleEndian.Uint32(f[16:]))+72)
	plain := f[56 : len(f)-16]
	if f[6] == 1 {
		d, err := zstd.NewReader(nil)
		if err == nil {
			plain, err = d.DecodeAll(plain, nil)
			d.Close()
		}
		if err != nil {
			h.t.Fatal(err)
		}
	}
	h.want("a frame's plain length", len(plain), int(binary.LittleEndian.Uint32(f[12:])))
	h.want("a frame's content id", hex.EncodeToString(f[24:56]), id)
	h.want("a content's sum", sumByHand(plain), id)
	return plain
}

// place reads an offset and a length, of a pack of a table.
func (h byHand) place(table []byte, pack uint32, b []byte, own placeByHand) placeByHand {
	ref := hex.EncodeToString(table[pack*64 : pack*64+64])
	at := placeByHand{Pack: ref[:64], Writer: ref[64:96], Nonce: ref[96:]}
	if ref == strings.Repeat("f", 64)+strings.Repeat("0", 64) {
		at = own
	}
	at.Offset, at.Length = int(binary.LittleEndian.Uint32(b)), int(binary.LittleEndian.Uint32(b[4:]))
	return at
}

// node puts a span's chunks into disk.
func (h byHand) node(b []byte, span int, disk map[ivd.ChunkIndex][]byte) {
	h.want("a node's magic", string(b[:4]), "IVDN")
	h.want("a node's span", int(binary.LittleEndian.Uint64(b[8:])), span)
	packs := int(binary.LittleEndian.Uint32(b[24:]))
	bitmap, table := b[32:64], b[64:64+packs*64]
	entries := b[64+packs*64:]
	for i := range int(binary.LittleEndian.Uint32(b[20:])) {
		if bitmap[i/8]>>(i%8)&1 == 0 {
			continue
		}
		at := h.place(table, uint32(binary.LittleEndian.Uint16(entries[32:])), entries[34:], placeByHand{})
		disk[ivd.ChunkIndex(span*256+i)] = h.frame("data", at, hex.EncodeToString(entries[:32]))
		entries = entries[42:]
	}
	h.want("a node's rest", len(entries), 0)
}

// page puts the chunks of a page's spans into disk.
func (h byHand) page(b []byte, page int, own placeByHand, disk map[ivd.ChunkIndex][]byte) {
	h.want("a page's magic", string(b[:4]), "IVDP")
	h.want("a page's number", int(binary.LittleEndian.Uint64(b[8:])), page)
	packs := int(binary.LittleEndian.Uint32(b[24:]))
	table, rest := b[32:32+packs*64], b[32+packs*64:]
	for i := range int(binary.LittleEndian.Uint32(b[20:])) {
		if rest[0] == 0 {
			rest = rest[1:]
			continue
		}
		h.want("a span's state", rest[0], byte(1))
		at := h.place(table, binary.LittleEndian.Uint32(rest[33:]), rest[37:], own)
		h.node(h.frame("index", at, hex.EncodeToString(rest[1:33])), page*1024+i, disk)
		rest = rest[49+4*binary.LittleEndian.Uint32(rest[45:]):]
	}
	h.want("a page's rest", len(rest), 0)
}

// The document is enough to read a repository with.
func TestDocument(t *testing.T) {
	h := byHand{t: t}
	var info struct {
		Version int
		ID      string
		Domain  string
	}
	if err := json.Unmarshal(h.object("repo.json"), &info); err != nil {
		t.Fatal(err)
	}
	h.want("the repository's version", info.Version, 1)
	h.domain = info.Domain
	names, err := filepath.Glob(filepath.Join(goldenFolder, "points", info.Domain, string(source), string(disk), "*"))
	if err != nil || len(names) != 1 {
		t.Fatalf("points %q: %v", names, err)
	}
	name, err := filepath.Rel(goldenFolder, names[0])
	if err != nil {
		t.Fatal(err)
	}
	record := h.object(filepath.ToSlash(name))
	h.want("a record's kind", string(record[:8]), "IVDPOINT")
	h.want("a record's version", binary.LittleEndian.Uint16(record[8:]), uint16(1))
	h.want("a record's cipher and algorithm", binary.LittleEndian.Uint16(record[10:]), uint16(0))
	h.want("a record's signature", binary.LittleEndian.Uint32(record[12:]), uint32(0))
	h.want("a record's length", uint64(len(record)), 112+binary.LittleEndian.Uint64(record[64:]))
	h.want("a record's sum", hex.EncodeToString(record[80:112]), sumByHand(record[112:]))
	var p struct {
		Object     string
		Repository string
		Domain     string
		Geometry   struct {
			Capacity  int
			ChunkSize int `json:"chunk_size"`
		}
		Pages []struct {
			Page  int
			ID    string
			Place placeByHand
		}
	}
	if err := json.Unmarshal(record[112:], &p); err != nil {
		t.Fatal(err)
	}
	h.want("a point's name", p.Object, filepath.ToSlash(name))
	h.want("a point's repository", p.Repository, info.ID)
	h.want("a point's domain", p.Domain, info.Domain)
	h.want("the disk's capacity", p.Geometry.Capacity, 2*256*65536+777)
	got := map[ivd.ChunkIndex][]byte{}
	for _, ref := range p.Pages {
		h.page(h.frame("index", ref.Place, ref.ID), ref.Page, ref.Place, got)
	}
	sameDisk(t, got)
	h.packs(info.ID, "runs/"+h.domain+"/run-1.packs")
}

// packs wants a run's list of packs to name every pack there is, as long as it is.
func (h byHand) packs(repository, name string) {
	h.t.Helper()
	b := h.object(name)
	h.want("a list's kind", string(b[:8]), "IVDPACKS")
	h.want("a list's sum", hex.EncodeToString(b[80:112]), sumByHand(b[112:]))
	b = b[112:]
	h.want("a list's repository", hex.EncodeToString(b[:16]), strings.ReplaceAll(repository, "-", ""))
	h.want("a list's domain", hex.EncodeToString(b[16:32]), strings.ReplaceAll(h.domain, "-", ""))
	b = b[44:]
	text := func() string {
		n := 2 + binary.LittleEndian.Uint16(b)
		s := string(b[2:n])
		b = b[n:]
		return s
	}
	h.want("a list's name", text(), name)
	text() // the program
	h.want("a list's parts", binary.LittleEndian.Uint32(b), uint32(0))
	n := int(binary.LittleEndian.Uint32(b[4:]))
	b = b[8:]
	h.want("a list's length", len(b), n*48)
	packs := map[string]int{}
	for ; len(b) > 0; b = b[48:] {
		folder := map[byte]string{1: "data", 2: "index"}[b[40]]
		packs[folder+"/"+hex.EncodeToString(b[:32])] = int(binary.LittleEndian.Uint64(b[32:]))
	}
	for _, folder := range []string{"data", "index"} {
		there, err := filepath.Glob(filepath.Join(goldenFolder, folder, h.domain, "*", "*"))
		if err != nil || len(there) != 1 {
			h.t.Fatalf("%q: %v", there, err)
		}
		for _, path := range there {
			id := filepath.Base(path)
			h.want("a pack's length", packs[folder+"/"+id], len(h.object(folder+"/"+h.domain+"/"+id[:2]+"/"+id)))
			delete(packs, folder+"/"+id)
		}
	}
	h.want("packs that are not there", len(packs), 0)
}
