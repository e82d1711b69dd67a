package inventory

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"

	"ivdmover/shared/ivd"
	"ivdmover/shared/pause"
)

// Tracking is an optimisation: whoever asks about it goes on without an answer. So
// what passes is asked again for some seconds only, an answer is looked at before it
// is believed, and no question goes on for ever.

// InUse asks ChangedAreas for all areas in use instead of those that changed.
const InUse ivd.ChangeID = "*"

// trackAgain is the back-off for a call about tracking. A call that has not been
// answered within its deadline is not made again.
var trackAgain = pause.Backoff{
	First: time.Second / 2, Cap: 4 * time.Second, Attempts: 4,
	Retry: func(err error, _ int) bool {
		return ivd.KindOf(err).Retry() && !errors.Is(err, context.DeadlineExceeded) && ivd.KindOf(err) != ivd.Conflict
	},
}

// Bounds of a question for areas. A page of vSphere's has up to 2,000 areas of at
// least 64 KiB.
const (
	areasTimeout  = 15 * time.Minute
	fewPages      = 1000    // whatever the disk's size
	bytesPerPage  = 4 << 20 // which each page beyond those covers, on the average
	mostAreas     = 4 << 20 // 64 MiB of memory
	mibOfVSphere  = 1 << 20 // in which vSphere counts a disk's capacity
	longestChange = 200     // bytes of a change id
)

// ChangeID is a snapshot's mark in the disk's tracked changes; empty where the
// disk is not tracked or the vCenter cannot tell, and always on a standalone ESXi host.
// What is no change id is an error of kind Unsupported.
func (v *VCenter) ChangeID(ctx context.Context, ref ivd.DiskRef, snap ivd.SnapshotID) (ivd.ChangeID, error) {
	if v.Standalone() {
		return "", nil
	}
	op := fmt.Sprintf("retrieve the change id of snapshot %s of disk %s on %s", snap, ref.ID(), ref.Datastore())
	var id ivd.ChangeID
	err := v.trackAgain.Do(ctx, func(ctx context.Context) error {
		res, err := methods.RetrieveSnapshotDetails(ctx, v.client(), &types.RetrieveSnapshotDetails{
			This: v.manager(), Id: types.ID{Id: string(ref.ID())}, Datastore: datastoreRef(ref.Datastore()), SnapshotId: types.ID{Id: string(snap)},
		})
		if err == nil {
			id = ivd.ChangeID(res.Returnval.ChangedBlockTrackingId)
		}
		return fail(ctx, op, err)
	})
	switch {
	case ivd.KindOf(err) == ivd.Unsupported:
		v.log.Debug("vCenter tells no change ids", "err", err)
		return "", nil
	case err != nil:
		return "", err
	case id != "" && (len(id) > longestChange || !id.Valid()):
		return "", ivd.Errorf(ivd.Unsupported, "%s: %.40q is no change id", op, id)
	}
	return id, nil
}

// ChangedAreas asks vSphere for the areas in which the snapshot differs from the
// disk at `since`, or with InUse for the areas in use, until `capacity` bytes are
// covered. They may be more than what changed, never less; they may overlap, and
// come in any order.
//
// Kind Conflict: tracking was reset since then. Kind Unsupported: vSphere has no
// answer for this disk, or none that can be right. Either way the disk is to be read
// without them.
func (v *VCenter) ChangedAreas(ctx context.Context, ref ivd.DiskRef, snap ivd.SnapshotID, since ivd.ChangeID, capacity int64) ([]ivd.Extent, error) {
	q := areasQuery{
		v: v, op: fmt.Sprintf("query the areas of disk %s on %s changed from %s to snapshot %s", ref.ID(), ref.Datastore(), since, snap),
		capacity: capacity, req: types.VstorageObjectVCenterQueryChangedDiskAreas{
			This: v.manager(), Id: types.ID{Id: string(ref.ID())}, Datastore: datastoreRef(ref.Datastore()),
			SnapshotId: types.ID{Id: string(snap)}, ChangeId: string(since),
		},
	}
	if v.Standalone() {
		return nil, ivd.Errorf(ivd.Unsupported, "%s: a standalone ESXi host tells none", q.op)
	}
	whole := ctx
	ctx, cancel := context.WithTimeout(ctx, areasTimeout)
	defer cancel()
	areas, err := q.all(ctx)
	if err != nil && ctx.Err() != nil && whole.Err() == nil {
		return nil, ivd.Errorf(ivd.Unsupported, "%s: not all was told within %s", q.op, areasTimeout)
	}
	return areas, err
}

// areasQuery is one question for areas, which vSphere answers page by page.
type areasQuery struct {
	v        *VCenter
	op       string
	capacity int64
	req      types.VstorageObjectVCenterQueryChangedDiskAreas
	areas    []ivd.Extent
}

func (q *areasQuery) all(ctx context.Context) ([]ivd.Extent, error) {
	for page := int64(1); q.req.StartOffset < q.capacity; page++ {
		if page > fewPages+q.capacity/bytesPerPage {
			return nil, ivd.Errorf(ivd.Unsupported, "%s: %d answers cover %d bytes of %d", q.op, page-1, q.req.StartOffset, q.capacity)
		}
		info, err := q.page(ctx)
		rest := q.capacity - q.req.StartOffset
		if faultName(err) == "InvalidArgument" && q.req.StartOffset > 0 && rest < mibOfVSphere {
			// vSphere counts fewer bytes than VDDK does; it knows nothing of the rest.
			return append(q.areas, ivd.Extent{Offset: q.req.StartOffset, Length: rest}), nil
		}
		if err != nil {
			return nil, failIn(ctx, q.op, err, changeMeanings)
		}
		if err := q.take(info); err != nil {
			return nil, err
		}
	}
	return q.areas, nil
}

// page asks from where the pages before have come to. Its error is vSphere's own.
func (q *areasQuery) page(ctx context.Context) (info types.DiskChangeInfo, err error) {
	_ = q.v.trackAgain.Do(ctx, func(ctx context.Context) error { // it returns err, or that ctx has ended
		var res *types.VstorageObjectVCenterQueryChangedDiskAreasResponse
		res, err = methods.VstorageObjectVCenterQueryChangedDiskAreas(ctx, q.v.client(), &q.req)
		if err != nil {
			return failIn(ctx, q.op, err, changeMeanings)
		}
		info = res.Returnval
		return nil
	})
	return info, err
}

// take takes over a page's areas, and goes on where it ends. What was covered is what
// the answer says, not where its last area ends.
func (q *areasQuery) take(info types.DiskChangeInfo) error {
	asked := q.req.StartOffset
	covered := info.StartOffset + info.Length
	if info.StartOffset > asked || covered <= asked {
		return ivd.Errorf(ivd.Unsupported, "%s: asked from %d, vCenter answered for %d bytes from %d", q.op, asked, info.Length, info.StartOffset)
	}
	if len(q.areas)+len(info.ChangedArea) > mostAreas {
		return ivd.Errorf(ivd.Unsupported, "%s: more than %d areas", q.op, mostAreas)
	}
	end := (q.capacity + mibOfVSphere - 1) / mibOfVSphere * mibOfVSphere
	for _, a := range info.ChangedArea {
		// An area may end beyond the disk: some versions answer in whole blocks.
		if a.Start < 0 || a.Length < 0 || a.Start+a.Length < a.Start || a.Length > 0 && a.Start >= end {
			return ivd.Errorf(ivd.Unsupported, "%s: the disk has %d bytes, and vCenter names %d from %d", q.op, q.capacity, a.Length, a.Start)
		}
		if a.Length > 0 {
			q.areas = append(q.areas, ivd.Extent{Offset: a.Start, Length: a.Length})
		}
	}
	q.req.StartOffset = covered
	return nil
}

// EnableCBT turns change tracking on. Areas can be asked for from the next
// snapshot on. VMware KB 88193 tells what it does to container volumes. Kind
// Unsupported on a standalone ESXi host, where nothing would be won.
func (v *VCenter) EnableCBT(ctx context.Context, ref ivd.DiskRef) error {
	op := fmt.Sprintf("enable change tracking of disk %s on %s", ref.ID(), ref.Datastore())
	if v.Standalone() {
		return ivd.Errorf(ivd.Unsupported, "%s: a standalone ESXi host tells no changed areas", op)
	}
	return v.trackAgain.Do(ctx, func(ctx context.Context) error {
		_, err := methods.SetVStorageObjectControlFlags(ctx, v.client(), &types.SetVStorageObjectControlFlags{
			This: v.manager(), Id: types.ID{Id: string(ref.ID())}, Datastore: datastoreRef(ref.Datastore()),
			ControlFlags: []string{string(types.VslmVStorageObjectControlFlagEnableChangedBlockTracking)},
		})
		return fail(ctx, op, err)
	})
}

// Answers asks the vCenter, or the host, something that it answers whenever it is
// there: so who has failed with one call knows whether the others would too.
func (v *VCenter) Answers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, loginTimeout)
	defer cancel()
	_, err := methods.GetCurrentTime(ctx, v.client())
	return fail(ctx, "vCenter "+v.cfg.Name+": ask for the time", err)
}
