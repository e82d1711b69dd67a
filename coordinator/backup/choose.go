package backup

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"ivdmover/coordinator/inventory"
	"ivdmover/coordinator/policy"
	"ivdmover/shared/config"
	"ivdmover/shared/ivd"
)

// choose lists the estate and picks the request's disks. What cannot be listed
// keeps nobody from backing up the rest: it is told as left out, and makes the run
// a partial one.
func (w *Workflow) choose(ctx context.Context, q Request, p config.Policy) (chosen []inventory.Disk, leftOut *ivd.Failure, err error) {
	if !q.All && q.Policy == "" && len(q.Disks) == 0 {
		return nil, nil, &ivd.Error{Kind: ivd.Invalid, Err: errors.New("nothing to back up was named"), Remedy: "give --all, --policy or --disk"}
	}
	c := chooser{request: q, policy: p, seen: map[ivd.DiskID]bool{}}
	for _, source := range slices.Sorted(maps.Keys(w.Sources)) {
		c.list(ctx, w.Sources[source])
		if ctx.Err() != nil {
			return nil, nil, context.Cause(ctx)
		}
	}
	if len(q.Disks) > 0 {
		return c.chosen, nil, c.missing()
	}
	if len(c.chosen) == 0 && len(c.unlisted) > 0 {
		return nil, nil, fmt.Errorf("list the disks to back up: %w", errors.Join(c.unlisted...))
	}
	if len(c.chosen) == 0 {
		return nil, nil, &ivd.Error{Kind: ivd.Invalid, Err: errors.New("there is no disk to back up"), Remedy: "`ivd disks` lists them; look at the policy's select"}
	}
	return c.chosen, c.leftOut(), nil
}

// chooser collects the disks of a request.
type chooser struct {
	request  Request
	policy   config.Policy
	chosen   []inventory.Disk
	seen     map[ivd.DiskID]bool
	unlisted []error // of what could not be listed
}

func (c *chooser) list(ctx context.Context, v *inventory.VCenter) {
	stores, err := v.Datastores(ctx)
	if err != nil {
		c.unlisted = append(c.unlisted, err)
		return
	}
	for _, d := range stores {
		switch {
		case !policy.SelectsDatastore(c.policy, d.Name): // whether it can be listed is all one
		case !d.Accessible:
			c.unlisted = append(c.unlisted, ivd.Errorf(ivd.Transient, "datastore %s of vCenter %s is not accessible", d.Name, v.Name()))
		default:
			c.listStore(ctx, v, d)
		}
	}
}

func (c *chooser) listStore(ctx context.Context, v *inventory.VCenter, store inventory.Datastore) {
	for d, err := range v.DisksOf(ctx, store) {
		switch {
		case err != nil:
			c.unlisted = append(c.unlisted, err)
		case c.wants(d) && !c.seen[d.Ref.ID()]: // one that is relocated just now may be listed twice
			c.seen[d.Ref.ID()] = true
			c.chosen = append(c.chosen, d)
		}
	}
}

func (c *chooser) wants(d inventory.Disk) bool {
	if len(c.request.Disks) > 0 {
		return slices.Contains(c.request.Disks, d.Ref.ID())
	}
	return policy.Selects(c.policy, d.DatastoreName, d.Name)
}

// missing is an error where a disk that was asked for by its id was not found. That
// it is nowhere can be said only when all have answered.
func (c *chooser) missing() error {
	for _, id := range c.request.Disks {
		if c.seen[id] {
			continue
		}
		if len(c.unlisted) > 0 {
			return fmt.Errorf("look for disk %s: %w", id, errors.Join(c.unlisted...))
		}
		return &ivd.Error{Kind: ivd.NotFound, Err: fmt.Errorf("no disk %s on any datastore", id), Remedy: "`ivd disks` lists them"}
	}
	return nil
}

func (c *chooser) leftOut() *ivd.Failure {
	if len(c.unlisted) == 0 {
		return nil
	}
	texts := make([]string, len(c.unlisted))
	for i, err := range c.unlisted {
		texts[i] = err.Error()
	}
	first := c.unlisted[0]
	return &ivd.Failure{Kind: ivd.KindOf(first), Message: "left out: " + strings.Join(texts, "; "), Remedy: ivd.RemedyOf(first)}
}
