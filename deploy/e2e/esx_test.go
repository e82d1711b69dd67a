package e2e

import (
	"strings"
	"testing"

	"ivdmover/deploy/lab/script"
)

// A standalone ESXi host is backed up and restored like a vCenter, except that nothing is
// known of changes and no access is prepared; the run says so.
func TestAnESXiHostAlone(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := newStage(t, "--esx")
	s.Config.Plain = true
	d, err := s.Register(ctx, "datastore2", "esx-disk", sparse(5<<20+1024, 0, 3<<20))
	must(t, err)
	must(t, s.Owner.Attach(ctx, d.Ref, 0))
	// Who asks for access all the same loses the library's process.
	must(t, script.WriteFaults(s.Path("lab"),
		script.Fault{Call: "PrepareForAccess", Times: script.Always, Do: script.Abort}, script.Fault{Call: "EndAccess", Times: script.Always, Do: script.Abort}))
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

			Retries int `json:"retries"`
		} `json:"disks"`
	}
	must(t, s.Ask(ctx, &shown, "run", "show", second.ID))
	for _, x := range shown.Disks {
		if x.Mode != "allocated" || x.Retries != 0 || !strings.Contains(x.Note, "no access preparation on a standalone ESXi host") {
			t.Errorf("disk %s: mode %q, %d retries, note %q", x.Name, x.Mode, x.Retries, x.Note)
		}
	}
	var point struct {
		Product string         `json:"product"`
		Was     map[string]any `json:"was"`
	}
	must(t, s.Ask(ctx, &point, "point", "show", "esx-disk@latest"))
	if tags, ok := point.Was["tags"].([]any); !ok || len(tags) != 0 || point.Was["storage_policy"] != nil || point.Was["kubernetes"] != nil || !strings.Contains(point.Product, "ESXi") {
		t.Errorf("a point of a standalone host says %+v", point)
	}
	forPeople, _, err := s.Command(ctx, "run", "show", second.ID)
	must(t, err)
	if !strings.Contains(forPeople, "no access preparation on a standalone ESXi host") {
		t.Errorf("the run is shown as\n%s", forPeople)
	}
	accessEnded(t, s, s.Lab, coordinator)
}
