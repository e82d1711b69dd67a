package serve_test

import (
	"context"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ivdmover/coordinator/api"
	"ivdmover/coordinator/serve"
	"ivdmover/deploy/lab"
	"ivdmover/shared/ivd"
	"ivdmover/shared/pause"
)

// addVCenter adds a laboratory to the configuration, at an address of its own.
func (w *world) addVCenter(t *testing.T, name, addr string, r lab.Ready) {
	t.Helper()
	u, err := url.Parse(r.URL)
	if err != nil {
		t.Fatal(err)
	}
	if addr != "" {
		u.Host = addr
	}
	w.write(t, name+".password", r.Password)
	entry := fmt.Sprintf("{ name: %s, url: %q, username: %q, password_file: %q, thumbprint: %q }", name, u, r.Username, filepath.Join(w.dir, name+".password"), r.Thumbprint)
	w.text = strings.Replace(w.text, "vcenters: [", "vcenters: ["+entry+", ", 1)
}

// anotherLab is a laboratory with two disks.
func anotherLab(t *testing.T) lab.Ready {
	t.Helper()
	l, err := lab.Start(t.Context(), lab.Options{Dir: t.TempDir(), Disks: 2, DiskSize: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Ready()
}

func hostOf(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

// One vCenter that is away at the start keeps nobody from the others: it is named in each
// list, and is never taken for one that has nothing. It joins when it is there.
func TestOneVCenterIsAwayAtTheStart(t *testing.T) {
	w := newWorld(t)
	east, addr := anotherLab(t), freePort(t)
	w.addVCenter(t, "east", addr, east)
	client, _ := w.start(t, serve.Options{})
	const says = "vCenter east is not reached"

	away := func(what string, f *ivd.Failure) {
		t.Helper()
		if f == nil || f.Kind != ivd.Transient || !strings.Contains(f.Message, says) || f.Remedy == "" {
			t.Errorf("%s: %+v", what, f)
		}
	}
	disks, err := client.Disks(t.Context(), api.DiskQuery{})
	if err != nil || len(disks) != 4 {
		t.Fatalf("%+v, %v", disks, err)
	}
	for _, d := range disks {
		if d.VCenter == "lab" && d.Failure == nil {
			continue
		}
		if d.VCenter != "east" || d.ID != "" {
			t.Errorf("%+v", d)
		}
		away("disks", d.Failure)
	}
	snapshots, err := client.Snapshots(t.Context())
	if err != nil || len(snapshots) != 1 || snapshots[0].VCenter != "east" {
		t.Fatalf("%+v, %v", snapshots, err)
	}
	away("snapshots", snapshots[0].Failure)
	run, err := client.Backup(t.Context(), api.BackupRequest{All: true})
	if err != nil || run.Counts.Disks != 3 {
		t.Fatalf("%+v, %v", run, err)
	}
	away("a backup of all", run.Failure)
	if run, err := client.Backup(t.Context(), api.BackupRequest{All: true, VCenter: "lab"}); err != nil || run.Failure != nil || run.Counts.Disks != 3 {
		t.Errorf("of the other: %+v, %v", run, err)
	}

	const nobodys = "99999999-1111-4222-8333-444455556666"
	for what, ask := range map[string]func() error{
		"a datastore that may be there": func() error {
			l, err := client.Disks(t.Context(), api.DiskQuery{Datastore: "nosuch"})
			return inList(l, err)
		},
		"all of it": func() error {
			_, err := client.Backup(t.Context(), api.BackupRequest{All: true, VCenter: "east"})
			return err
		},
		"a disk of it by its name":            func() error { return named(t, client, "east/disk") },
		"a disk of it by its id":              func() error { return named(t, client, "east/"+nobodys) },
		"a disk that may be there":            func() error { return named(t, client, nobodys) },
		"a name that may be there":            func() error { return named(t, client, "no-such-disk") },
		"a snapshot that may be there":        func() error { return client.DeleteSnapshot(t.Context(), nobodys, "") },
		"a snapshot of it":                    func() error { return client.DeleteSnapshot(t.Context(), nobodys, "east") },
		"a disk among others that may be not": func() error { return named(t, client, string(disks[1].ID), nobodys) },
	} {
		err := ask()
		if ivd.KindOf(err) != ivd.Transient || !strings.Contains(err.Error(), says) || ivd.RemedyOf(err) == "" {
			t.Errorf("%s: %v; %s", what, err, ivd.RemedyOf(err))
		}
	}
	for what, ask := range map[string]func() error{
		"a disk that is not in the other": func() error { return named(t, client, "lab/"+nobodys) },
		"a vCenter that nobody has":       func() error { return named(t, client, "north/"+nobodys) },
		"a snapshot not in the other":     func() error { return client.DeleteSnapshot(t.Context(), nobodys, "lab") },
	} {
		if err := ask(); ivd.KindOf(err) != ivd.NotFound {
			t.Errorf("%s: %v", what, err)
		}
	}

	forward(t, addr, hostOf(t, east.URL))
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
	defer stop()
	for disks, err = client.Disks(ctx, api.DiskQuery{}); err != nil || len(disks) != 5; disks, err = client.Disks(ctx, api.DiskQuery{}) {
		if pause.For(ctx, 20*time.Millisecond) != nil {
			t.Fatalf("it never joins: %+v, %v", disks, err)
		}
	}
	if run, err = client.Backup(t.Context(), api.BackupRequest{All: true}); err != nil || run.Counts.Disks != 5 || run.Failure != nil {
		t.Errorf("%+v, %v", run, err)
	}
	if snapshots, err = client.Snapshots(t.Context()); err != nil || len(snapshots) != 0 {
		t.Errorf("%+v, %v", snapshots, err)
	}
}

// named asks for a backup of some disks.
func named(t *testing.T, client *api.Client, disks ...string) error {
	t.Helper()
	_, err := client.Backup(t.Context(), api.BackupRequest{Disks: disks})
	return err
}

// inList is the error of a list, or of its first member that has one.
func inList(list []api.Disk, err error) error {
	for _, d := range list {
		if err == nil && d.Failure != nil {
			err = d.Failure.Err()
		}
	}
	return err
}

// With all of them away there is nothing to serve.
func TestAllVCentersAreAwayAtTheStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	target, addr, other := hostOf(t, w.lab.URL), freePort(t), freePort(t)
	w.text = strings.Replace(w.text, target, addr, 1)
	w.addVCenter(t, "east", other, w.lab)
	cfg := w.config(t, "")
	cfg.API.Listen = freePort(t)
	e := startEarly(t, cfg)
	const what = "one of the vCenters east, lab"
	e.waits(what)
	e.answersThatItWaits(cfg, what)
	forward(t, addr, target)
	e.serves()
}

// A vCenter that comes late and gives a definite answer is not served, and ends nothing.
func TestVCenterThatComesLateAndIsAnother(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	addr := freePort(t)
	w.addVCenter(t, "again", addr, w.lab)
	cfg := w.config(t, "")
	cfg.API.Listen = freePort(t)
	e := startEarly(t, cfg)
	e.waits("vCenter again")
	forward(t, addr, hostOf(t, w.lab.URL))
	e.says("of the configuration are the same")
	e.serves()
}
