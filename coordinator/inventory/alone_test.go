package inventory

import (
	"errors"
	"fmt"
	"testing"

	"ivdmover/deploy/lab"
	"ivdmover/shared/ivd"
)

// A standalone ESXi host does all that a backup and a restore need, except that it has no
// answers about changes.
func TestHostAlone(t *testing.T) {
	ctx := t.Context()
	v, l, _ := laboratory(t, lab.Options{ESX: true, Disks: 3, DiskSize: 2 * mib})
	if !v.Standalone() || v.Version() == "" {
		t.Errorf("alone: %v, version %q", v.Standalone(), v.Version())
	}
	if n := len(listed(t, v)); n != 3 {
		t.Fatalf("%d disks", n)
	}
	ds := must[Datastore](t)(v.Datastore(ctx, "datastore2"))
	ref := must[ivd.DiskRef](t)(v.CreateDisk(ctx, ds.ID, "made", 3))
	if err := v.Rename(ctx, ref, "renamed"); err != nil {
		t.Fatal(err)
	}
	vm := machine(t, v, "lab-vm-1")
	attach(t, v, vm, ref)
	d := must[Disk](t)(v.Find(ctx, ref.ID()))
	if d.Name != "renamed" || d.Capacity != 3*mib || !d.Thin || len(d.AttachedTo) != 1 || d.AttachedTo[0] != (VM{ID: vm.Value, Name: "lab-vm-1"}) {
		t.Errorf("%+v", d)
	}
	snap := must[ivd.SnapshotID](t)(v.CreateSnapshot(ctx, ref, "ours"))
	if list := must[[]Snapshot](t)(v.Snapshots(ctx, ref)); len(list) != 1 || list[0].ID != snap || list[0].Description != "ours" {
		t.Errorf("%+v", list)
	}
	if id := must[ivd.ChangeID](t)(v.ChangeID(ctx, ref, snap)); id != "" {
		t.Errorf("change id %q", id)
	}
	_, err := v.ChangedAreas(ctx, ref, snap, InUse, 3*mib)
	wantKind(t, "changed areas", err, ivd.Unsupported, "standalone ESXi host")
	wantKind(t, "tracking", v.EnableCBT(ctx, ref), ivd.Unsupported, "standalone ESXi host")
	for range 2 {
		if err := v.DeleteSnapshot(ctx, ref, snap); err != nil {
			t.Fatal(err)
		}
	}
	if left := l.Report().Snapshots; len(left) != 0 {
		t.Errorf("%+v", left)
	}
	wantKind(t, "delete an attached disk", v.DeleteDisk(ctx, ref), ivd.Locked)
	gone := listed(t, v)[0].Ref
	for range 2 {
		if err := v.DeleteDisk(ctx, gone); err != nil {
			t.Fatal(err)
		}
	}
	login, err := v.Login(ctx)
	if err != nil || login.Cookie == "" || login.Thumbprint == "" {
		t.Errorf("%+v, %v", login, err)
	}
}

// A vCenter is known by its instance UUID, a host by its hardware's: for ever,
// whatever the configuration calls it, and apart from others.
func TestSource(t *testing.T) {
	seen := map[ivd.SourceID]string{}
	for name, esx := range map[string]bool{"vCenter": false, "ESXi host": true} {
		t.Run(name, func(t *testing.T) {
			o := lab.Options{Dir: t.TempDir(), ESX: esx}
			var first ivd.SourceID
			for start := range 2 {
				l, err := lab.Start(t.Context(), o)
				if err != nil {
					t.Fatal(err)
				}
				r := l.Ready()
				v, err := Connect(t.Context(), Config{Name: fmt.Sprint("name ", start), URL: r.URL, Username: r.Username, Password: ivd.Secret(r.Password), Thumbprint: r.Thumbprint})
				if err != nil {
					t.Fatal(err)
				}
				source := v.Source()
				if err := errors.Join(v.Close(), l.Close()); err != nil {
					t.Fatal(err)
				}
				if _, err := ivd.ParseSourceID(string(source)); err != nil || start > 0 && source != first {
					t.Errorf("start %d: source %q after %q: %v", start, source, first, err)
				}
				first = source
			}
			if other, taken := seen[first]; taken {
				t.Errorf("%s and %s are both %s", name, other, first)
			}
			seen[first] = name
		})
	}
}
