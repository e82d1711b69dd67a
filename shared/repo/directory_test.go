package repo_test

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/repo/repotest"
	"ivdmover/shared/store/faults"
)

// both runs a test on a plain and on an encrypted repository.
func both(t *testing.T, test func(t *testing.T, r *repotest.Repository)) {
	t.Run("plain", func(t *testing.T) { test(t, repotest.New(t)) })
	t.Run("encrypted", func(t *testing.T) { test(t, repotest.Sealed(t)) })
}

// filled is a disk of a few chunks that is saved, and the data pack that they are in.
func filled(t *testing.T, r *repotest.Repository) (*repotest.Disk, ivd.PackRef) {
	t.Helper()
	d := repotest.NewDisk(ivd.Geometry{Capacity: 40 * ivd.MinChunkSize, ChunkSize: ivd.MinChunkSize})
	d.Fill(rand.New(rand.NewPCG(1, 2)), 30, 3*ivd.MinChunkSize)
	if _, err := d.WriteAt([]byte{1}, 0); err != nil {
		t.Fatal(err)
	}
	r.Save(d, repotest.Layout{})
	return d, r.Place(d, 0).PackRef
}

// What a pack has is read of its end, by who has no key of its chunks either.
func TestDirectory(t *testing.T) {
	both(t, func(t *testing.T, r *repotest.Repository) {
		d, ref := filled(t, r)
		reader := r.Repository
		if r.Grant() != nil {
			reader = asMover(t, r)
		}
		got, requests, err := reader.Directory(t.Context(), ref.Pack)
		if err != nil || got.Ref != ref || requests < 3 || requests > 4 {
			t.Fatalf("%+v by %d requests: %v", got.Ref, requests, err)
		}
		found := false
		for _, e := range got.Entries {
			at := r.Place(d, 0)
			found = found || e.Offset == at.Offset && e.Length == at.Length
		}
		if !found {
			t.Error("a chunk of the pack is not in its directory")
		}
		// A writer's record is read once.
		if _, again, err := reader.Directory(t.Context(), ref.Pack); err != nil || again != 3 {
			t.Errorf("%d requests: %v", again, err)
		}
	})
}

// A directory that is longer than what is read of a pack's end is read whole.
func TestLongDirectory(t *testing.T) {
	both(t, func(t *testing.T, r *repotest.Repository) {
		f := r.Forger(true)
		const n = 3000
		ref := f.Put(f.ID, func(p *format.Pack) {
			for i := range n {
				b := []byte{byte(i), byte(i >> 8), 1}
				repotest.Chunk(p, r.Suite().ID(b), b)
			}
		})
		d, _, err := r.Directory(t.Context(), ref.Pack)
		if err != nil || len(d.Entries) != n {
			t.Fatalf("%d entries: %v", len(d.Entries), err)
		}
		if damage, err := r.ProvePack(t.Context(), ref.Pack, nil); damage != nil || err != nil {
			t.Fatalf("%v, %v", damage, err)
		}
	})
}

// forgeries are packs that no writer may have written, by what is wrong with them.
func forgeries(r *repotest.Repository) map[string]func() ivd.PackRef {
	good := func(p *format.Pack) { repotest.Chunk(p, r.Suite().ID([]byte("good")), []byte("good")) }
	return map[string]func() ivd.PackRef{
		"its writer is not registered": func() ivd.PackRef { f := r.Forger(false); return f.Put(f.ID, good) },
		"it says another's id":         func() ivd.PackRef { return r.Forger(true).Put(r.Forger(true).ID, good) },
		"it says nobody's id":          func() ivd.PackRef { return r.Forger(true).Put(ivd.NewWriterID(), good) },
	}
}

// Nobody builds on a pack whose writer is not registered, or has not signed it: and it is
// not proven either, whatever is in it.
func TestForgedPackIsRefused(t *testing.T) {
	r := repotest.Sealed(t)
	for name, forge := range forgeries(r) {
		ref := forge()
		_, _, err := r.Directory(t.Context(), ref.Pack)
		if k := ivd.KindOf(err); err == nil || k != ivd.Denied && k != ivd.Corrupt {
			t.Errorf("%s: %v", name, err)
		}
		if damage, err := r.ProvePack(t.Context(), ref.Pack, nil); damage == nil && err == nil {
			t.Errorf("%s: it is proven", name)
		}
	}
}

// Whatever of a pack's end or header is flipped, its directory is not taken: of a plain
// pack the bytes that nobody signs are left.
func TestDirectoryOfAFlippedPack(t *testing.T) {
	both(t, func(t *testing.T, r *repotest.Repository) {
		f := r.Forger(true)
		ref := f.Put(f.ID, func(p *format.Pack) { repotest.Chunk(p, r.Suite().ID([]byte("a")), []byte("a")) })
		d, _, err := r.Directory(t.Context(), ref.Pack)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(r.Dir, string(r.PackName(format.DataPack, ref.Pack)))
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for at := range body {
			switch {
			case at >= format.PackHeaderSize && at < int(d.Trailer.Offset):
				continue // frames
			case d.Header.Cipher == format.CipherNone && at >= 48 && at < 80:
				continue // writer and nonce
			}
			body[at] ^= 0x40
			if err := os.WriteFile(file, body, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, _, err := r.Directory(t.Context(), ref.Pack); err == nil {
				t.Errorf("byte %d of %d is another", at, len(body))
			}
			body[at] ^= 0x40
		}
	})
}

// A pack is proven when every frame is what the directory says, and it is what its name
// says: each byte that is flipped is found.
func TestProvePack(t *testing.T) {
	both(t, func(t *testing.T, r *repotest.Repository) {
		_, ref := filled(t, r)
		d, _, err := r.Directory(t.Context(), ref.Pack)
		if err != nil {
			t.Fatal(err)
		}
		ticks := 0
		if damage, err := r.ProvePack(t.Context(), ref.Pack, func() { ticks++ }); damage != nil || err != nil || ticks < 3 {
			t.Fatalf("%v, %v, %d ticks", damage, err, ticks)
		}
		for _, at := range []uint32{0, 60, 100, uint32(d.Header.Size()) + 30, uint32(d.Header.Size()) + 200, d.Trailer.Offset + 70, uint32(d.Length) - 1, uint32(d.Length) - 60} {
			r.Damage(format.DataPack, ref.Pack, at)
			if damage, err := r.ProvePack(t.Context(), ref.Pack, nil); damage == nil && err == nil {
				t.Errorf("byte %d of %d is another, and the pack is proven", at, d.Length)
			}
			r.Damage(format.DataPack, ref.Pack, at)
		}
		r.Store.Add(faults.Fault{On: faults.ReadAt, Prefix: "data/", Call: 3, Before: faults.ErrInjected})
		_, err = r.ProvePack(t.Context(), ref.Pack, nil)
		refused(t, "an outage", err, ivd.Transient)
		r.Delete(format.DataPack, ref.Pack)
		if damage, err := r.ProvePack(t.Context(), ref.Pack, nil); damage == nil || damage.Why != repo.Missing || err != nil {
			t.Errorf("a pack that is not there: %v, %v", damage, err)
		}
	})
}

// A directory that names a content which its frame does not hold is signed by whoever
// lies; who opens the frames finds it.
func TestLyingDirectoryIsNotProven(t *testing.T) {
	both(t, func(t *testing.T, r *repotest.Repository) {
		f := r.Forger(true)
		claimed := r.Suite().ID([]byte("something that others have"))
		ref := f.Put(f.ID, func(p *format.Pack) { repotest.Chunk(p, claimed, []byte("rubbish")) })
		if d, _, err := r.Directory(t.Context(), ref.Pack); err != nil || d.Entries[0].ID != claimed {
			t.Fatalf("the lie is not told: %v", err)
		}
		damage, err := r.ProvePack(t.Context(), ref.Pack, nil)
		if err != nil || damage == nil || !strings.Contains(damage.Why, "its content is") {
			t.Errorf("%v, %v", damage, err)
		}
	})
}

// A pack with another frame key than its writer's record has could not be read without
// the record.
func TestFrameKeyIsTheWriters(t *testing.T) {
	r := repotest.Sealed(t)
	_, ref := filled(t, r)
	name := r.PackName(format.DataPack, ref.Pack)
	o, err := r.Clock.Get(t.Context(), name, format.MaxPackSize)
	if err != nil {
		t.Fatal(err)
	}
	body := bytes.Clone(o.Body)
	body[format.PackHeaderSize+7] ^= 1
	id := format.PackSum(body)
	if err := r.Clock.Put(t.Context(), r.PackName(format.DataPack, id), body); err != nil {
		t.Fatal(err)
	}
	if damage, err := r.ProvePack(t.Context(), id, nil); err != nil || damage == nil || !strings.Contains(damage.Why, "frame key") {
		t.Errorf("%v, %v", damage, err)
	}
}

// A mover has no key of its own to prove a pack with, and may not say that it has; the
// keys that it asks for are enough to open all frames.
func TestMoverProvesAndDoesNotSign(t *testing.T) {
	r := repotest.Sealed(t)
	_, ref := filled(t, r)
	alone := openWith(t, r, repo.Keys{Grant: r.Grant()})
	_, err := alone.ProvePack(t.Context(), ref.Pack, nil)
	refused(t, "without a data key", err, ivd.Denied)
	m := asMover(t, r)
	if damage, err := m.ProvePack(t.Context(), ref.Pack, nil); damage != nil || err != nil {
		t.Errorf("%v, %v", damage, err)
	}
	refused(t, "to sign a list", m.PutVerified(t.Context(), "", []ivd.PackID{ref.Pack}), ivd.Denied)
	if err := r.PutVerified(t.Context(), "a test", []ivd.PackID{ref.Pack}); err != nil {
		t.Fatal(err)
	}
	names, err := m.VerifiedLists(t.Context())
	if err != nil || len(names) != 1 {
		t.Fatalf("%v, %v", names, err)
	}
	if _, packs, err := m.Verified(t.Context(), names[0]); err != nil || len(packs) != 1 || packs[0] != ref.Pack {
		t.Errorf("%v, %v", packs, err)
	}
}
