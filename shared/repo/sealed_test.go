package repo_test

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/repo/repotest"
)

// secret is what must not lie in the store.
const secret = "payroll of the board, confidential"

// sealedDisk is a repository with one point of a disk that holds the secret.
func sealedDisk(t *testing.T) (*repotest.Repository, repotest.Point) {
	t.Helper()
	r := repotest.Sealed(t)
	d := repotest.NewDisk(ivd.Geometry{Capacity: 4 * ivd.MinChunkSize, ChunkSize: ivd.MinChunkSize})
	if _, err := d.WriteAt([]byte(secret), 5000); err != nil {
		t.Fatal(err)
	}
	return r, r.Save(d, repotest.Layout{})
}

func openWith(t *testing.T, r *repotest.Repository, k repo.Keys) *repo.Repository {
	t.Helper()
	o, err := repo.OpenWith(t.Context(), r.Store, k)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// asMover is the repository as a mover has it, with the owner for its coordinator.
func asMover(t *testing.T, owner *repotest.Repository) *repo.Repository {
	t.Helper()
	return openWith(t, owner, repo.Keys{Grant: owner.Grant(), Packs: owner, Register: owner.Register})
}

// refused fails unless the error is of a kind.
func refused(t *testing.T, what string, err error, kind ivd.Kind) {
	t.Helper()
	if err == nil || ivd.KindOf(err) != kind {
		t.Errorf("%s: %v, want kind %q", what, err, kind)
	}
}

func TestNothingLiesInTheClear(t *testing.T) {
	r, p := sealedDisk(t)
	words := [][]byte{[]byte(secret), []byte(repotest.Passphrase.Reveal()), []byte("a test"), []byte(`"geometry"`)}
	err := filepath.WalkDir(r.Dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		for _, w := range words {
			if bytes.Contains(b, w) {
				t.Errorf("%s holds %q", path, w)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.ReadPoint(t.Context(), p.ID); err != nil {
		t.Error(err)
	}
}

func TestOpenWithKeys(t *testing.T) {
	r, p := sealedDisk(t)
	_, err := repo.Open(t.Context(), r.Store)
	refused(t, "without keys", err, ivd.Denied)
	_, err = repo.OpenWith(t.Context(), r.Store, repo.Keys{Passphrase: "guess"})
	refused(t, "with another passphrase", err, ivd.Denied)
	if _, _, err := openWith(t, r, repo.Keys{Passphrase: repotest.Passphrase}).ReadPoint(t.Context(), p.ID); err != nil {
		t.Error(err)
	}
	other := repotest.Sealed(t)
	_, err = repo.OpenWith(t.Context(), r.Store, repo.Keys{Grant: other.Grant()})
	refused(t, "with another repository's grant", err, ivd.Denied)
	_, err = repo.OpenWith(t.Context(), repotest.New(t).Store, repo.Keys{Passphrase: repotest.Passphrase})
	refused(t, "a plain repository in its place", err, ivd.Corrupt)
	_, err = repo.Init(t.Context(), r.Store, repo.InitOptions{Passphrase: "mine"})
	refused(t, "made again", err, ivd.Exists)
}

// Where repo.json alone is lost, nobody is told to make another repository there, or to
// delete its keys.
func TestRepositoryWithoutItsFirstObject(t *testing.T) {
	sealed, _ := sealedDisk(t)
	plain := repotest.New(t)
	plain.Save(repotest.NewDisk(ivd.Geometry{Capacity: ivd.MinChunkSize, ChunkSize: ivd.MinChunkSize}), repotest.Layout{})
	for what, r := range map[string]*repotest.Repository{"encrypted": sealed, "plain": plain} {
		if err := r.Store.Delete(t.Context(), "repo.json"); err != nil {
			t.Fatal(err)
		}
		_, err := repo.OpenWith(t.Context(), r.Store, repo.Keys{Passphrase: repotest.Passphrase})
		refused(t, what+", opened", err, ivd.NotFound)
		errs := []error{err}
		for _, passphrase := range []ivd.Secret{"", "mine"} {
			_, err := repo.Init(t.Context(), r.Store, repo.InitOptions{Passphrase: passphrase})
			refused(t, what+", made again", err, ivd.Exists)
			errs = append(errs, err)
		}
		for _, err := range errs {
			if remedy := ivd.RemedyOf(err); !strings.HasPrefix(remedy, "put repo.json back") {
				t.Errorf("%s: %v; %s", what, err, remedy)
			}
		}
	}
}

// A lost record of a writer loses no chunk: each of its packs holds the key, too.
func TestLostWriterLosesNoChunk(t *testing.T) {
	for what, harm := range map[string]func(file string) error{
		"lost":    os.Remove,
		"damaged": func(file string) error { return os.Truncate(file, 200) },
	} {
		r, _ := sealedDisk(t)
		w, err := r.NewWriter(r.Lease(repo.WriteLease), ivd.NewWriterID(), "proxy-1")
		if err != nil {
			t.Fatal(err)
		}
		pack := w.NewPack(format.DataPack)
		pack.Add(format.ChunkFrame, r.Suite().ID([]byte(secret)), len(secret), format.CompressionNone, []byte(secret))
		ref, _, _, err := w.PutPack(t.Context(), pack)
		if err != nil {
			t.Fatal(err)
		}
		data, key, err := r.ChunkKey(t.Context(), ref)
		if err != nil {
			t.Fatal(err)
		}
		files, err := filepath.Glob(filepath.Join(r.Dir, "writers", "*", "*"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%v, %v", files, err)
		}
		for _, f := range files {
			if err := harm(f); err != nil {
				t.Fatal(err)
			}
		}
		owner := openWith(t, r, repo.Keys{Passphrase: repotest.Passphrase})
		if d, k, err := owner.ChunkKey(t.Context(), ref); err != nil || d != data || !k.Equal(key) {
			t.Errorf("%s: %v", what, err)
		}
		other := ref
		other.Nonce[0]++
		_, _, err = openWith(t, r, repo.Keys{Passphrase: repotest.Passphrase}).ChunkKey(t.Context(), other)
		refused(t, what+", of another pack", err, ivd.Corrupt)
	}
}

// Who pins the root key takes no repo.json that names another one, or none.
func TestRootIsPinned(t *testing.T) {
	r, _ := sealedDisk(t)
	root := r.Info().Root
	openWith(t, r, repo.Keys{Passphrase: repotest.Passphrase, Root: root})
	openWith(t, r, repo.Keys{Grant: r.Grant(), Root: root})
	_, err := repo.OpenWith(t.Context(), r.Store, repo.Keys{Passphrase: repotest.Passphrase, Root: ivd.KeyID{1}})
	refused(t, "another root", err, ivd.Corrupt)
	_, err = repo.OpenWith(t.Context(), repotest.New(t).Store, repo.Keys{Root: root})
	refused(t, "a plain repository", err, ivd.Corrupt)
}

// A repo.json that is put there while a repository is open is not taken for it.
func TestRepositoryIsNotDowngradedWhileOpen(t *testing.T) {
	for what, changes := range map[string]func(root string) []string{
		"no cipher": func(root string) []string {
			return []string{`"aes-256-gcm"`, `"none"`, `"blake3-256-keyed"`, `"blake3-256"`, `"root": "` + root + `",`, ""}
		},
		"another root": func(root string) []string { return []string{root, ivd.KeyID{1}.String()} },
	} {
		t.Run(what, func(t *testing.T) {
			r, _ := sealedDisk(t)
			path := filepath.Join(r.Dir, "repo.json")
			b, err := os.ReadFile(path)
			if err == nil {
				err = os.WriteFile(path, []byte(strings.NewReplacer(changes(r.Info().Root.String())...).Replace(string(b))), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			_, err = r.OpenLease(t.Context(), repo.LeaseSpec{})
			refused(t, "a lease", err, ivd.Corrupt)
		})
	}
}

// Who can write to the bucket cannot put keys of its own there.
func TestKeysOfAnIntruder(t *testing.T) {
	for what, names := range map[string][]string{
		"ring":               {"keys/ring"},
		"ring and slot":      {"keys/ring", "keys/slot-1"},
		"ring and repo.json": {"keys/ring", "repo.json"},
	} {
		t.Run(what, func(t *testing.T) {
			r, _ := sealedDisk(t)
			grant := r.Grant()
			intruder := repotest.Sealed(t)
			for _, name := range names {
				b, err := os.ReadFile(filepath.Join(intruder.Dir, name))
				if err == nil {
					err = os.WriteFile(filepath.Join(r.Dir, name), b, 0o600)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			for who, k := range map[string]repo.Keys{"a mover": {Grant: grant}, "who has the passphrase": {Passphrase: repotest.Passphrase}} {
				if _, err := repo.OpenWith(t.Context(), r.Store, k); ivd.KindOf(err) != ivd.Corrupt && ivd.KindOf(err) != ivd.Denied {
					t.Errorf("%s opens it: %v", who, err)
				}
			}
		})
	}
}

// A mover stores what its coordinator's disks hold, and reads no more than it is given.
func TestMoverOfAnEncryptedRepository(t *testing.T) {
	r, p := sealedDisk(t)
	m := asMover(t, r)
	_, _, err := m.ReadPoint(t.Context(), p.ID)
	refused(t, "a mover reads a point", err, ivd.Denied)
	_, err = m.OpenLease(t.Context(), repo.LeaseSpec{})
	refused(t, "a mover opens a lease", err, ivd.Denied)

	w, err := m.NewWriter(r.Lease(repo.WriteLease), ivd.NewWriterID(), "proxy-1")
	if err != nil {
		t.Fatal(err)
	}
	plain := bytes.Repeat([]byte(secret), 100)
	pack := w.NewPack(format.DataPack)
	id := m.Suite().ID(plain)
	offset, length := pack.Add(format.ChunkFrame, id, len(plain), format.CompressionNone, plain)
	ref, _, _, err := w.PutPack(t.Context(), pack)
	if err != nil {
		t.Fatal(err)
	}
	frame := make([]byte, length)
	if err := m.ReadData(t.Context(), frame, ref.Pack, offset); err != nil {
		t.Fatal(err)
	}
	data, key, err := r.ChunkKey(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	given := func(context.Context, format.PackKind, ivd.PackRef) (*format.Opener, error) {
		return m.OpenerWith(ref, data, key)
	}
	for who, openerOf := range map[string]func(context.Context, format.PackKind, ivd.PackRef) (*format.Opener, error){
		"the owner": r.Opener, "a mover that was given the key": given,
	} {
		opener, err := openerOf(t.Context(), format.DataPack, ref)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := opener.Frame(nil, frame, id); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%s: %v", who, err)
		}
	}
	alone := openWith(t, r, repo.Keys{Grant: r.Grant()})
	_, err = alone.Opener(t.Context(), format.DataPack, ref)
	refused(t, "a mover that was given no key", err, ivd.Denied)
	record, err := r.ReadWriter(t.Context(), w.ID())
	if err != nil || record.Mover != "proxy-1" || len(record.Public) == 0 {
		t.Errorf("the writer's record: %+v, %v", record, err)
	}
	record.Mover = "another"
	refused(t, "another writer under its id", r.Register(t.Context(), record), ivd.Exists)
}

// A coordinator with an export backs up, and reads no chunk.
func TestCoordinatorWithAnExport(t *testing.T) {
	r, p := sealedDisk(t)
	m, err := r.Master(t.Context(), repotest.Passphrase)
	if err != nil {
		t.Fatal(err)
	}
	e, err := m.Export(r.Domain(), "coordinator-2", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	ring, err := m.Ring()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Store.Put(t.Context(), "keys/ring", ring); err != nil {
		t.Fatal(err)
	}
	c := openWith(t, r, repo.Keys{Export: &e})
	if _, _, err := c.ReadPoint(t.Context(), p.ID); err != nil {
		t.Error(err)
	}
	l, err := c.OpenLease(t.Context(), repo.LeaseSpec{Kind: repo.WriteLease})
	if err != nil {
		t.Fatal(err)
	}
	w, err := c.NewWriter(l, ivd.NewWriterID(), "proxy-1")
	if err != nil {
		t.Fatal(err)
	}
	ref, _, _, err := w.PutPack(t.Context(), w.NewPack(format.DataPack))
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Opener(t.Context(), format.DataPack, ref)
	refused(t, "a chunk's key", err, ivd.Denied)
	if _, err := openWith(t, r, repo.Keys{Passphrase: repotest.Passphrase}).Opener(t.Context(), format.DataPack, ref); err != nil {
		t.Errorf("who has the passphrase, of what the export's holder stored: %v", err)
	}
	refused(t, "lifting what was retired", c.Unretire(t.Context(), "a test", []ivd.PackID{ref.Pack}), ivd.Denied)
	if err := c.Retire(t.Context(), "a test", []ivd.PackID{ref.Pack}); err != nil {
		t.Error(err)
	}
}
