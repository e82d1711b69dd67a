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

	"ivdmover/coordinator/news"
	"ivdmover/shared/ivd"
	"ivdmover/shared/pause"
)

// beginAgain is the back-off for a task on a disk that is busy with another one:
// three quarters of a minute in all.
var beginAgain = pause.Backoff{
	First: time.Second / 2, Cap: 15 * time.Second, Attempts: 8,
	Retry: func(err error, _ int) bool { return busy(err) },
}

// askAgain is how often a task is asked for its state.
var askAgain = pause.Backoff{First: 20 * time.Millisecond, Cap: 2 * time.Second, Factor: 1.5}

// do has vCenter do a task and waits for its result. vSphere refuses a second
// task on a disk, with TaskInProgress or InvalidState: then it is begun again
// after a while. Any other fault is the answer. An error of kind Transient leaves
// open whether the task was done.
func (v *VCenter) do(ctx context.Context, op string, limit time.Duration, begin func(context.Context) (types.ManagedObjectReference, error)) (any, error) {
	news.Tell(ctx, "%s: waiting for its turn among the tasks of vCenter %s", op, v.Name())
	select {
	case v.tasks <- struct{}{}:
		defer func() { <-v.tasks }()
	case <-ctx.Done():
		return nil, fail(ctx, op, context.Cause(ctx))
	}
	whole := ctx
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	again := v.beginAgain
	again.Tell = func(err error, wait time.Duration) {
		v.log.Debug("the disk is busy", "doing", op, "fault", faultName(err), "again_in", wait)
	}
	var result any
	err := again.Do(ctx, func(ctx context.Context) error {
		ref, err := begin(ctx)
		if err == nil {
			result, err = v.await(ctx, op, ref)
		}
		return err
	})
	if err != nil {
		return nil, v.taskError(whole, op, limit, err)
	}
	return result, nil
}

func (v *VCenter) taskError(ctx context.Context, op string, limit time.Duration, err error) error {
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		err = ivd.Errorf(ivd.Transient, "not done after %s: vCenter may still do it", limit)
	}
	return fail(ctx, op, err)
}

// busy reports whether the disk was in use by another task.
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
func (v *VCenter) await(ctx context.Context, op string, ref types.ManagedObjectReference) (any, error) {
	for n := 1; ; n++ {
		var t mo.Task
		err := property.DefaultCollector(v.client()).RetrieveOne(ctx, ref, []string{"info"}, &t)
		switch {
		case err == nil:
			switch t.Info.State {
			case types.TaskInfoStateQueued:
				news.Tell(ctx, "%s: vCenter %s has queued it", op, v.Name())
			case types.TaskInfoStateRunning:
				news.Tell(ctx, "%s: vCenter %s is at it%s", op, v.Name(), percent(t.Info.Progress))
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
		if err := pause.For(ctx, askAgain.After(n)); err != nil {
			return nil, fmt.Errorf("wait: %w", err)
		}
	}
}

// percent is how far a task is, where vCenter tells it.
func percent(progress int32) string {
	if progress <= 0 {
		return ""
	}
	return fmt.Sprintf(", %d%%", progress)
}

// taskFault gives a task's fault its name where vCenter sent no text.
func taskFault(info types.TaskInfo) error {
	fault := *info.Error
	if fault.LocalizedMessage == "" {
		fault.LocalizedMessage = typeName(value(fault.Fault))
	}
	return task.Error{LocalizedMethodFault: &fault, Description: info.Description}
}
