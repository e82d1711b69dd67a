package vcenter

import (
	"errors"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"ivdmover/deploy/lab/disk"
	"ivdmover/shared/ivd"
)

// faultOf makes the fault that vSphere would answer of an error, its text kept in
// the fault's messages.
func faultOf(err error) types.BaseMethodFault {
	f := bareFault(err)
	f.GetMethodFault().FaultMessage = []types.LocalizableMessage{{Key: "laboratory", Message: err.Error()}}
	return f
}

func bareFault(err error) types.BaseMethodFault {
	var bad *badDatastore
	switch {
	case errors.As(err, &bad):
		return &types.InvalidDatastore{Datastore: &bad.ref}
	case errors.Is(err, disk.ErrRange):
		return &types.InvalidArgument{InvalidProperty: "startOffset"}
	case errors.Is(err, disk.ErrChangeID):
		return &types.InvalidArgument{InvalidProperty: "changeId"}
	case errors.Is(err, disk.ErrUntracked):
		return &types.FileFault{}
	}
	switch ivd.KindOf(err) {
	case ivd.NotFound:
		return &types.NotFound{}
	case ivd.Exists:
		return &types.AlreadyExists{}
	case ivd.Invalid:
		return &types.InvalidArgument{}
	case ivd.Conflict:
		return &types.InvalidState{}
	case ivd.Locked:
		return &types.TaskInProgress{}
	case ivd.Unsupported:
		return &types.GenericVmConfigFault{Reason: err.Error()}
	case ivd.Cancelled:
		return &types.RequestCanceled{}
	}
	return &types.SystemError{Reason: err.Error()}
}

// snapshotFault differs in what a busy disk answers: vSphere's snapshot tasks say
// InvalidState.
func snapshotFault(err error) types.BaseMethodFault {
	if ivd.KindOf(err) != ivd.Locked {
		return faultOf(err)
	}
	f := &types.InvalidState{}
	f.FaultMessage = []types.LocalizableMessage{{Key: "laboratory", Message: err.Error()}}
	return f
}

func soapFault(err error) *soap.Fault { return simulator.Fault(err.Error(), faultOf(err)) }

// badDatastore is what a datastore answers that is not there.
type badDatastore struct{ ref types.ManagedObjectReference }

func (b *badDatastore) Error() string { return "no datastore " + b.ref.Value }
