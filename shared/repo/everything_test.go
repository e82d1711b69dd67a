package repo_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"ivdmover/shared/budget"
	"ivdmover/shared/format"
	"ivdmover/shared/image"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/repo/repotest"
	"ivdmover/shared/store"
)

// everyDisk is a small disk: a text that compresses, zeros, and a last chunk that is short.
func everyDisk(t *testing.T) *repotest.Disk {
	t.Helper()
	d := repotest.NewDisk(ivd.Geometry{Capacity: 300*ivd.MinChunkSize + 777, ChunkSize: ivd.MinChunkSize})
	for off, text := range map[int64]string{0: "the first chunk. ", 7 * ivd.MinChunkSize: "another one! ", 299 * ivd.MinChunkSize: "in another span, ", 300 * ivd.MinChunkSize: "the last "} {
		b := bytes.Repeat([]byte(text), ivd.MinChunkSize/len(text)+1)
		if _, err := d.WriteAt(b[:min(ivd.MinChunkSize, d.Capacity-off)], off); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// writeEverything stores an object of each kind that programs write, and two points, of
// which the first is forgotten.
func writeEverything(t *testing.T, r *repotest.Repository) {
	t.Helper()
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	old := r.Save(everyDisk(t), repotest.Layout{})
	p := r.Save(everyDisk(t), repotest.Layout{})
	packs := map[ivd.PackID]format.PackKind{p.Pages[0].Place.Pack: format.IndexPack, r.Place(p.Disk, 0).Pack: format.DataPack}
	lease := r.Lease(repo.WriteLease)
	w, err := r.NewWriter(lease, ivd.NewWriterID(), "proxy-1")
	must(err)
	pack := w.NewPack(format.DataPack)
	plain := bytes.Repeat([]byte("hooked"), 100)
	pack.Add(format.ChunkFrame, r.Suite().ID(plain), len(plain), format.CompressionNone, plain)
	_, _, _, err = w.PutPack(ctx, pack)
	must(err)
	must(w.PutHooks(ctx, "run-1"))
	_, err = r.PutStoredPacks(ctx, "run-1", time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), packs)
	must(err)
	must(r.PutRun(ctx, format.Run{ID: "run-1", Kind: "backup", State: "done", Coordinator: "one", Sequence: 1, Points: []format.RunPoint{{Point: p.ID, Name: "web", Mode: format.ReadAllocated}}}))
	must(r.PutRestored(ctx, format.Restored{Run: "run-2", Item: "a", Point: p.ID, Source: repotest.Source, Datastore: "ds", Disk: "disk-2", Name: "web-back"}))
	must(r.PutVerified(ctx, "all frames were opened", []ivd.PackID{p.Pages[0].Place.Pack}))
	must(r.Repository.Retire(ctx, "a test", []ivd.PackID{{1}}))
	must(r.Unretire(ctx, "a test", []ivd.PackID{{1}}))
	must(r.Pin(ctx, p.ID, "for a test"))
	must(r.Hold(ctx, p.ID, time.Date(2250, 1, 1, 0, 0, 0, 0, time.UTC), "for a test"))
	must(r.Forget(ctx, format.Forgotten{Point: old.ID, Reason: "a test"}))
	r.Condemn([]ivd.PackID{{2}})
}

// loaded is what lies in a folder, as a bucket in memory.
func loaded(t *testing.T, folder string) *bucket {
	t.Helper()
	b := newBucket()
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(folder, path)
		if name != "." && strings.HasPrefix(filepath.Base(name), ".") {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if d.IsDir() {
			return nil
		}
		body, err := os.ReadFile(path)
		b.put(store.Name(filepath.ToSlash(name)), body)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// everything is a repository with an object of each kind, and the keys that it opens with.
func everything(t *testing.T, sealed bool) (*bucket, repo.Keys) {
	t.Helper()
	r, k := repotest.New, repo.Keys{}
	if sealed {
		r, k = repotest.Sealed, repo.Keys{Passphrase: repotest.Passphrase}
	}
	x := r(t)
	writeEverything(t, x)
	return loaded(t, x.Dir), k
}

// kindOf is the folder of an object, with what is beside it.
func kindOf(name store.Name) string {
	dir, rest, _ := strings.Cut(string(name), "/")
	switch {
	case rest == "":
		return string(name)
	case dir == "keys" && rest != "ring":
		return "keys/slot"
	case dir == "keys":
		return "keys/ring"
	case dir == "runs" && strings.HasSuffix(rest, ".packs"):
		return "runs/packs"
	case dir == "data" || dir == "index":
		return dir
	}
	return dir
}

// restore reads all of each point.
func restore(t *testing.T, r *repo.Repository) (map[ivd.PointID][]byte, error) {
	t.Helper()
	disks := map[ivd.PointID][]byte{}
	for info, err := range r.Points(t.Context(), repo.PointsOf{}) {
		if err != nil {
			return nil, err
		}
		memory := budget.NewMemory(64<<20, func(n int) budget.Buffer { return goBuffer(make([]byte, n)) })
		im, err := image.Open(t.Context(), r, image.Options{Point: info.ID, Memory: memory, WithoutLease: true})
		if err != nil {
			return nil, err
		}
		disk := make([]byte, im.Whole().Length)
		for p, err := range im.Pieces(t.Context(), slices.Values([]ivd.Extent{im.Whole()})) {
			if err != nil {
				im.Close(t.Context())
				return nil, err
			}
			if !p.Zero() {
				copy(disk[p.Offset:], p.Data)
			}
			p.Release()
		}
		im.Close(t.Context())
		disks[info.ID] = disk
	}
	return disks, nil
}

var errUnread = errors.New("it is left out and told")

// readObject reads an object as programs do, and returns what they find wrong with it.
func readObject(t *testing.T, r *repo.Repository, k repo.Keys, name store.Name) error {
	t.Helper()
	ctx := t.Context()
	dir, rest, _ := strings.Cut(string(name), "/")
	last := rest[strings.LastIndex(rest, "/")+1:]
	switch kindOf(name) {
	case "repo.json", "repo.sig", "keys/ring":
		if g := r.Grant(); g != nil { // which costs no stretched passphrase
			k = repo.Keys{Grant: g}
		}
		_, err := repo.OpenWith(ctx, r.Store(), k)
		return err
	case "keys/slot":
		_, err := r.Master(ctx, k.Passphrase)
		return err
	case "data", "index":
		id, err := ivd.ParsePackID(last)
		if err != nil {
			return err
		}
		kind := format.DataPack
		if dir == "index" {
			kind = format.IndexPack
		}
		d, err := r.CheckPack(ctx, kind, id, nil)
		if d != nil {
			err = &ivd.Error{Kind: ivd.Corrupt, Err: errors.New(d.Why)}
		}
		return err
	case "points":
		_, _, err := r.ReadPoint(ctx, ivd.PointID(rest))
		return err
	case "leases":
		for l, err := range r.Leases(ctx) {
			if err != nil || string(l.ID) == last {
				return errors.Join(err, l.Unknown)
			}
		}
		return ivd.Errorf(ivd.NotFound, "no lease %s", last)
	case "writers":
		id, err := uuid.Parse(last)
		if err == nil {
			_, err = r.ReadWriter(ctx, ivd.WriterID(id))
		}
		return err
	case "runs/packs":
		_, err := r.StoredPacks(ctx, ivd.RunID(strings.TrimSuffix(last, ".packs")))
		return err
	case "runs":
		_, err := r.ReadRun(ctx, ivd.RunID(last))
		return err
	case "restores":
		_, err := r.ReadRestored(ctx, "run-2", "a")
		return err
	case "verified":
		_, _, err := r.Verified(ctx, name)
		return err
	case "hooks":
		_, _, err := r.Hooks(ctx, name)
		return err
	case "retired", "unretired":
		x, err := r.Retired(ctx)
		if err == nil && slices.Contains(x.Ignored, name) {
			err = errUnread
		}
		return err
	case "pins", "holds", "forgotten":
		m, err := r.Mark(ctx, ivd.PointID(rest))
		has := map[string]bool{"pins": m.Pin != nil, "holds": m.Hold != nil, "forgotten": m.Forgotten != nil}[dir]
		if err == nil && (m.Unknown != nil || !has) {
			err = errors.Join(m.Unknown, errUnread)
		}
		return err
	case "collect":
		_, err := r.Standing(ctx)
		return err
	}
	return fmt.Errorf("nobody reads %s", name)
}

// asFound fails unless what was found is told as what it is.
func asFound(t *testing.T, what string, err error) {
	t.Helper()
	if errors.Is(err, errUnread) {
		return
	}
	if k := ivd.KindOf(err); k != ivd.Corrupt && k != ivd.Unsupported && k != ivd.Denied {
		t.Errorf("%s: %v, of kind %q", what, err, k)
	}
}
