package backup

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"time"

	"ivdmover/coordinator/inventory"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// Facts are what a restore point says of its disk's surroundings, as they were when
// the snapshot was made.
type Facts struct {
	Source   format.PointSource   `json:"source"`
	Disk     format.PointDisk     `json:"disk"`
	Snapshot format.PointSnapshot `json:"snapshot"`
	CBT      format.CBT           `json:"cbt"`
}

// observe asks what the disk and its snapshot are, right after the snapshot was made.
func (t *task) observe(ctx context.Context, snap ivd.SnapshotID, change ivd.ChangeID) (Facts, error) {
	d, err := t.vc.Describe(ctx, t.disk.Ref)
	if err != nil {
		return Facts{}, err
	}
	s, err := t.vc.Snapshot(ctx, t.disk.Ref, snap)
	if err != nil {
		return Facts{}, err
	}
	t.w.warn(t.run(), t.vc, d.Untold)
	f := Facts{
		Source:   sourceFacts(t.vc),
		Disk:     diskFacts(d),
		Snapshot: format.PointSnapshot{ID: snap, Created: utc(s.Created)},
		CBT:      format.CBTOff,
	}
	switch {
	case t.disk.CBT == cbtOff:
		f.CBT = format.CBTUnused
	case change != "" || d.CBT:
		f.CBT = format.CBTOn
	}
	return f, nil
}

func utc(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC()
}

func sourceFacts(v *inventory.VCenter) format.PointSource {
	p := v.Product()
	kind := format.VCenter
	if v.Standalone() {
		kind = format.ESXi
	}
	return format.PointSource{Kind: kind, ID: v.Source(), Label: v.Name(), Product: p.Name, Version: p.Version, Build: p.Build}
}

func diskFacts(d inventory.Description) format.PointDisk {
	out := format.PointDisk{
		Kind: d.Ref.ID().Kind(), ID: d.Ref.ID(), Name: d.Name, Created: utc(d.Created), Path: d.Path,
		Datastore:    format.PointDatastore{ID: d.Datastore.ID, Name: d.Datastore.Name, Type: d.Datastore.Type, URL: d.Datastore.URL},
		Provisioning: d.Provisioning, ControllerType: d.ControllerType, BackingUUID: d.BackingUUID,
	}
	if d.Encrypted {
		out.Encryption = &format.Encryption{Provider: d.KeyProvider, KeyID: d.KeyID}
	}
	for _, a := range d.Attachments {
		out.Attachments = append(out.Attachments, format.Attachment{VM: a.UUID, Name: a.VM.Name, Controller: a.Controller, Unit: a.Unit, Mode: a.Mode})
	}
	if d.Policy != nil {
		out.Policy = &format.StoragePolicy{ID: d.Policy.ID, Name: d.Policy.Name}
	}
	for _, t := range d.Tags {
		out.Tags = append(out.Tags, format.Tag{Category: t.Category, Name: t.Name})
	}
	if v := d.Volume; v != nil { // whose handle is its disk's id
		out.Kubernetes = &format.Kubernetes{
			Cluster: v.Cluster, Namespace: v.Namespace, PVC: v.Claim, PV: v.Name, VolumeHandle: string(d.Ref.ID()),
			Labels: pairs(v.ClaimLabels), PVLabels: pairs(v.Labels),
		}
	}
	out.Metadata = pairs(d.Metadata)
	return out
}

// pairs are keys and values in order.
func pairs(m map[string]string) []format.Pair {
	var list []format.Pair
	for _, key := range slices.Sorted(maps.Keys(m)) {
		list = append(list, format.Pair{Key: key, Value: m[key]})
	}
	return list
}

// point is the restore point that the disk's part of the run has made.
func (t *task) point(recs []job.Record) format.Point {
	p := format.Point{
		ID: t.disk.Point, Geometry: t.disk.Geometry, CutAt: t.disk.CutAt, Time: t.g.Run().Created,
		Tracking:    format.Tracking{ChangeID: t.disk.ChangeID, Mode: format.ReadMode(t.disk.Mode), Since: t.disk.Since, Why: t.disk.Note},
		Consistency: format.CrashConsistent, Policy: t.order().Policy, Run: t.run(), SealedAt: t.disk.SealedAt,
	}
	if t.disk.Parent != "" {
		p.Parent = &format.PointParent{Point: t.disk.Parent, Sum: t.disk.ParentSum}
	}
	if f := t.disk.Facts; f != nil {
		p.Source, p.Disk, p.Snapshot, p.Tracking.CBT = f.Source, f.Disk, f.Snapshot, f.CBT
		if !f.Snapshot.Created.IsZero() {
			p.Time = f.Snapshot.Created
		}
	}
	for _, rec := range recs {
		p.Pages = append(p.Pages, rec.Pages...)
		p.Stats.Add(rec.Stats)
	}
	return p
}

// samePoint reports whether two points differ in nothing but under which lease, when
// and by whom they were committed.
func samePoint(a, b format.Point) bool {
	for _, p := range []*format.Point{&a, &b} {
		p.Head, p.Lease, p.Incarnation, p.LeaseDeadline, p.SealedAt = format.Head{}, "", "", time.Time{}, time.Time{}
		p.Pages = append([]ivd.PageRef{}, p.Pages...)
	}
	return reflect.DeepEqual(a, b)
}
