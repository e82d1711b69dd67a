package lab

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"ivdmover/deploy/lab/estate"
)

// seed makes the disks of Options.Disks on the datastores in turn. Of every 4 MiB,
// one is random, one is text, two are never written. The name tells the seed. The
// first disk has a tag and a storage policy, the second is a container's volume.
func (l *Lab) seed(ctx context.Context) error {
	stores := l.estate.Datastores()
	for i := range l.o.Disks {
		name := fmt.Sprintf("disk-%02d", i+1)
		store := stores[i%len(stores)]
		for _, d := range l.estate.Disks(store) {
			if d.Name == name { // of a first start that was cut short
				if err := l.estate.Delete(ctx, store, d.ID); err != nil {
					return err
				}
			}
		}
		size := (l.o.DiskSize + mib - 1) / mib * mib
		d, err := l.estate.Create(ctx, store, name, "", size)
		if err != nil {
			return err
		}
		if err := l.populate(ctx, d, uint64(i+1)); err != nil {
			return err
		}
		if err := l.place(ctx, d, i); err != nil {
			return err
		}
	}
	return nil
}

// place gives the first two disks what only a vCenter keeps of a disk.
func (l *Lab) place(ctx context.Context, d estate.Disk, i int) error {
	switch {
	case l.o.ESX:
	case i == 0:
		if err := l.estate.Tag(d.ID, estate.Tags()[0], true); err != nil {
			return err
		}
		return l.estate.Change(ctx, d.Datastore, d.ID, func(d *estate.Disk) { d.Policy = estate.Policies()[0].ID })
	case i == 1:
		return l.estate.Change(ctx, d.Datastore, d.ID, func(x *estate.Disk) {
			x.Bind(estate.Volume{Cluster: "laboratory", Entities: []estate.Entity{
				{Type: estate.KubernetesVolume, Name: "pvc-" + string(d.ID), Labels: map[string]string{"zone": "a"}},
				{Type: estate.KubernetesClaim, Name: "data-shop-0", Namespace: "shop", Labels: map[string]string{"app": "shop", "tier": "db"}},
			}})
		})
	}
	return nil
}

const mib = 1 << 20

func (l *Lab) populate(ctx context.Context, d estate.Disk, seed uint64) error {
	h, err := l.estate.Open(d.Datastore, d.ID, "", true, "the first start")
	if err != nil {
		return err
	}
	defer h.Close()
	random := Random(seed, d.Capacity)
	buf := make([]byte, mib)
	for at := int64(0); at < d.Capacity && ctx.Err() == nil; at += 4 * mib {
		if _, err := io.ReadFull(random, buf); err != nil {
			return err
		}
		if err := h.WriteAt(buf, at); err != nil {
			return err
		}
		line := fmt.Appendf(nil, "%s of the laboratory, from %d\n", d.Name, at)
		text := bytes.Repeat(line, mib/len(line)+1)[:mib]
		if at+2*mib <= d.Capacity {
			if err := h.WriteAt(text, at+mib); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}
