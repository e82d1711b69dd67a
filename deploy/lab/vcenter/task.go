package vcenter

import (
	"context"

	"github.com/google/uuid"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// task runs f as a task of the simulator's, which ends after the call that
// started it has been answered. Tasks run at once: the simulator runs those of one
// entity one after another, so each has an entity of its own.
func (v *VCenter) task(ctx *simulator.Context, name string, fault func(error) types.BaseMethodFault, f func(context.Context) (types.AnyType, error)) types.ManagedObjectReference {
	v.work.Add(1)
	entity := types.ManagedObjectReference{Type: own, Value: uuid.NewString()}
	return simulator.CreateTask(entity, name, func(*simulator.Task) (types.AnyType, types.BaseMethodFault) {
		defer v.work.Done()
		res, err := f(v.ctx)
		if err != nil {
			v.o.Log.Debug("task failed", "task", name, "err", err)
			return nil, fault(err)
		}
		return res, nil
	}).Run(ctx)
}
