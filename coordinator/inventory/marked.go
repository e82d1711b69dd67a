package inventory

import (
	"context"

	"ivdmover/shared/ivd"
)

// DeleteMarked deletes the snapshots of a disk whose description is exactly this,
// known or not: one whose creation was still under way when its maker died carries
// the mark too. It is no error that the disk is gone. Found: there was one.
func (v *VCenter) DeleteMarked(ctx context.Context, ref ivd.DiskRef, mark string) (found bool, err error) {
	snaps, err := v.Snapshots(ctx, ref)
	if ivd.KindOf(err) == ivd.NotFound { // it was relocated, or it is gone and its snapshots with it
		var disk Disk
		if disk, err = v.Find(ctx, ref.ID()); ivd.KindOf(err) == ivd.NotFound {
			return false, nil
		}
		if err == nil {
			ref = disk.Ref
			snaps, err = v.Snapshots(ctx, ref)
		}
	}
	if err != nil {
		return false, err
	}
	for _, s := range snaps {
		if s.Description != mark {
			continue
		}
		found = true
		if err := v.DeleteSnapshot(ctx, ref, s.ID); err != nil {
			return found, err
		}
	}
	return found, nil
}
