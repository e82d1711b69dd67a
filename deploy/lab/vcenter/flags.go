package vcenter

import (
	"context"

	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"ivdmover/deploy/lab/estate"
	"ivdmover/shared/ivd"
)

// SetVStorageObjectControlFlags turns flags on; others stay as they are.
func (m *manager) SetVStorageObjectControlFlags(req *types.SetVStorageObjectControlFlags) soap.HasFault {
	body := new(methods.SetVStorageObjectControlFlagsBody)
	if err := m.flags(req.Datastore, req.Id, req.ControlFlags, true); err != nil {
		body.Fault_ = soapFault(err)
		return body
	}
	body.Res = new(types.SetVStorageObjectControlFlagsResponse)
	return body
}

// ClearVStorageObjectControlFlags turns flags off; others stay as they are.
func (m *manager) ClearVStorageObjectControlFlags(req *types.ClearVStorageObjectControlFlags) soap.HasFault {
	body := new(methods.ClearVStorageObjectControlFlagsBody)
	if err := m.flags(req.Datastore, req.Id, req.ControlFlags, false); err != nil {
		body.Fault_ = soapFault(err)
		return body
	}
	body.Res = new(types.ClearVStorageObjectControlFlagsResponse)
	return body
}

func (m *manager) flags(datastore types.ManagedObjectReference, id types.ID, flags []string, on bool) error {
	d, err := m.find(datastore, id)
	if err != nil {
		return err
	}
	var changes []func(context.Context) error
	for _, f := range flags {
		switch types.VslmVStorageObjectControlFlag(f) {
		case types.VslmVStorageObjectControlFlagEnableChangedBlockTracking:
			changes = append(changes, func(ctx context.Context) error {
				return m.v.o.Estate.TrackChanges(ctx, d.Datastore, d.ID, on)
			})
		case types.VslmVStorageObjectControlFlagKeepAfterDeleteVm:
			changes = append(changes, m.change(d, func(d *estate.Disk) { d.KeepAfterDeleteVM = on }))
		case types.VslmVStorageObjectControlFlagDisableRelocation:
			changes = append(changes, m.change(d, func(d *estate.Disk) { d.RelocationDisabled = on }))
		default:
			return ivd.Errorf(ivd.Invalid, "unknown control flag %q", f)
		}
	}
	for _, change := range changes {
		if err := change(m.v.ctx); err != nil {
			return err
		}
	}
	return nil
}

func (m *manager) change(d estate.Disk, f func(*estate.Disk)) func(context.Context) error {
	return func(ctx context.Context) error { return m.v.o.Estate.Change(ctx, d.Datastore, d.ID, f) }
}

// RenameVStorageObject gives a disk another name. Names need not differ.
func (m *manager) RenameVStorageObject(req *types.RenameVStorageObject) soap.HasFault {
	body := new(methods.RenameVStorageObjectBody)
	d, err := m.find(req.Datastore, req.Id)
	if err == nil && req.Name == "" {
		err = ivd.Errorf(ivd.Invalid, "a disk needs a name")
	}
	if err == nil {
		err = m.change(d, func(d *estate.Disk) { d.Name = req.Name })(m.v.ctx)
	}
	if err != nil {
		body.Fault_ = soapFault(err)
		return body
	}
	body.Res = new(types.RenameVStorageObjectResponse)
	return body
}
