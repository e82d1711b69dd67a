package reader

import (
	"bytes"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/keys"
	"ivdmover/shared/repo"
	"ivdmover/shared/repo/repotest"
)

const golden = "../../shared/repo/testdata"

// What the real code stores, the reader reads byte for byte, and what is damaged it finds.
func TestReader(t *testing.T) {
	r := install(t)
	for name, test := range map[string]func(*testing.T, reader){
		"golden": readGolden, "golden encrypted": readGoldenSealed,
		"fresh": readFresh, "fresh encrypted": readFreshSealed,
		"keys": readWithKeys, "flips": findFlips, "damage": refuseDamage, "forgeries": findForgeries, "lies": refuseLies, "calls": refuseCalls,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, r)
		})
	}
}

// passphraseFile opens what repotest encrypts.
func passphraseFile(t *testing.T) string {
	t.Helper()
	return file(t, repotest.Passphrase.Reveal()+"\n")
}

func file(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(name, []byte(text), 0o600))
	return name
}

func sealed(t *testing.T, folder string) []string {
	t.Helper()
	return []string{"--repository", folder, "--passphrase-file", passphraseFile(t)}
}

// text is a chunk's worth of a text, over and over.
func text(s string) []byte {
	return bytes.Repeat([]byte(s), ivd.MinChunkSize/len(s)+1)[:ivd.MinChunkSize]
}

func write(t *testing.T, d *repotest.Disk, content map[int64][]byte) {
	t.Helper()
	for at, b := range content {
		at *= ivd.MinChunkSize
		_, err := d.WriteAt(b[:min(int64(len(b)), d.Capacity-at)], at)
		must(t, err)
	}
}

func readGolden(t *testing.T, r reader) {
	d := repotest.NewDisk(ivd.Geometry{Capacity: 2*ivd.ChunksPerSpan*ivd.MinChunkSize + 777, ChunkSize: ivd.MinChunkSize})
	noise := make([]byte, ivd.MinChunkSize)
	for i, x := 0, uint32(1); i < len(noise); i++ {
		x = x*1664525 + 1013904223
		noise[i] = byte(x >> 24)
	}
	repeated := bytes.Repeat([]byte("a guest's file, over and over. "), 1+ivd.MinChunkSize/31)
	write(t, d, map[int64][]byte{0: repeated[:ivd.MinChunkSize], 1: noise, 255: repeated[5 : 5+ivd.MinChunkSize], 512: repeated})
	repository := []string{"--repository", filepath.Join(golden, "v1")}
	readAll(t, r, repository, func(string) *repotest.Disk { return d }, 1)
}

func readGoldenSealed(t *testing.T, r reader) {
	d := repotest.NewDisk(ivd.Geometry{Capacity: 300*ivd.MinChunkSize + 777, ChunkSize: ivd.MinChunkSize})
	write(t, d, map[int64][]byte{0: text("the first chunk. "), 7: text("another one! "), 299: text("in another span, "), 300: text("the last ")})
	readAll(t, r, sealed(t, filepath.Join(golden, "sealed-v1")), func(string) *repotest.Disk { return d }, 2)
}

func readFresh(t *testing.T, r reader) {
	s := repotest.New(t)
	disks := save(t, s)
	readAll(t, r, []string{"--repository", s.Dir}, func(name string) *repotest.Disk { return disks[name] }, len(disks))
}

func readFreshSealed(t *testing.T, r reader) {
	s := repotest.Sealed(t)
	disks := save(t, s)
	readAll(t, r, sealed(t, s.Dir), func(name string) *repotest.Disk { return disks[name] }, len(disks))
}

// save stores points of a disk of two pages, each of which builds on the one before, and
// one of an empty disk.
func save(t *testing.T, s *repotest.Repository) map[string]*repotest.Disk {
	t.Helper()
	disks := map[string]*repotest.Disk{}
	keep := func(p repotest.Point) { disks[string(p.ID)] = p.Disk }
	const page = ivd.SpansPerPage * ivd.ChunksPerSpan
	d := repotest.NewDisk(ivd.Geometry{Capacity: (page+2*ivd.ChunksPerSpan+3)*ivd.MinChunkSize + 777, ChunkSize: ivd.MinChunkSize})
	rnd := rand.New(rand.NewPCG(1, 2))
	d.Fill(rnd, 8, 300<<10)
	write(t, d, map[int64][]byte{0: text("the first "), page - 1: text("the page's last "), page: text("another page "), page + 2*ivd.ChunksPerSpan + 3: text("the end ")})
	keep(s.Save(d, repotest.Layout{ChunksPerPack: 7, NodesPerPack: 3}))
	d.Fill(rnd, 5, 300<<10)
	write(t, d, map[int64][]byte{0: text("another first "), page: make([]byte, ivd.MinChunkSize)})
	keep(s.Save(d, repotest.Layout{Mover: "another"}))
	d.Fill(rnd, 2, 200<<10)
	keep(s.Save(d, repotest.Layout{}))
	keep(s.Save(repotest.NewDisk(ivd.Geometry{Capacity: 12345, ChunkSize: ivd.MaxChunkSize}), repotest.Layout{}))
	return disks
}

// readAll verifies a repository, and restores each of its count points.
func readAll(t *testing.T, r reader, repository []string, disk func(name string) *repotest.Disk, count int) {
	t.Helper()
	if out := r.succeed(t, append(repository, "verify")...); !strings.Contains(out, "faults: 0") {
		t.Error(out)
	}
	points := r.points(t, repository...)
	if len(points) != count {
		t.Fatalf("%d points, want %d: %v", len(points), count, points)
	}
	for id, name := range points {
		restored := filepath.Join(t.TempDir(), "disk.raw")
		r.succeed(t, append(repository, "restore", id, restored)...)
		compare(t, disk(name), restored)
	}
}

// compare compares a file with a disk: what the file holds, and every chunk that the disk
// has. A sparse file's holes are passed over: they are zeros.
func compare(t *testing.T, d *repotest.Disk, name string) {
	t.Helper()
	f, err := os.Open(name)
	must(t, err)
	defer f.Close()
	info, err := f.Stat()
	must(t, err)
	if info.Size() != d.Capacity {
		t.Fatalf("%d bytes, want %d", info.Size(), d.Capacity)
	}
	for c := range d.Stored() {
		compareAt(t, d, f, d.Chunk(c))
	}
	const data, hole = 3, 4 // SEEK_DATA, SEEK_HOLE
	for end := int64(0); ; {
		from, err := syscall.Seek(int(f.Fd()), end, data)
		if err != nil { // ENXIO: there is no more
			return
		}
		end, err = syscall.Seek(int(f.Fd()), from, hole)
		must(t, err)
		compareAt(t, d, f, ivd.Extent{Offset: from, Length: end - from})
	}
}

func compareAt(t *testing.T, d *repotest.Disk, f io.ReaderAt, e ivd.Extent) {
	t.Helper()
	got, want := make([]byte, e.Length), make([]byte, e.Length)
	_, err := f.ReadAt(got, e.Offset)
	must(t, err)
	_, err = d.ReadAt(want, e.Offset)
	must(t, err)
	if !bytes.Equal(got, want) {
		t.Fatalf("bytes %d to %d differ", e.Offset, e.Offset+e.Length)
	}
}

// A key file and a recovery sheet open a repository as the passphrase does.
func readWithKeys(t *testing.T, r reader) {
	s := repotest.Sealed(t)
	d := repotest.NewDisk(ivd.Geometry{Capacity: 1 << 20, ChunkSize: ivd.MinChunkSize})
	write(t, d, map[int64][]byte{3: text("sealed ")})
	s.Save(d, repotest.Layout{})
	chain, err := repo.OpenKeychain(t.Context(), s.Store, repo.Keys{Passphrase: repotest.Passphrase})
	must(t, err)
	slot := func() keys.File {
		f, err := chain.KeyFile(t.Context(), "a key file")
		must(t, err)
		return f
	}
	f := slot()
	_, err = chain.AddSlot(t.Context(), "a key file", f.Opening(), format.Argon2{})
	must(t, err)
	other := slot() // of which there is no slot
	encoded, err := f.Encode()
	must(t, err)
	unknown, err := other.Encode()
	must(t, err)
	lines := format.RecoveryLines(ivd.Key(f.Secret))
	for option, content := range map[string]string{"--key-file": string(encoded), "--recovery-sheet": strings.ToLower(strings.Join(lines, "\n"))} {
		readAll(t, r, []string{"--repository", s.Dir, option, file(t, content)}, func(string) *repotest.Disk { return d }, 1)
	}
	lines[2] = "0000" + lines[2][4:]
	for want, call := range map[string][]string{
		"no slot of kind key_file opens":           {"--key-file", file(t, string(unknown))},
		"no slot of kind passphrase opens":         {"--passphrase-file", file(t, "another passphrase")},
		"line 3 of the recovery sheet has a mista": {"--recovery-sheet", file(t, strings.Join(lines, "\n"))},
		"of another repository":                    {"--key-file", filepath.Join("..", "..", "shared", "keys", "testdata", "v1", "key_file")},
		"give one of --passphrase-file":            {},
	} {
		r.fail(t, 1, []string{want}, append(call, "--repository", s.Dir, "points")...)
	}

	name := filepath.Join(s.Dir, "keys", "slot-2") // the key file's; damaged, it is in the other's way no more than before
	b, err := os.ReadFile(name)
	must(t, err)
	b[len(b)-1] ^= 1
	must(t, os.WriteFile(name, b, 0o600))
	r.fail(t, 1, []string{"no slot of kind key_file opens", "keys/slot-2: the signature does not hold"}, "--repository", s.Dir, "--key-file", file(t, string(encoded)), "points")
	r.succeed(t, append(sealed(t, s.Dir), "points")...)
}

// A flipped bit anywhere in what a reader needs is found, and never read as if it was right.
func findFlips(t *testing.T, r reader) {
	for folder, call := range map[string][]string{"v1": {"", "25"}, "sealed-v1": {passphraseFile(t), "2"}} {
		got := r.script(t, "flips.js", append([]string{filepath.Join(golden, folder)}, call...)...)
		if got.code != 0 || !strings.Contains(got.stdout, " flips, 0 failures") {
			t.Errorf("%s: exit code %d\n%s%s", folder, got.code, got.stdout, got.stderr)
		}
	}
}

// Damage is told in one line that names it, and leaves no file; so is what is newer.
func refuseDamage(t *testing.T, r reader) {
	s := repotest.New(t)
	d := repotest.NewDisk(ivd.Geometry{Capacity: 8 * ivd.MinChunkSize, ChunkSize: ivd.MinChunkSize})
	write(t, d, map[int64][]byte{2: text("a chunk "), 5: text("another ")})
	point := s.Save(d, repotest.Layout{})
	at := s.Place(d, 2)
	pack := string(s.PackName(format.DataPack, at.Pack))
	call := func(args ...string) []string { return append([]string{"--repository", s.Dir}, args...) }
	folder := t.TempDir()
	restored := filepath.Join(folder, "disk.raw")
	refuse := func(code int, want ...string) {
		t.Helper()
		r.fail(t, code, want, call("restore", string(point.ID), restored)...)
		if left, _ := os.ReadDir(folder); len(left) > 0 {
			t.Errorf("a restore that failed left %s", left[0].Name())
		}
	}

	s.Damage(format.DataPack, at.Pack, at.Offset+at.Length-20)
	refuse(1, "corrupt", pack)
	r.fail(t, 1, []string{"corrupt", pack, "its Sum is not its name"}, call("verify")...)
	s.Delete(format.DataPack, at.Pack)
	refuse(1, "missing", pack)
	r.fail(t, 1, []string{"missing", string(point.ID), pack}, call("verify")...)

	config := filepath.Join(s.Dir, "repo.json")
	b, err := os.ReadFile(config)
	must(t, err)
	for from, want := range map[string]string{`"version": 1`: `"version": 2`, `"read": []`: `"read": ["folding"]`, `"cipher": "none"`: `"cipher": "rot13"`} {
		must(t, os.WriteFile(config, bytes.Replace(b, []byte(from), []byte(want), 1), 0o600))
		refuse(3, "unsupported", "repo.json")
	}
	must(t, os.WriteFile(config, bytes.Replace(b, []byte(`"version": 1`), []byte(`"version": 1, "Version": 1`), 1), 0o600))
	refuse(1, "corrupt", "repo.json", "two spellings")
}

// A pack that its writer has not signed is found, though its contents are in order.
func findForgeries(t *testing.T, r reader) {
	s := repotest.Sealed(t)
	registered, stranger := s.Forger(true), s.Forger(false)
	id := s.Suite().ID(text("a chunk "))
	fill := func(p *format.Pack) { repotest.Chunk(p, id, text("a chunk ")) }
	signed := registered.Put(registered.ID, fill)
	verify := append(sealed(t, s.Dir), "verify")
	r.succeed(t, verify...)
	b, err := os.ReadFile(filepath.Join(s.Dir, string(s.PackName(format.DataPack, signed.Pack))))
	must(t, err)
	b[len(b)-format.TrailerSize] ^= 1 // of the signature
	forged := filepath.Join(s.Dir, string(s.PackName(format.DataPack, ivd.PackID(format.Sum(b)))))
	must(t, os.MkdirAll(filepath.Dir(forged), 0o700))
	must(t, os.WriteFile(forged, b, 0o600))
	r.fail(t, 1, []string{"corrupt", filepath.Base(forged), "the signature does not hold"}, verify...)
	must(t, os.Remove(forged))
	stranger.Put(stranger.ID, fill)
	r.fail(t, 1, []string{"missing", "writers/" + s.Domain().String(), stranger.ID.String()}, verify...)
}

// What has its right Sum and contradicts something else is refused all the same.
func refuseLies(t *testing.T, r reader) {
	s := repotest.New(t)
	d := repotest.NewDisk(ivd.Geometry{Capacity: 8 * ivd.MinChunkSize, ChunkSize: ivd.MinChunkSize})
	write(t, d, map[int64][]byte{2: text("a chunk "), 5: text("another ")})
	honest := s.Save(d, repotest.Layout{ChunksPerPack: 1})
	call := func(args ...string) []string { return append([]string{"--repository", s.Dir}, args...) }
	restored := filepath.Join(t.TempDir(), "disk.raw")
	refuse := func(point, want string) {
		t.Helper()
		r.fail(t, 1, []string{"corrupt", want}, call("restore", point, restored)...)
		r.fail(t, 1, []string{"corrupt", point, want}, call("verify")...)
	}

	// A point under the name of another one.
	b, err := os.ReadFile(filepath.Join(s.Dir, "points", string(honest.ID)))
	must(t, err)
	name := filepath.Join(s.Dir, "points", string(honest.ID)+"-copy")
	must(t, os.WriteFile(name, b, 0o600))
	refuse(string(honest.ID)+"-copy", "it says another object")
	must(t, os.Remove(name))
	r.succeed(t, call("verify")...)

	// A page that does not say what its node needs: a collection could delete it.
	lie := s.Save(d, repotest.Layout{Needs: func(_ ivd.SpanIndex, n *format.Node) []ivd.PackRef { return n.Packs[:1] }})
	refuse(string(lie.ID), "it names a pack which its page does not say the span needs")
}

// A call that is wrong is refused in one line with the remedy.
func refuseCalls(t *testing.T, r reader) {
	repository := filepath.Join(golden, "v1")
	there := file(t, "somebody's")
	for _, c := range []struct {
		code int
		want string
		args []string
	}{
		{2, "--help lists them", []string{"mend"}},
		{2, "takes 2 arguments", []string{"--repository", repository, "restore", "99a04a56"}},
		{2, "--colour", []string{"--colour", "points"}},
		{1, "say the folder with --repository", []string{"--repository", t.TempDir(), "points"}},
		{1, `"points" lists them`, []string{"--repository", repository, "restore", "00000000", "disk.raw"}},
		{1, "move it away", []string{"--repository", repository, "restore", "99a04a56", there}},
		{1, "no such file", []string{"--repository", repository, "restore", "99a04a56", filepath.Join(t.TempDir(), "away", "disk.raw")}},
	} {
		r.fail(t, c.code, []string{c.want}, c.args...)
	}
	if b, err := os.ReadFile(there); err != nil || string(b) != "somebody's" {
		t.Errorf("the file that was there: %q, %v", b, err)
	}
	if help := r.succeed(t, "--help"); !strings.Contains(help, "Examples:") {
		t.Error(help)
	}
}
