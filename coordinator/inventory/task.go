package inventory

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/task"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"ivdmover/shared/ivd"
)

// taskTries is how often a task is begun while the disk is busy with another.
const taskTries = 8

// taskPause is how long to wait before beginning a task for the n-th time again:
// from half a second up to 15 s, three quarters of a minute in all.
func taskPause(n int) time.Duration {
	return min(time.Second/2<<min(n-1, 5), 15*time.Second)
}

// do has vCenter do a task and waits for its result. vSphere refuses a second
// task on a disk, with TaskInProgress or InvalidState: then it is begun again
// after a while. Any other fault is the answer. An error of kind Transient leaves
// open whether the task was done.
func (v *VCenter) do(ctx context.Context, op string, limit time.Duration, begin func(context.Context) (types.ManagedObjectReference, error)) (any, error) {
	select {
	case v.tasks <- struct{}{}:
		defer func() { <-v.tasks }()
	case <-ctx.Done():
		return nil, fail(ctx, op, context.Cause(ctx))
	}
	whole := ctx
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for n := 1; ; n++ {
		ref, err := begin(ctx)
		var result any
		if err == nil {
			result, err = v.await(ctx, ref)
		}
		if err == nil {
			return result, nil
		}
		if !busy(err) || n == taskTries {
			return nil, v.taskError(whole, op, limit, err)
		}
		v.log.Debug("the disk is busy: again in a while", "doing", op, "fault", faultName(err), "try", n)
		if err := sleep(ctx, v.pauses(n)); err != nil {
			return nil, v.taskError(whole, op, limit, err)
		}
	}
}

func (v *VCenter) taskError(ctx context.Context, op string, limit time.Duration, err error) error {
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		err = ivd.Errorf(ivd.Transient, "not done after %s: vCenter may still do it", limit)
	}
	return fail(ctx, op, err)
}

// busy tells whether the disk was in use by another task.
func busy(err error) bool {
	switch faultName(err) {
	case "TaskInProgress", "InvalidState", "ConcurrentAccess", "ResourceInUse", "FileLocked":
		return true
	}
	return false
}

// await asks for the task's state until it has ended. It asks, where govmomi
// would wait on a filter, since a filter dies with its session and a task does
// not: so a vCenter that is away for a moment is waited for.
func (v *VCenter) await(ctx context.Context, ref types.ManagedObjectReference) (any, error) {
	const first, last = 20 * time.Millisecond, 2 * time.Second
	for pause := first; ; pause = min(pause*3/2, last) {
		var t mo.Task
		err := property.DefaultCollector(v.client()).RetrieveOne(ctx, ref, []string{"info"}, &t)
		switch {
		case err == nil:
			switch t.Info.State {
			case types.TaskInfoStateSuccess:
				return t.Info.Result, nil
			case types.TaskInfoStateError:
				if t.Info.Error == nil {
					return nil, ivd.Errorf(ivd.Transient, "task %s failed without a fault", ref.Value)
				}
				return nil, taskFault(t.Info)
			}
		case faultName(err) == "ManagedObjectNotFound":
			return nil, ivd.Errorf(ivd.Transient, "vCenter has forgotten task %s: it may be done or not", ref.Value)
		case ctx.Err() != nil || ivd.KindOf(fail(ctx, "", err)) != ivd.Transient:
			return nil, err
		}
		if err := sleep(ctx, pause); err != nil {
			return nil, err
		}
	}
}

// taskFault gives a task's fault its name where vCenter sent no text.
func taskFault(info types.TaskInfo) error {
	fault := *info.Error
	if fault.LocalizedMessage == "" {
		fault.LocalizedMessage = typeName(value(fault.Fault))
	}
	return task.Error{LocalizedMethodFault: &fault, Description: info.Description}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait: %w", context.Cause(ctx))
	}
}
