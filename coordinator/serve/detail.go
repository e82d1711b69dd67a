package serve

import (
	"context"
	"slices"
	"strings"

	"ivdmover/coordinator/api"
	"ivdmover/coordinator/catalogue"
	"ivdmover/shared/damage"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

// Point shows one restore point with all that it says of its disk.
func (a *archive) Point(ctx context.Context, id ivd.PointID) (api.PointDetail, error) {
	p, err := a.catalogue.Among(ctx, id)
	if err == nil && p.Failure != nil {
		err = p.Failure.Err()
	}
	if err != nil {
		return api.PointDetail{}, err
	}
	marked := []catalogue.Point{p}
	if err := a.catalogue.Mark(ctx, marked, true); err != nil {
		return api.PointDetail{}, err
	}
	p = marked[0]
	stored, _, err := a.repo.ReadPoint(ctx, id) // of which the catalogue keeps a part
	if err != nil {
		return api.PointDetail{}, err
	}
	lost, err := a.lost(ctx, stored, p.Damaged)
	if err != nil {
		return api.PointDetail{}, err
	}
	s := stored.Source
	product := strings.TrimSpace(s.Product + " " + s.Version)
	if s.Build != "" {
		product += " build-" + s.Build
	}
	t := stored.Tracking
	return api.PointDetail{
		Point: a.point(p), Product: product, Was: factsOf(stored.Disk), Lost: lost,
		Snapshot: api.SnapshotFact{ID: stored.Snapshot.ID, Created: stored.Snapshot.Created},
		Tracking: api.Tracking{CBT: string(t.CBT), ChangeID: t.ChangeID, Since: t.Since, Why: t.Why},
	}, nil
}

// lost is what of a point cannot be read any more that needs these packs.
func (a *archive) lost(ctx context.Context, p format.Point, damaged []ivd.PackID) ([]ivd.Extent, error) {
	if len(damaged) == 0 {
		return nil, nil
	}
	loss, err := damage.Of(ctx, a.repo, p, func(pack ivd.PackID) bool { return slices.Contains(damaged, pack) })
	return loss.Ranges, err
}

func factsOf(d format.PointDisk) api.DiskFacts {
	out := api.DiskFacts{
		Created: d.Created, Path: d.Path, DatastoreID: d.Datastore.ID, DatastoreType: d.Datastore.Type, DatastoreURL: d.Datastore.URL,
		Provisioning: d.Provisioning, ControllerType: d.ControllerType, BackingUUID: d.BackingUUID,
		Tags: []api.Tag{}, Attachments: []api.Attachment{}, Metadata: mapOf(d.Metadata),
	}
	if p := d.Policy; p != nil {
		out.StoragePolicy = &api.StoragePolicy{ID: p.ID, Name: p.Name}
	}
	if e := d.Encryption; e != nil {
		out.Encryption = &api.Encryption{Provider: e.Provider, KeyID: e.KeyID}
	}
	for _, t := range d.Tags {
		out.Tags = append(out.Tags, api.Tag{Category: t.Category, Name: t.Name})
	}
	for _, x := range d.Attachments {
		out.Attachments = append(out.Attachments, api.Attachment{VM: x.VM, Name: x.Name, Controller: x.Controller, Unit: x.Unit, Mode: x.Mode})
	}
	if k := d.Kubernetes; k != nil {
		out.Kubernetes = &api.Kubernetes{
			Cluster: k.Cluster, Namespace: k.Namespace, PVC: k.PVC, PV: k.PV, VolumeHandle: k.VolumeHandle,
			Labels: mapOf(k.Labels), PVLabels: mapOf(k.PVLabels),
		}
	}
	return out
}

func mapOf(pairs []format.Pair) map[string]string {
	if len(pairs) == 0 {
		return nil
	}
	m := map[string]string{}
	for _, p := range pairs {
		m[p.Key] = p.Value
	}
	return m
}
