package inventory

import (
	"context"
	"reflect"
	"testing"

	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"ivdmover/shared/ivd"
)

// tracked is a vCenter that answers for changed areas by a function of the offset.
func tracked(v *VCenter, answer func(offset int64) (types.DiskChangeInfo, error)) (asked *[]int64) {
	asked = new([]int64)
	interpose(v, func(req, res soap.HasFault) (bool, error) {
		b, ok := req.(*methods.VstorageObjectVCenterQueryChangedDiskAreasBody)
		if !ok {
			return false, nil
		}
		*asked = append(*asked, b.Req.StartOffset)
		info, err := answer(b.Req.StartOffset)
		res.(*methods.VstorageObjectVCenterQueryChangedDiskAreasBody).Res = &types.VstorageObjectVCenterQueryChangedDiskAreasResponse{Returnval: info}
		return true, err
	})
	return asked
}

func areaOf(from, length int64) types.DiskChangeExtent {
	return types.DiskChangeExtent{Start: from, Length: length}
}

func TestAreasArePagedByWhatWasCovered(t *testing.T) {
	v, ref := oneDisk(t)
	asked := tracked(v, func(offset int64) (types.DiskChangeInfo, error) {
		info := types.DiskChangeInfo{StartOffset: offset, Length: min(400, 1000-offset)}
		switch offset {
		case 0:
			info.ChangedArea = []types.DiskChangeExtent{areaOf(10, 20), areaOf(100, 50)} // ends far before 400
		case 800:
			info.ChangedArea = []types.DiskChangeExtent{areaOf(990, 10)}
		}
		return info, nil
	})
	areas := must[[]ivd.Extent](t)(v.ChangedAreas(t.Context(), ref, "s", "u/1", 1000))
	if !reflect.DeepEqual(*asked, []int64{0, 400, 800}) || !reflect.DeepEqual(areas, []ivd.Extent{{Offset: 10, Length: 20}, {Offset: 100, Length: 50}, {Offset: 990, Length: 10}}) {
		t.Errorf("asked from %v: %v", *asked, areas)
	}
	*asked = nil
	if areas := must[[]ivd.Extent](t)(v.ChangedAreas(t.Context(), ref, "s", "u/1", 0)); len(areas) != 0 || len(*asked) != 0 {
		t.Errorf("a disk of nothing: %v", areas)
	}
}

func TestAreasThatDoNotProceed(t *testing.T) {
	v, ref := oneDisk(t)
	for name, info := range map[string]types.DiskChangeInfo{
		"nothing covered": {StartOffset: 0, Length: 0},
		"negative":        {StartOffset: 0, Length: -5},
		"a gap":           {StartOffset: 500, Length: 500},
	} {
		asked := tracked(v, func(int64) (types.DiskChangeInfo, error) { return info, nil })
		_, err := v.ChangedAreas(t.Context(), ref, "s", "u/1", 1000)
		wantKind(t, name, err, ivd.Unsupported, string(ref.ID()))
		if len(*asked) != 1 {
			t.Errorf("%s: asked %d times", name, len(*asked))
		}
	}
}

// vSphere counts whole MiB, VDDK sectors: what vSphere does not know of counts as
// changed.
func TestTailBeyondWhatVSphereKnows(t *testing.T) {
	v, ref := oneDisk(t)
	tracked(v, func(offset int64) (types.DiskChangeInfo, error) {
		if offset > 0 {
			return types.DiskChangeInfo{}, refuse(types.InvalidArgument{InvalidProperty: "startOffset"})
		}
		return types.DiskChangeInfo{Length: 1000, ChangedArea: []types.DiskChangeExtent{areaOf(0, 1)}}, nil
	})
	areas := must[[]ivd.Extent](t)(v.ChangedAreas(t.Context(), ref, "s", "u/1", 1512))
	if !reflect.DeepEqual(areas, []ivd.Extent{{Offset: 0, Length: 1}, {Offset: 1000, Length: 512}}) {
		t.Errorf("%v", areas)
	}
}

func TestAreasThatVSphereCannotTell(t *testing.T) {
	v, ref := oneDisk(t)
	for _, c := range []struct {
		fault types.AnyType
		kind  ivd.Kind
	}{
		{types.InvalidArgument{InvalidProperty: "changeId"}, ivd.Conflict},
		{types.FileFault{}, ivd.Unsupported},
		{types.InvalidState{}, ivd.Unsupported},
		{types.NotSupported{}, ivd.Unsupported},
		{types.MethodNotFound{}, ivd.Unsupported},
		{types.NotFound{}, ivd.NotFound},
		{types.InvalidDatastore{}, ivd.NotFound},
		{types.SystemError{}, ivd.Transient},
		{types.NoPermission{PrivilegeId: "Datastore.FileManagement"}, ivd.Denied},
	} {
		tracked(v, func(int64) (types.DiskChangeInfo, error) { return types.DiskChangeInfo{}, refuse(c.fault) })
		_, err := v.ChangedAreas(t.Context(), ref, "s", "u/1", 1000)
		wantKind(t, typeName(c.fault), err, c.kind, string(ref.ID()), "u/1")
	}
}

func TestNoChangeIDIsNoError(t *testing.T) {
	v, ref := oneDisk(t)
	snap := must[ivd.SnapshotID](t)(v.CreateSnapshot(t.Context(), ref, "ours"))
	if id := must[ivd.ChangeID](t)(v.ChangeID(t.Context(), ref, snap)); id != "" { // the simulator knows no details
		t.Errorf("%q", id)
	}
	interpose(v, func(req, _ soap.HasFault) (bool, error) {
		return called(req) == "RetrieveSnapshotDetails", refuse(types.NotFound{})
	})
	_, err := v.ChangeID(t.Context(), ref, snap)
	wantKind(t, "no snapshot", err, ivd.NotFound, string(snap))
	wantKind(t, "control flags", v.EnableCBT(t.Context(), ref), ivd.Unsupported)
}

// A call about tracking that fails for a moment is made again; one that is not answered
// in time is not, since nobody needs the answer so much.
func TestCallsAboutTrackingAreMadeAgain(t *testing.T) {
	v, ref := oneDisk(t)
	for what, c := range map[string]struct {
		err  error
		want int
	}{
		"a fault that may pass": {refuse(types.SystemError{}), trackAgain.Attempts},
		"no permission":         {refuse(types.NoPermission{}), 1},
		"another series":        {refuse(types.InvalidArgument{}), 1},
		"no answer in time":     {context.DeadlineExceeded, 1},
	} {
		calls := map[string]int{}
		interpose(v, func(req, _ soap.HasFault) (bool, error) {
			calls[called(req)]++
			return true, c.err
		})
		_, changeErr := v.ChangeID(t.Context(), ref, "s")
		_, areasErr := v.ChangedAreas(t.Context(), ref, "s", "u/1", 1000)
		if changeErr == nil || areasErr == nil || v.EnableCBT(t.Context(), ref) == nil {
			t.Errorf("%s is no error", what)
		}
		for _, call := range []string{"RetrieveSnapshotDetails", "VstorageObjectVCenterQueryChangedDiskAreas", "SetVStorageObjectControlFlags"} {
			if calls[call] != c.want {
				t.Errorf("%s: %s was called %d times, want %d", what, call, calls[call], c.want)
			}
		}
	}
}

// Whoever asks for areas gets an answer, or is told that there is none: pages that cover
// next to nothing do not go on for ever, and areas without number are not kept.
func TestAreasWithoutEnd(t *testing.T) {
	v, ref := oneDisk(t)
	asked := tracked(v, func(offset int64) (types.DiskChangeInfo, error) {
		return types.DiskChangeInfo{StartOffset: offset, Length: 1}, nil
	})
	_, err := v.ChangedAreas(t.Context(), ref, "s", "u/1", 64*mib)
	wantKind(t, "a byte a page", err, ivd.Unsupported, "answers cover")
	if n := int64(len(*asked)); n != fewPages+64*mib/bytesPerPage {
		t.Errorf("asked %d times", n)
	}
	many := make([]types.DiskChangeExtent, 1<<20)
	for i := range many {
		many[i] = areaOf(int64(i), 1)
	}
	tracked(v, func(offset int64) (types.DiskChangeInfo, error) {
		return types.DiskChangeInfo{StartOffset: offset, Length: 1 << 20, ChangedArea: many}, nil
	})
	_, err = v.ChangedAreas(t.Context(), ref, "s", "u/1", 64*mib)
	wantKind(t, "areas without number", err, ivd.Unsupported, "more than")
}
