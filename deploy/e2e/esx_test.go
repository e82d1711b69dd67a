package e2e

import (
	"strings"
	"testing"
)

// An ESXi host alone is backed up and restored like a vCenter, except that nothing is
// known of changes and no access is prepared; the run says so.
func TestAnESXiHostAlone(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := newStage(t, "--esx")
	d, err := s.Register(ctx, "datastore2", "esx-disk", sparse(5<<20+1024, 0, 3<<20))
	must(t, err)
	must(t, s.Owner.Attach(ctx, d.Ref, 0))
	coordinator, _ := serve(t, s, "m1")
	flat, err := s.Flat(d)
	must(t, err)

	first := backup(t, s, coordinator)
	restoreAndCompare(t, s, coordinator, first.Disk("esx-disk").Point, "esx-first", flat)

	must(t, s.GuestWrites(ctx, d, 2<<20, 128<<10, 7))
	second := backup(t, s, coordinator)
	restoreAndCompare(t, s, coordinator, second.Disk("esx-disk").Point, "esx-second", flat)

	var shown struct {
		Disks []struct {
			Name string `json:"name"`
			Mode string `json:"mode"`
			Note string `json:"note"`
		} `json:"disks"`
	}
	must(t, s.Ask(ctx, &shown, "run", "show", second.ID))
	for _, x := range shown.Disks {
		if x.Mode != "allocated" || !strings.Contains(x.Note, "no access preparation on an ESXi host alone") {
			t.Errorf("disk %s: mode %q, note %q", x.Name, x.Mode, x.Note)
		}
	}
	nothingLeft(t, s)
}
