package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ivdmover/coordinator/api"
	"ivdmover/deploy/lab"
	"ivdmover/deploy/lab/owner"
	"ivdmover/deploy/stage"
)

// addVCenter adds another stage's laboratory to a configuration that is written.
func addVCenter(t *testing.T, s, other *stage.Stage, name string) {
	t.Helper()
	password := s.Path("etc", name+".password")
	must(t, os.WriteFile(password, []byte(other.Lab.Password+"\n"), 0o600))
	file, err := os.ReadFile(s.ConfigFile())
	must(t, err)
	entry := fmt.Sprintf("vcenters:\n  - name: %s\n    url: %s\n    username: %s\n    password_file: %s\n    thumbprint: %q\n",
		name, other.Lab.URL, other.Lab.Username, password, other.Lab.Thumbprint)
	both := bytes.Replace(file, []byte("vcenters:\n"), []byte(entry), 1)
	must(t, os.WriteFile(s.ConfigFile(), both, 0o600))
}

// One coordinator and two vCenters, in which datastores have the same ids: one run
// backs both up, points come back to where they were and to the other one, and
// neither is taken for the other.
func TestTwoVCenters(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	west, east := newStage(t), newStage(t)
	at := map[string]*stage.Stage{"lab": west, "east": east}
	disks := map[string]owner.Disk{}
	for name, s := range at {
		d := filled(t, s, "disk-"+name, 16, 8)
		must(t, s.Owner.Attach(ctx, d.Ref, 0))
		disks[name] = d
	}
	if a, b := disks["lab"].Ref, disks["east"].Ref; a.Datastore() != b.Datastore() || a.ID() == b.ID() {
		t.Fatalf("%+v and %+v: the test wants one datastore's id, and two disks'", a, b)
	}
	must(t, west.WriteConfig())
	addVCenter(t, west, east, "east")
	coordinator, _ := serveAs(t, west, "m1", "m2")

	first := backup(t, west, coordinator)
	for name, s := range at {
		must(t, s.GuestWrites(ctx, disks[name], 1<<20, 2<<20, 50+len(name)))
	}
	second := backup(t, west, coordinator)
	for name, other := range map[string]string{"lab": "east", "east": "lab"} {
		d := second.Disk("disk-" + name)
		if d.Mode != "changed" || d.Stats.ReadBytes >= first.Disk("disk-"+name).Stats.ReadBytes {
			t.Errorf("the second backup of %s: %+v", name, d)
		}
		flat, err := at[name].Flat(disks[name])
		must(t, err)
		restoreTo(t, west, at[name], coordinator, flat, d.Point, "--name", "home-"+name)
		restoreTo(t, west, at[other], coordinator, flat, d.Point, "--vcenter", other, "--datastore", "datastore2", "--name", "from-"+name)
	}

	var movers []api.Mover
	must(t, west.Ask(ctx, &movers, "movers"))
	seen := map[string]bool{}
	for _, m := range movers {
		for _, p := range m.Paths {
			if p.DatastoreName == "datastore1" {
				seen[p.VCenter] = true
			}
		}
	}
	if !seen["lab"] || !seen["east"] {
		t.Errorf("datastores known to movers: %v of %+v", seen, movers)
	}
	for _, s := range at {
		accessEnded(t, s, s.Lab, coordinator)
	}
}

// restoreTo restores a point and compares the new disk, which is another vCenter's,
// with a file.
func restoreTo(t *testing.T, s, target *stage.Stage, coordinator *stage.Process, want, point string, args ...string) {
	t.Helper()
	var begun stage.Run
	must(t, s.Ask(t.Context(), &begun, append([]string{"restore", point}, args...)...))
	_, err := s.Ended(t.Context(), coordinator, begun.ID, limit)
	must(t, err)
	d, err := target.ByName(t.Context(), args[len(args)-1])
	must(t, err)
	flat, err := target.Flat(d)
	must(t, err)
	if _, err := stage.Compare(want, flat); err != nil {
		t.Fatalf("%v restored from %s: %v", args, point, err)
	}
}

// A storage array has copied a disk to another vCenter, its id and its tracking with it.
// From then on the two differ, and each is backed up, and comes back, as what it is.
func TestReplicatedDisk(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	west := newStage(t)
	d := filled(t, west, "twin", 16, 8)
	must(t, west.Owner.Track(ctx, d.Ref, true))
	dir := t.TempDir()
	must(t, lab.Replicate(ctx, west.Path("lab"), filepath.Join(dir, "lab")))
	east := newStageIn(t, dir)
	at := map[string]*stage.Stage{"lab": west, "east": east}
	must(t, west.WriteConfig())
	addVCenter(t, west, east, "east")
	coordinator, _ := serveAs(t, west, "m1", "m2")

	for i, mode := range []string{"in_use", "changed", "changed"} {
		for name, s := range at {
			must(t, s.GuestWrites(ctx, d, int64(1+i)<<20, 1<<20, 10*i+len(name)))
		}
		r := backup(t, west, coordinator)
		points := map[string]string{}
		for _, x := range r.Disks {
			points[x.VCenter] = x.Point
			if x.Mode != mode || x.ID != string(d.Ref.ID()) {
				t.Errorf("backup %d: %+v", i, x)
			}
		}
		if len(points) != 2 {
			t.Fatalf("backup %d made the points %v", i, points)
		}
		for name, s := range at {
			flat, err := s.Flat(d)
			must(t, err)
			restoreTo(t, west, s, coordinator, flat, points[name], "--name", fmt.Sprintf("again-%s-%d", name, i))
		}
		for name, s := range at { // what was restored is not backed up the next time
			made, err := s.ByName(ctx, fmt.Sprintf("again-%s-%d", name, i))
			must(t, err)
			must(t, s.Owner.Delete(ctx, made.Ref))
		}
	}
	var points []api.Point
	must(t, west.Ask(ctx, &points, "points", "--disk", string(d.Ref.ID())))
	if len(points) != 6 {
		t.Errorf("%d points of the two", len(points))
	}
	_, text, err := west.Command(ctx, "backup", "--disk", string(d.Ref.ID()))
	if err == nil || !strings.Contains(text, "--vcenter") {
		t.Errorf("which of the two? %v: %s", err, text)
	}
	var begun stage.Run
	must(t, west.Ask(ctx, &begun, "backup", "--disk", string(d.Ref.ID()), "--vcenter", "east"))
	if r, err := west.Ended(ctx, coordinator, begun.ID, limit); err != nil || len(r.Disks) != 1 || r.Disks[0].VCenter != "east" {
		t.Errorf("the one in the east: %+v, %v", r, err)
	}
}
