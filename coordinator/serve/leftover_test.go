package serve_test

import (
	"context"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ivdmover/coordinator/api"
	"ivdmover/coordinator/backup"
	"ivdmover/coordinator/inventory"
	"ivdmover/coordinator/serve"
	"ivdmover/deploy/lab/script"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/store/open"
)

// What this program has made is listed, whosever it is, and is deleted where a person
// says so, unless it is worked with. What others have made is neither.
func TestSnapshotsThatAreLeft(t *testing.T) {
	w := newWorld(t)
	client, _ := w.start(t, serve.Options{})
	st, err := open.Open(t.Context(), w.config(t, "").Repository)
	if err != nil {
		t.Fatal(err)
	}
	r, err := repo.Open(t.Context(), st)
	if err != nil {
		t.Fatal(err)
	}
	awaitProof(t, r)
	if _, err := r.OpenLease(t.Context(), repo.LeaseSpec{Kind: repo.WriteLease, Owner: "another", Run: "leased"}); err != nil {
		t.Fatal(err)
	}
	v, err := inventory.Connect(t.Context(), inventory.Config{Name: "lab", URL: w.lab.URL, Username: w.lab.Username, Password: ivd.Secret(w.lab.Password), Thumbprint: w.lab.Thumbprint})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = v.Close() }()
	disks, err := client.Disks(t.Context(), api.DiskQuery{})
	if err != nil {
		t.Fatal(err)
	}
	ref := ivd.NewDiskRef(v.Source(), disks[0].DatastoreID, disks[0].ID)
	ours := backup.Mark(r, "over")
	kinds := map[string]ivd.Kind{ // of the answer to a deletion
		ours: "", "ivdmover run older": "", strings.Replace(ours, r.ID(), "00000000-0000-4000-8000-000000000000", 1): "",
		"ivdmover examination-00000000-0000-4000-8000-000000000000": "",
		backup.Mark(r, "leased"):                                    ivd.Locked, "by hand": ivd.Denied,
	}
	ids := map[string]ivd.SnapshotID{}
	for mark := range kinds {
		if ids[mark], err = v.CreateSnapshot(t.Context(), ref, mark); err != nil {
			t.Fatal(err)
		}
	}
	list, err := client.Snapshots(t.Context())
	if err != nil || len(list) != len(kinds)-1 {
		t.Fatalf("%+v, %v", list, err)
	}
	for _, s := range list {
		if s.Ours != (s.Description == ours || s.Run == "leased") || s.ID != ids[s.Description] || s.Created.After(time.Now()) {
			t.Errorf("%+v", s)
		}
	}
	for mark, want := range kinds {
		err := client.DeleteSnapshot(t.Context(), ids[mark], "")
		if ivd.KindOf(err) != want || (err == nil) != (want == "") || err != nil && ivd.RemedyOf(err) == "" {
			t.Errorf("%q: %v, want kind %q", mark, err, want)
		}
		if want == ivd.Locked && strings.Contains(ivd.RemedyOf(err), "cancel") { // it is none of ours
			t.Errorf("%q: %s", mark, ivd.RemedyOf(err))
		}
	}
	left, err := v.Snapshots(t.Context(), ref)
	if err != nil || len(left) != 2 {
		t.Errorf("left are %+v, %v", left, err)
	}
	for _, err := range []error{client.DeleteSnapshot(t.Context(), "nosuch", ""), client.DeleteSnapshot(t.Context(), ids["by hand"], "nosuch")} {
		if ivd.KindOf(err) != ivd.NotFound || ivd.RemedyOf(err) == "" {
			t.Errorf("a snapshot that is not there: %v", err)
		}
	}
}

// The deletion of a snapshot is waited for as long as vCenter is at it, and goes on there
// when nobody waits any more.
func TestDeletionThatTakesLong(t *testing.T) {
	w := newWorld(t)
	_, _ = w.start(t, serve.Options{})
	st, err := open.Open(t.Context(), w.config(t, "").Repository)
	if err != nil {
		t.Fatal(err)
	}
	r, err := repo.Open(t.Context(), st)
	if err != nil {
		t.Fatal(err)
	}
	awaitProof(t, r)
	v, err := inventory.Connect(t.Context(), inventory.Config{Name: "lab", URL: w.lab.URL, Username: w.lab.Username, Password: ivd.Secret(w.lab.Password), Thumbprint: w.lab.Thumbprint})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = v.Close() }()
	var refs []ivd.DiskRef
	for d, err := range v.Disks(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		refs = append(refs, d.Ref)
	}
	if err := script.WriteAnswers(filepath.Join(w.dir, "lab"), script.Answer{Call: "DeleteSnapshot_Task", Lasts: script.Duration(6 * time.Second)}); err != nil {
		t.Fatal(err)
	}
	for what, impatient := range map[string]bool{"waited for": false, "interrupted": true} {
		id, err := v.CreateSnapshot(t.Context(), refs[0], backup.Mark(r, "over"))
		if err != nil {
			t.Fatal(err)
		}
		ctx, interrupt := context.WithCancel(t.Context())
		var atIt atomic.Bool
		client, err := api.NewClient(api.ClientOptions{Server: w.url, TokenFile: serve.TokenFile(filepath.Join(w.dir, "state")), News: func(line string) {
			if strings.Contains(line, "vCenter lab is at it") && strings.Contains(line, string(id)) {
				atIt.Store(true)
				if impatient {
					interrupt()
				}
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		err = client.DeleteSnapshot(ctx, id, "")
		if (ivd.KindOf(err) == ivd.Cancelled) != impatient || (err == nil) == impatient || !atIt.Load() {
			t.Errorf("%s: %v; vCenter was heard: %t", what, err, atIt.Load())
		}
		for err == nil || ivd.KindOf(err) == ivd.Cancelled { // it goes on in vCenter
			if _, err = v.Snapshot(t.Context(), refs[0], id); ivd.KindOf(err) == ivd.NotFound {
				break
			}
		}
		if ivd.KindOf(err) != ivd.NotFound {
			t.Errorf("%s: the snapshot is there: %v", what, err)
		}
		interrupt()
		client.Close()
	}
}

// awaitProof waits until the coordinator has tried its store, for which it makes a lease
// that is none.
func awaitProof(t *testing.T, r *repo.Repository) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	if err := r.Prove(ctx); err != nil { // as long as the coordinator's
		t.Fatal(err)
	}
	for n := 1; n > 0; {
		n = 0
		for l, err := range r.Leases(ctx) {
			if err != nil {
				t.Fatal(err)
			}
			if l.Unknown != nil {
				n++
			}
		}
	}
}
