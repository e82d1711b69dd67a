package repo_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ivdmover/shared/config"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/store"
	"ivdmover/shared/store/open"
	"ivdmover/shared/trust"
)

// A folder that was copied as files, at another time, is as good as the original:
// it is restored from, and built on.
func TestCopiedFolder(t *testing.T) {
	original, copied := t.TempDir(), t.TempDir()
	st, err := open.Open(t.Context(), config.Repository{URL: "dir://" + original})
	if err != nil {
		t.Fatal(err)
	}
	writeOriginal(t, st)
	long := time.Now().Add(-2 * 365 * 24 * time.Hour)
	err = filepath.WalkDir(original, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(original, path)
		to := filepath.Join(copied, name)
		if d.IsDir() {
			return os.MkdirAll(to, 0o700)
		}
		if strings.HasPrefix(name, "leases") || strings.HasPrefix(name, ".") {
			return nil
		}
		body, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(to, body, 0o600)
		}
		if err == nil {
			err = os.Chtimes(to, long, long)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if st, err = open.Open(t.Context(), config.Repository{URL: "dir://" + copied}); err != nil {
		t.Fatal(err)
	}
	readCopy(t, st)
}

// So is one that was copied from one S3 server to another, object by object.
func TestCopiedBucket(t *testing.T) {
	from, to := bucketStore(t), bucketStore(t)
	writeOriginal(t, from)
	for info, err := range from.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(string(info.Name), "leases/") {
			continue
		}
		o, err := from.Get(t.Context(), info.Name, info.Size)
		if err == nil {
			err = to.Put(t.Context(), info.Name, o.Body)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	readCopy(t, to)
}

func writeOriginal(t *testing.T, st store.Store) {
	t.Helper()
	r, err := repo.Init(t.Context(), st, repo.InitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	writeGolden(t, r)
}

// readCopy restores the golden disk, and finds its packs to build on.
func readCopy(t *testing.T, st store.Store) {
	t.Helper()
	r, err := repo.Open(t.Context(), st)
	if err != nil {
		t.Fatal(err)
	}
	sameDisk(t, restoreGolden(t, r))
	known, err := trust.Open(t.Context(), r, lease(t, r, repo.LeaseSpec{}).ID, trust.Recheck)
	if err != nil {
		t.Fatal(err)
	}
	for info, err := range r.Points(t.Context(), repo.PointsOf{}) {
		if err != nil {
			t.Fatal(err)
		}
		p, _, err := r.ReadPoint(t.Context(), info.ID)
		if err != nil {
			t.Fatal(err)
		}
		page, err := known.ParentPage(t.Context(), p.Pages[0], trust.Taking{SealedAt: r.KnownAt(p.SealedAt, p.Incarnation), Parent: p.Geometry, Child: p.Geometry})
		if err != nil {
			t.Fatal(err)
		}
		if _, whole := page.Whole(); !whole || !page.Takeable(ivd.SpanIndex(0)) {
			t.Error("nothing of the copy can be built on")
		}
	}
}
