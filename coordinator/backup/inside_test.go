package backup

import (
	"reflect"
	"testing"
	"time"

	"ivdmover/coordinator/inventory"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

// An attached, encrypted disk as a point says it.
func TestDiskFacts(t *testing.T) {
	unit := int32(3)
	d := diskFacts(inventory.Description{
		Disk:        inventory.Disk{Ref: ivd.NewDiskRef("vc", "datastore-1", "5029aaaa-0000-4000-8000-000000000002.2000"), Encrypted: true, KeyID: "k", KeyProvider: "kms"},
		Attachments: []inventory.Attachment{{VM: inventory.VM{ID: "vm-1", Name: "web"}, UUID: "u", Controller: "NVMe 1", Unit: &unit, Mode: "persistent"}},
	})
	if d.Kind != ivd.VMDisk || *d.Encryption != (format.Encryption{Provider: "kms", KeyID: "k"}) {
		t.Errorf("%+v", d)
	}
	if d.Policy != nil || d.Kubernetes != nil || d.Tags != nil || d.Metadata != nil {
		t.Errorf("%+v", d)
	}
	if a := d.Attachments[0]; a.VM != "u" || a.Name != "web" || a.Controller != "NVMe 1" || *a.Unit != 3 || a.Mode != "persistent" {
		t.Errorf("%+v", a)
	}
}

// What a vCenter's other services tell of a disk, in an order that is always the
// same, and keys that differ in case only included.
func TestDiskFactsOfAVolume(t *testing.T) {
	d := diskFacts(inventory.Description{
		Disk:   inventory.Disk{Ref: ivd.NewDiskRef("vc", "datastore-1", "5029aaaa-0000-4000-8000-000000000002"), Metadata: map[string]string{"x": "2", "X": "1"}},
		Policy: &inventory.Policy{ID: "p", Name: "Gold"},
		Tags:   []inventory.Tag{{Category: "tier", Name: "gold"}},
		Volume: &inventory.Volume{Cluster: "c", Namespace: "shop", Claim: "web-1", Name: "pvc-1", ClaimLabels: map[string]string{"app": "2", "App": "1"}, Labels: map[string]string{"zone": "a"}},
	})
	want := format.PointDisk{
		Kind: ivd.IVD, ID: "5029aaaa-0000-4000-8000-000000000002",
		Policy: &format.StoragePolicy{ID: "p", Name: "Gold"}, Tags: []format.Tag{{Category: "tier", Name: "gold"}},
		Kubernetes: &format.Kubernetes{
			Cluster: "c", Namespace: "shop", PVC: "web-1", PV: "pvc-1", VolumeHandle: "5029aaaa-0000-4000-8000-000000000002",
			Labels: []format.Pair{{Key: "App", Value: "1"}, {Key: "app", Value: "2"}}, PVLabels: []format.Pair{{Key: "zone", Value: "a"}},
		},
		Metadata: []format.Pair{{Key: "X", Value: "1"}, {Key: "x", Value: "2"}},
	}
	if !reflect.DeepEqual(d, want) {
		t.Errorf("%+v, want %+v", d, want)
	}
}

// A child keeps its parent's chunk size, unless all of the disk is read anew: then
// it may be cut as a first backup's, where it was asked for, or where a small disk
// has become a large one.
func TestCutAnew(t *testing.T) {
	const tib = int64(1) << 40
	for name, c := range map[string]struct {
		full, whole     bool
		cutAt, capacity int64
		want            bool
	}{
		"read by changes":               {false, false, tib / 2, 5 * tib, false},
		"asked for":                     {true, true, 3 * tib, 3 * tib, true},
		"from small to large":           {false, true, tib / 2, 5 * tib, true},
		"from small to less than large": {false, true, tib / 2, 4 * tib, false},
		"from no longer small to large": {false, true, tib, 5 * tib, false},
	} {
		if got := cutsAnew(c.full, c.whole, c.cutAt, c.capacity); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// A point under our name counts as ours only where it says the same as what we sent.
func TestSamePoint(t *testing.T) {
	a := format.Point{Run: "run", Snapshot: format.PointSnapshot{ID: "s"}, Pages: []ivd.PageRef{{ID: ivd.ContentID{1}}}, Stats: ivd.Stats{Packs: 1}}
	b := a
	b.Head, b.Lease, b.LeaseDeadline, b.SealedAt = format.Head{Program: "another"}, "another", time.Now(), time.Now()
	if !samePoint(a, b) {
		t.Error("another lease makes another point")
	}
	for name, change := range map[string]func(*format.Point){
		"another snapshot": func(p *format.Point) { p.Snapshot.ID = "t" },
		"another run":      func(p *format.Point) { p.Run = "other" },
		"another page":     func(p *format.Point) { p.Pages = []ivd.PageRef{{ID: ivd.ContentID{2}}} },
		"no page":          func(p *format.Point) { p.Pages = nil },
	} {
		c := b
		change(&c)
		if samePoint(a, c) {
			t.Errorf("%s makes no other point", name)
		}
	}
	if a.Lease != "" || b.Lease != "another" {
		t.Error("the points were changed")
	}
}
