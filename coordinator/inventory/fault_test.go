package inventory

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"

	"github.com/vmware/govmomi/task"
	"github.com/vmware/govmomi/vim25/types"

	"ivdmover/shared/ivd"
)

func TestFaultsByName(t *testing.T) {
	ctx := t.Context()
	of := func(fault types.BaseMethodFault) error {
		return task.Error{LocalizedMethodFault: &types.LocalizedMethodFault{Fault: fault, LocalizedMessage: "told by vCenter"}}
	}
	vm := &types.ManagedObjectReference{Type: "Datastore", Value: "datastore-7"}
	for name, c := range map[string]struct {
		err   error
		kind  ivd.Kind
		parts []string
	}{
		"over the wire":  {refuse(types.NotFound{}), ivd.NotFound, []string{"do it: NotFound: no"}},
		"of a task":      {of(&types.NoDiskSpace{}), ivd.Full, []string{"NoDiskSpace: told by vCenter", "free space"}},
		"wrapped":        {fmt.Errorf("more: %w", of(&types.FileLocked{})), ivd.Locked, nil},
		"no permission":  {refuse(types.NoPermission{Object: vm, PrivilegeId: "Datastore.FileManagement"}), ivd.Denied, []string{"Datastore.FileManagement on datastore-7", "grant"}},
		"argument":       {refuse(types.InvalidArgument{InvalidProperty: "id"}), ivd.Invalid, []string{"(id)"}},
		"name":           {of(&types.DuplicateName{}), ivd.Exists, []string{"another name"}},
		"cause":          {of(&types.HotSnapshotMoveNotSupported{SnapshotCopyNotSupported: types.SnapshotCopyNotSupported{MigrationFault: types.MigrationFault{VimFault: types.VimFault{MethodFault: types.MethodFault{FaultCause: &types.LocalizedMethodFault{Fault: &types.NoDiskSpace{}}}}}}}), ivd.Full, []string{"HotSnapshotMoveNotSupported", "NoDiskSpace"}},
		"unknown":        {of(&types.HotSnapshotMoveNotSupported{}), ivd.Unknown, []string{"HotSnapshotMoveNotSupported: told"}},
		"already ours":   {ivd.Errorf(ivd.Corrupt, "bits"), ivd.Corrupt, []string{"do it: bits"}},
		"a call's limit": {context.DeadlineExceeded, ivd.Transient, nil},
		"no fault":       {errors.New("something"), ivd.Unknown, nil},
	} {
		wantKind(t, name, fail(ctx, "do it", c.err), c.kind, c.parts...)
	}
	if fail(ctx, "do it", nil) != nil {
		t.Error("nil is an error")
	}
	gone, cancel := context.WithCancel(ctx)
	cancel()
	wantKind(t, "cancelled", fail(gone, "do it", context.Canceled), ivd.Cancelled)
}

// A name that the API does not have would never match.
func TestMeaningsNameRealFaults(t *testing.T) {
	find := types.TypeFunc()
	base := reflect.TypeFor[types.BaseMethodFault]()
	for name := range meanings {
		typ, ok := find(name)
		if !ok {
			typ, ok = find("pbm:" + name)
		}
		if !ok || !reflect.PointerTo(typ).Implements(base) {
			if name != "VslmFault" { // of the catalogue's own namespace in some versions
				t.Errorf("%s is no fault of the API", name)
			}
		}
	}
}
