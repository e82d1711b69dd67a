package collect_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ivdmover/coordinator/collect"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo/repotest"
	"ivdmover/shared/store/faults"
)

// Who may write and not delete condemns nothing: no list stays that only others could
// finish.
func TestWithoutTheRightToDelete(t *testing.T) {
	r := repotest.New(t)
	d := repotest.NewDisk(ivd.Geometry{Capacity: 4 * ivd.MinChunkSize, ChunkSize: ivd.MinChunkSize})
	first := r.Save(d, repotest.Layout{})
	r.Save(d, repotest.Layout{})
	if err := r.Forget(t.Context(), format.Forgotten{Point: first.ID, Reason: "a test"}); err != nil {
		t.Fatal(err)
	}
	objects := func() (names []string) {
		err := filepath.WalkDir(r.Dir, func(path string, e os.DirEntry, err error) error {
			if err == nil && !e.IsDir() {
				names = append(names, path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return names
	}
	before := objects()
	c := collect.New(r.Repository, collect.Options{MinAge: 1, MaxShare: 1})
	denied := ivd.Errorf(ivd.Denied, "no right to delete")
	for _, prefix := range []string{"", "data/", "points/"} { // of nothing, or not of all
		r.Store.Each = func(m faults.Method, name string) error {
			if m == faults.Delete && strings.HasPrefix(name, prefix) {
				return denied
			}
			return nil
		}
		if _, err := c.Collect(t.Context()); ivd.KindOf(err) != ivd.Denied || ivd.RemedyOf(err) == "" {
			t.Errorf("without the right to delete below %q: %v", prefix, err)
		}
		if after := objects(); !slices.Equal(before, after) {
			t.Errorf("without the right to delete below %q there are %v, before %v", prefix, after, before)
		}
	}
	r.Store.Each = nil
	if rep, err := c.Collect(t.Context()); err != nil || rep.Deleted.Points != 1 {
		t.Errorf("with the right: %+v, %v", rep, err)
	}
}
