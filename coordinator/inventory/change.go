package inventory

import (
	"context"
	"fmt"

	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"

	"ivdmover/shared/ivd"
)

// InUse asks ChangedAreas for all areas in use instead of those that changed.
const InUse ivd.ChangeID = "*"

// ChangeID is a snapshot's mark in the disk's tracked changes; empty where the
// disk is not tracked or the vCenter cannot tell, and always on a standalone ESXi host.
func (v *VCenter) ChangeID(ctx context.Context, ref ivd.DiskRef, snap ivd.SnapshotID) (ivd.ChangeID, error) {
	if v.Standalone() {
		return "", nil
	}
	res, err := methods.RetrieveSnapshotDetails(ctx, v.client(), &types.RetrieveSnapshotDetails{
		This: v.manager(), Id: types.ID{Id: string(ref.ID())}, Datastore: datastoreRef(ref.Datastore()), SnapshotId: types.ID{Id: string(snap)},
	})
	err = fail(ctx, fmt.Sprintf("retrieve the change id of snapshot %s of disk %s on %s", snap, ref.ID(), ref.Datastore()), err)
	switch {
	case ivd.KindOf(err) == ivd.Unsupported:
		v.log.Debug("vCenter tells no change ids", "err", err)
		return "", nil
	case err != nil:
		return "", err
	}
	return ivd.ChangeID(res.Returnval.ChangedBlockTrackingId), nil
}

// ChangedAreas asks vSphere for the areas in which the snapshot differs from the
// disk at `since`, or with InUse for the areas in use, until `capacity` bytes are
// covered. They may be more than what changed, never less.
//
// Kind Conflict: tracking was reset since then. Kind Unsupported: vSphere has no
// answer for this disk. Either way the disk is to be read without them.
func (v *VCenter) ChangedAreas(ctx context.Context, ref ivd.DiskRef, snap ivd.SnapshotID, since ivd.ChangeID, capacity int64) ([]ivd.Extent, error) {
	op := fmt.Sprintf("query the areas of disk %s on %s changed from %s to snapshot %s", ref.ID(), ref.Datastore(), since, snap)
	if v.Standalone() {
		return nil, ivd.Errorf(ivd.Unsupported, "%s: a standalone ESXi host tells none", op)
	}
	var areas []ivd.Extent
	for offset := int64(0); offset < capacity; {
		res, err := methods.VstorageObjectVCenterQueryChangedDiskAreas(ctx, v.client(), &types.VstorageObjectVCenterQueryChangedDiskAreas{
			This: v.manager(), Id: types.ID{Id: string(ref.ID())}, Datastore: datastoreRef(ref.Datastore()),
			SnapshotId: types.ID{Id: string(snap)}, StartOffset: offset, ChangeId: string(since),
		})
		if faultName(err) == "InvalidArgument" && offset > 0 {
			// vSphere counts fewer bytes than VDDK does; it knows nothing of the rest.
			return append(areas, ivd.Extent{Offset: offset, Length: capacity - offset}), nil
		}
		if err != nil {
			return nil, failIn(ctx, op, err, changeMeanings)
		}
		info := res.Returnval
		for _, a := range info.ChangedArea {
			areas = append(areas, ivd.Extent{Offset: a.Start, Length: a.Length})
		}
		// What was covered is what the answer says, not where its last area ends.
		covered := info.StartOffset + info.Length
		if info.StartOffset > offset || covered <= offset {
			return nil, ivd.Errorf(ivd.Unsupported, "%s: asked from %d, vCenter answered for %d bytes from %d", op, offset, info.Length, info.StartOffset)
		}
		offset = covered
	}
	return areas, nil
}

// EnableCBT turns change tracking on. Areas can be asked for from the next
// snapshot on. VMware KB 88193 tells what it does to container volumes. Kind
// Unsupported on a standalone ESXi host, where nothing would be won.
func (v *VCenter) EnableCBT(ctx context.Context, ref ivd.DiskRef) error {
	op := fmt.Sprintf("enable change tracking of disk %s on %s", ref.ID(), ref.Datastore())
	if v.Standalone() {
		return ivd.Errorf(ivd.Unsupported, "%s: a standalone ESXi host tells no changed areas", op)
	}
	_, err := methods.SetVStorageObjectControlFlags(ctx, v.client(), &types.SetVStorageObjectControlFlags{
		This: v.manager(), Id: types.ID{Id: string(ref.ID())}, Datastore: datastoreRef(ref.Datastore()),
		ControlFlags: []string{string(types.VslmVStorageObjectControlFlagEnableChangedBlockTracking)},
	})
	return fail(ctx, op, err)
}
