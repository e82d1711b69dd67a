package serve_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ivdmover/coordinator/api"
	"ivdmover/coordinator/inventory"
	"ivdmover/coordinator/serve"
	"ivdmover/deploy/lab"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/store/open"
)

// twins are two vCenters, lab and east, with the same disks: an array has copied them. Each
// disk has a point in both.
func twins(t *testing.T) (client *api.Client, disks map[string]api.Disk, sources map[string]ivd.SourceID) {
	t.Helper()
	w := newWorld(t)
	east := filepath.Join(w.dir, "east")
	if err := lab.Replicate(t.Context(), filepath.Join(w.dir, "lab"), east); err != nil {
		t.Fatal(err)
	}
	l, err := lab.Start(t.Context(), lab.Options{Dir: east})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	at := map[string]lab.Ready{"lab": w.lab, "east": l.Ready()}
	w.addVCenter(t, "east", "", l.Ready())

	client, _ = w.start(t, serve.Options{})
	st, err := open.Open(t.Context(), w.config(t, "").Repository)
	if err != nil {
		t.Fatal(err)
	}
	r, err := repo.Open(t.Context(), st)
	if err != nil {
		t.Fatal(err)
	}
	awaitProof(t, r)
	lease, err := r.OpenLease(t.Context(), repo.LeaseSpec{Kind: repo.WriteLease, Owner: "test", Run: "before"})
	if err != nil {
		t.Fatal(err)
	}
	sources, disks = map[string]ivd.SourceID{}, map[string]api.Disk{}
	for name, ready := range at {
		v, err := inventory.Connect(t.Context(), inventory.Config{Name: name, URL: ready.URL, Username: ready.Username, Password: ivd.Secret(ready.Password), Thumbprint: ready.Thumbprint})
		if err != nil {
			t.Fatal(err)
		}
		sources[name] = v.Source()
		moment := time.Now().UTC().Truncate(time.Second)
		for d, err := range v.Disks(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			if _, err := r.Commit(t.Context(), lease, format.Point{
				ID: ivd.NewPointID(r.Domain(), v.Source(), d.Ref.ID(), moment, "before"), Source: format.PointSource{Kind: format.VCenter, ID: v.Source()},
				Disk:     format.PointDisk{Kind: ivd.IVD, ID: d.Ref.ID(), Name: d.Name + " of " + name, Datastore: format.PointDatastore{ID: d.Ref.Datastore()}},
				Geometry: ivd.Geometry{Capacity: 1 << 20, ChunkSize: 256 << 10}, Run: "before", Time: moment, SealedAt: moment,
				Tracking: format.Tracking{CBT: format.CBTOn, Mode: format.ReadAllocated}, Consistency: format.CrashConsistent,
			}); err != nil {
				t.Fatal(err)
			}
		}
		if err := v.Close(); err != nil {
			t.Fatal(err)
		}
	}
	all, err := client.Disks(t.Context(), api.DiskQuery{})
	if err != nil || len(all) != 6 {
		t.Fatalf("%+v, %v", all, err)
	}
	for _, d := range all {
		disks[d.Name] = d
	}
	return client, disks, sources
}

// A disk that two vCenters have is backed up in the one that is named with it, however it
// is named; where none is named, nothing is guessed.
func TestBackupOfOneOfTwoTwins(t *testing.T) {
	client, disks, _ := twins(t)
	var id ivd.DiskID
	var name string
	for name = range disks {
		id = disks[name].ID
	}
	for what, c := range map[string]struct {
		request api.BackupRequest
		want    string // the vCenters of the run's disks
	}{
		"by its id":                {api.BackupRequest{Disks: []string{"east/" + string(id)}}, "east"},
		"by its id in capitals":    {api.BackupRequest{Disks: []string{"lab/" + strings.ToUpper(string(id))}}, "lab"},
		"by the beginning of it":   {api.BackupRequest{Disks: []string{"east/" + string(id[:20])}}, "east"},
		"by its name":              {api.BackupRequest{Disks: []string{"lab/" + name}}, "lab"},
		"by its name, and a flag":  {api.BackupRequest{Disks: []string{name}, VCenter: "east"}, "east"},
		"by both, which are alike": {api.BackupRequest{Disks: []string{"east/" + string(id)}, VCenter: "east"}, "east"},
		"both of them":             {api.BackupRequest{Disks: []string{"lab/" + string(id), "east/" + string(id)}}, "east lab"},
		"twice the same":           {api.BackupRequest{Disks: []string{"lab/" + string(id), "lab/" + name}}, "lab"},
	} {
		run, err := client.Backup(t.Context(), c.request)
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		v, err := client.RunDetail(t.Context(), run.ID)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for _, d := range v.Disks {
			seen[d.VCenter] = d.ID == id
		}
		n := len(strings.Fields(c.want))
		if len(v.Disks) != n || len(seen) != n || !seen[strings.Fields(c.want)[0]] || !seen[strings.Fields(c.want)[n-1]] {
			t.Errorf("%s: %+v", what, v.Disks)
		}
	}
	for what, c := range map[string]struct {
		request api.BackupRequest
		kind    ivd.Kind
		says    string
	}{
		"of any":                     {api.BackupRequest{Disks: []string{string(id)}}, ivd.Unmet, "VCENTER/"},
		"by the name of both":        {api.BackupRequest{Disks: []string{name}}, ivd.Unmet, "VCENTER/"},
		"of any, and of one":         {api.BackupRequest{Disks: []string{string(id), "east/" + string(id)}}, ivd.Unmet, "VCENTER/"},
		"of one that is not there":   {api.BackupRequest{Disks: []string{"north/" + string(id)}}, ivd.NotFound, "north"},
		"by both, which differ":      {api.BackupRequest{Disks: []string{"east/" + string(id)}, VCenter: "lab"}, ivd.Invalid, "east"},
		"a flag of none":             {api.BackupRequest{Disks: []string{string(id)}, VCenter: "north"}, ivd.NotFound, "north"},
		"an id that is not in there": {api.BackupRequest{Disks: []string{"east/99999999-1111-4222-8333-444455556666"}}, ivd.NotFound, "99999999"},
	} {
		_, err := client.Backup(t.Context(), c.request)
		if ivd.KindOf(err) != c.kind || !strings.Contains(err.Error()+"; "+ivd.RemedyOf(err), c.says) || ivd.RemedyOf(err) == "" {
			t.Errorf("%s: %v; %s", what, err, ivd.RemedyOf(err))
		}
	}
}

// So are its restore points, those of a vCenter that is gone from the configuration by its
// own id.
func TestPointsOfOneOfTwoTwins(t *testing.T) {
	client, disks, sources := twins(t)
	var id ivd.DiskID
	var name string
	for name = range disks {
		id = disks[name].ID
	}
	for text, want := range map[string]int{
		string(id): 2, "east/" + string(id): 1, strings.ToUpper(string(id)): 2, string(sources["lab"]) + "/" + string(id): 1,
		name + " of east": 1, "east/" + name + " of east": 1, "": 6,
	} {
		points, err := client.Points(t.Context(), api.PointQuery{Disk: text})
		if err != nil || len(points) != want {
			t.Errorf("%q: %d points, %v", text, len(points), err)
		}
		for _, p := range points {
			if strings.Contains(text, "east") && p.Source != sources["east"] {
				t.Errorf("%q: a point of %s", text, p.VCenter)
			}
		}
	}
	for _, text := range []string{"lab/" + name + " of east", "north/" + string(id), "north/" + name} {
		if points, err := client.Points(t.Context(), api.PointQuery{Disk: text}); ivd.KindOf(err) != ivd.NotFound || ivd.RemedyOf(err) == "" {
			t.Errorf("%q: %+v, %v", text, points, err)
		}
	}
	for text, want := range map[string]string{"east/" + string(id) + "@latest": "east", "lab/" + string(id) + "@latest": "lab", "lab/" + name + " of lab@latest": "lab"} {
		p, err := client.Point(t.Context(), ivd.PointID(text))
		if err != nil || p.VCenter != want || p.Disk != id {
			t.Errorf("%q: %+v, %v", text, p.Point, err)
		}
	}
	_, err := client.Point(t.Context(), ivd.PointID(id)+"@latest")
	if ivd.KindOf(err) != ivd.Unmet || !strings.Contains(err.Error(), " of east") || !strings.Contains(ivd.RemedyOf(err), "VCENTER/") {
		t.Errorf("of both: %v; %s", err, ivd.RemedyOf(err))
	}
}
