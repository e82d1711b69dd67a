package inventory

import (
	"context"
	"time"

	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/vim25/types"

	"ivdmover/shared/ivd"
	"ivdmover/shared/pause"
)

// readAgain is the back-off for a question that did not get through: a list is not
// given up for one answer that was lost.
var readAgain = pause.Backoff{First: 250 * time.Millisecond, Cap: 2 * time.Second, Jitter: 0.5, Attempts: 3}

// each asks for properties of several objects: of all at once and, where one of them
// spoils that answer, of one after the other. Objects that are gone are left out; sick
// are those that vSphere does not tell of, each with why. T is an object of package mo.
func each[T any](ctx context.Context, v *VCenter, op string, refs []types.ManagedObjectReference, properties []string) (found []T, sick map[types.ManagedObjectReference]error, err error) {
	if len(refs) == 0 {
		return nil, nil, nil
	}
	collector := property.DefaultCollector(v.client())
	spoilt := false
	err = v.readAgain.Do(ctx, func(ctx context.Context) error {
		found = nil
		err := collector.Retrieve(ctx, refs, properties, &found)
		spoilt = vimFault(err) != nil
		return fail(ctx, op, err)
	})
	if err == nil || !spoilt || ctx.Err() != nil {
		return found, nil, err
	}
	found, sick = nil, map[types.ManagedObjectReference]error{}
	for _, ref := range refs {
		var one []T
		err := fail(ctx, op+": "+ref.Value, collector.Retrieve(ctx, []types.ManagedObjectReference{ref}, properties, &one))
		switch {
		case ctx.Err() != nil:
			return nil, nil, err
		case err == nil:
			found = append(found, one...)
		case ivd.KindOf(err) != ivd.NotFound:
			sick[ref] = err
		}
	}
	return found, sick, nil
}
