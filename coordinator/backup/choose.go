package backup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"ivdmover/coordinator/catalogue"
	"ivdmover/coordinator/inventory"
	"ivdmover/coordinator/policy"
	"ivdmover/shared/config"
	"ivdmover/shared/ivd"
)

// choose lists the estate and picks the request's disks. What cannot be listed
// keeps nobody from backing up the rest: it is told as left out, and makes the run
// a partial one.
func (w *Workflow) choose(ctx context.Context, q Request, p config.Policy) (chosen []inventory.Disk, left *ivd.Failure, err error) {
	if !q.All && q.Policy == "" && len(q.Disks) == 0 {
		return nil, nil, &ivd.Error{Kind: ivd.Invalid, Err: errors.New("nothing to back up was named"), Remedy: "give --all, --policy or --disk"}
	}
	sources, err := w.Sources.Only(q.VCenter)
	if err != nil {
		return nil, nil, err
	}
	c := chooser{request: q, policy: p, seen: map[catalogue.Disk]int{}}
	for _, v := range sources.All() {
		c.list(ctx, v)
		c.settleTwice(ctx, v)
		if ctx.Err() != nil {
			return nil, nil, context.Cause(ctx)
		}
	}
	if len(q.Disks) == 0 || len(c.wantedOf("")) > 0 { // else all are known to be elsewhere
		for _, a := range sources.Away() {
			c.unlisted = append(c.unlisted, a.Err)
		}
	}
	if len(q.Disks) > 0 {
		return c.chosen, leftOut(c.twice), cmp.Or(c.missing(), c.ambiguous(sources))
	}
	c.unlisted = append(c.unlisted, c.twice...)
	if len(c.chosen) == 0 && len(c.unlisted) > 0 {
		return nil, nil, fmt.Errorf("list the disks to back up: %w", errors.Join(c.unlisted...))
	}
	if len(c.chosen) == 0 {
		return nil, nil, &ivd.Error{Kind: ivd.NotFound, Err: errors.New("there is no disk to back up"), Remedy: "`ivd disks` lists them; look at the policy's select"}
	}
	return c.chosen, leftOut(c.unlisted), nil
}

// chooser collects the disks of a request.
type chooser struct {
	request  Request
	policy   config.Policy
	chosen   []inventory.Disk
	seen     map[catalogue.Disk]int // where each is in chosen
	again    []inventory.Disk       // that were listed once more, on another datastore
	unlisted []error                // of what could not be listed
	twice    []error                // of what is there twice
	ours     []error                // of what restores make
	missed   []missed               // that were listed and not found where they were
}

// missed is a disk that a datastore lists and does not find.
type missed struct {
	name catalogue.Disk
	err  error
}

func (c *chooser) list(ctx context.Context, v *inventory.VCenter) {
	wanted := c.wantedOf(v.Source())
	if len(c.request.Disks) > 0 && len(wanted) == 0 {
		return
	}
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
			c.listStore(ctx, v, d, wanted)
		}
	}
}

// listStore takes the wanted disks of a datastore; none is wanted: those that the
// policy selects.
func (c *chooser) listStore(ctx context.Context, v *inventory.VCenter, store inventory.Datastore, wanted []ivd.DiskID) {
	disks := v.DisksOf(ctx, store)
	if len(wanted) > 0 {
		disks = v.Some(ctx, store, wanted)
	}
	for d, err := range disks {
		if ivd.KindOf(err) == ivd.NotFound && d.Ref.ID() != "" { // it may be found elsewhere
			c.missed = append(c.missed, missed{catalogue.Disk{Source: d.Ref.Source(), ID: d.Ref.ID()}, err})
			continue
		}
		if err != nil {
			c.unlisted = append(c.unlisted, err)
			continue
		}
		if len(wanted) == 0 && !policy.Selects(c.policy, d.DatastoreName, d.Name) {
			continue
		}
		if err := d.Estate(); err != nil { // a policy passes it over, a person hears why
			c.ours = append(c.ours, err)
			continue
		}
		name := catalogue.Disk{Source: d.Ref.Source(), ID: d.Ref.ID()}
		if _, listed := c.seen[name]; listed {
			c.again = append(c.again, d)
			continue
		}
		c.seen[name] = len(c.chosen)
		c.chosen = append(c.chosen, d)
	}
}

// settleTwice looks at each disk of a source that was listed on two datastores. One that
// was relocated meanwhile is on the one only. Where both are there, an array has copied a
// datastore: a source has one disk of an id, so the other is not backed up, and it is said.
func (c *chooser) settleTwice(ctx context.Context, v *inventory.VCenter) {
	for _, d := range c.again {
		i := c.seen[catalogue.Disk{Source: d.Ref.Source(), ID: d.Ref.ID()}]
		first := c.chosen[i]
		if first.Ref == d.Ref {
			continue
		}
		_, err := v.Disk(ctx, first.Ref)
		if ivd.KindOf(err) == ivd.NotFound {
			c.chosen[i] = d
			continue
		}
		if _, err := v.Disk(ctx, d.Ref); ivd.KindOf(err) == ivd.NotFound {
			continue
		}
		c.twice = append(c.twice, &ivd.Error{
			Kind:   ivd.Unmet,
			Err:    fmt.Errorf("vCenter %s has disk %s twice, on datastore %s, which is backed up, and on %s, which is not", v.Name(), d.Ref.ID(), first.DatastoreName, d.DatastoreName),
			Remedy: "make a new disk of the copy: a disk is known by its id",
		})
	}
	c.again = nil
	for _, m := range c.missed {
		if _, found := c.seen[m.name]; !found {
			c.unlisted = append(c.unlisted, m.err)
		}
	}
	c.missed = nil
}

// ambiguous is an error where a disk that was asked for in any vCenter is in several.
func (c *chooser) ambiguous(sources *inventory.Sources) error {
	for _, asked := range c.request.Disks {
		var in []string
		for _, d := range c.chosen {
			if isAsked(asked, d) {
				in = append(in, sources.Label(d.Ref.Source()))
			}
		}
		if len(in) > 1 {
			return &ivd.Error{
				Kind: ivd.Unmet, Err: fmt.Errorf("disk %s is in the vCenters %s: an array has copied it", asked.ID, strings.Join(in, " and ")),
				Remedy: "give it as VCENTER/ID, or say which vCenter with --vcenter",
			}
		}
	}
	return nil
}

// wantedOf are the disks of a source that were asked for; of no source, those that may be
// of any.
func (c *chooser) wantedOf(source ivd.SourceID) (ids []ivd.DiskID) {
	for _, d := range c.request.Disks {
		if (d.Source == "" || d.Source == source) && !slices.Contains(ids, d.ID) {
			ids = append(ids, d.ID)
		}
	}
	return ids
}

func isAsked(asked catalogue.Disk, d inventory.Disk) bool {
	return asked.ID == d.Ref.ID() && (asked.Source == "" || asked.Source == d.Ref.Source())
}

// missing is an error where a disk that was asked for by its id was not found. That
// it is nowhere can be said only when all have answered.
func (c *chooser) missing() error {
	for _, asked := range c.request.Disks {
		id := asked.ID
		if slices.ContainsFunc(c.chosen, func(d inventory.Disk) bool { return isAsked(asked, d) }) {
			continue
		}
		if len(c.ours) > 0 {
			return c.ours[0]
		}
		if len(c.unlisted) > 0 {
			return fmt.Errorf("look for disk %s: %w", id, errors.Join(c.unlisted...))
		}
		return &ivd.Error{Kind: ivd.NotFound, Err: fmt.Errorf("no disk %s on any datastore", id), Remedy: "`ivd disks` lists them"}
	}
	return nil
}

// leftOut tells of what is not backed up.
func leftOut(reasons []error) *ivd.Failure {
	if len(reasons) == 0 {
		return nil
	}
	texts := make([]string, len(reasons))
	for i, err := range reasons {
		texts[i] = err.Error()
	}
	first := reasons[0]
	return &ivd.Failure{Kind: ivd.KindOf(first), Message: "left out: " + strings.Join(texts, "; "), Remedy: ivd.RemedyOf(first)}
}
