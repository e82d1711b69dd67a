// Package forget gives restore points up: those that a policy's rules do not keep, and
// those that a person names (COLLECT.md, P1).
//
// It promises that a point is given up only by a record beside it, and never the last good
// one of its disk, one that is pinned or held, or one that cannot be read; that whoever
// asks is told of each point by what it stays or why it goes; and that a policy without
// rules gives nothing up. It deletes nothing: a collection does. To ask again, after
// whatever has died, does what is left to be done.
package forget

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"ivdmover/coordinator/catalogue"
	"ivdmover/coordinator/news"
	"ivdmover/coordinator/policy"
	"ivdmover/coordinator/retain"
	"ivdmover/shared/config"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
)

// Room gives points of one repository up. Its methods are safe for concurrent use.
type Room struct {
	Repo      *repo.Repository
	Catalogue *catalogue.Catalogue
	Policies  []config.Policy
	Log       *slog.Logger
}

// Verdict is what becomes of a point.
type Verdict struct {
	catalogue.Point
	Stays     bool
	Reasons   []string // by what it stays, each; or the one why it goes
	Forgotten bool     // it was given up
}

// marksAtOnce is how many points are given up at once.
const marksAtOnce = 16

// ByPolicy says which of the points of some disks, or of all, a policy keeps: of each disk
// the newest first. Points that were given up before are left out.
func (r *Room) ByPolicy(ctx context.Context, name string, of ...catalogue.Disk) ([]Verdict, error) {
	verdicts, _, err := r.byPolicy(ctx, name, of)
	return verdicts, err
}

func (r *Room) byPolicy(ctx context.Context, name string, of []catalogue.Disk) ([]Verdict, []catalogue.Point, error) {
	rules, err := r.rules(name)
	if err != nil {
		return nil, nil, err
	}
	if len(of) == 0 {
		of = []catalogue.Disk{{}}
	}
	points, err := r.points(ctx, of)
	if err != nil {
		return nil, nil, err
	}
	return decide(points, func(points []retain.Point) []retain.Verdict { return retain.Decide(points, name, rules) }), points, nil
}

// Asked says of points that a person wants to give up whether they can be. Kind NotFound:
// one of them is not there.
func (r *Room) Asked(ctx context.Context, ids []ivd.PointID) ([]Verdict, error) {
	chosen := map[ivd.PointID]bool{}
	var of []catalogue.Disk
	for _, id := range ids {
		if d := (catalogue.Disk{Source: id.Source(), ID: id.Disk()}); !slices.Contains(of, d) {
			of = append(of, d)
		}
		chosen[id] = true
	}
	if len(ids) == 0 {
		return nil, nil
	}
	points, err := r.points(ctx, of)
	if err != nil {
		return nil, err
	}
	verdicts := decide(points, func(points []retain.Point) []retain.Verdict { return retain.Ask(points, chosen) })
	for _, p := range points {
		if p.GivenUp && chosen[p.ID] {
			verdicts = append(verdicts, Verdict{Point: p, Reasons: []string{"it was forgotten before: " + p.Beside.Forgotten.Reason}, Forgotten: true})
		}
	}
	for _, v := range verdicts {
		delete(chosen, v.ID)
	}
	for id := range chosen {
		return nil, &ivd.Error{Kind: ivd.NotFound, Err: fmt.Errorf("no restore point %s", id), Remedy: "`ivd points` lists them"}
	}
	return verdicts, nil
}

// Forget gives up those points that go, and says so in the verdicts. A point that was
// pinned or held meanwhile stays, and is said to.
func (r *Room) Forget(ctx context.Context, verdicts []Verdict, by format.Forgotten) error {
	if !slices.ContainsFunc(verdicts, Verdict.goes) {
		return nil
	}
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(marksAtOnce)
	for i := range verdicts {
		if v := &verdicts[i]; v.goes() {
			group.Go(func() error {
				mark := by
				mark.Point, mark.Reason = v.ID, strings.Join(v.Reasons, "; ")
				err := r.Repo.Forget(gctx, mark)
				v.Forgotten = err == nil
				return err
			})
		}
	}
	if err := group.Wait(); err != nil {
		return err
	}
	marks, err := r.Repo.Marks(ctx, repo.PointsOf{})
	if err != nil {
		return fmt.Errorf("look for pins that came meanwhile: %w", err)
	}
	for _, err := range marks.Ignored {
		r.Log.Warn("a mark beside a restore point has no effect", "err", err)
	}
	for i := range verdicts {
		v := &verdicts[i]
		if v.Beside = marks.Of(v.ID); v.Forgotten && v.Beside.Kept() != "" {
			v.Stays, v.Forgotten, v.Reasons = true, false, []string{v.Beside.Kept()}
		}
	}
	return nil
}

func (v Verdict) goes() bool { return !v.Stays && !v.Forgotten }

// AfterRun gives up what a policy does not keep of disks that a run of it has backed up,
// and tells which points these are. What was given up when this was tried before is among
// them. It gives nothing up where the policy keeps everything. Kind Denied: this process
// may not.
func (r *Room) AfterRun(ctx context.Context, name string, run ivd.RunID, of []catalogue.Disk) ([]ivd.PointID, error) {
	rules, err := r.rules(name)
	if err != nil || rules.Empty() || len(of) == 0 {
		return nil, err
	}
	if err := r.Repo.MayForget(); err != nil {
		return nil, err
	}
	verdicts, points, err := r.byPolicy(ctx, name, of)
	if err == nil {
		err = r.Forget(ctx, verdicts, format.Forgotten{Policy: name, Run: run})
	}
	var forgotten []ivd.PointID
	for _, v := range verdicts {
		if v.Forgotten {
			forgotten = append(forgotten, v.ID)
		}
	}
	for _, p := range points {
		if p.GivenUp && p.Beside.Forgotten.Run == run {
			forgotten = append(forgotten, p.ID)
		}
	}
	slices.Sort(forgotten)
	return forgotten, err
}

// Keeps reports whether the policy of that name gives anything up.
func (r *Room) Keeps(name string) bool {
	rules, err := r.rules(name)
	return err == nil && !rules.Empty()
}

func (r *Room) rules(name string) (retain.Rules, error) {
	p, err := policy.Named(r.Policies, name)
	if err != nil {
		return retain.Rules{}, err
	}
	return policy.Rules(p)
}

// points reads all points of some disks, with what is known of their damage: all of it,
// whatever it takes, where packs are retired.
func (r *Room) points(ctx context.Context, of []catalogue.Disk) ([]catalogue.Point, error) {
	var points []catalogue.Point
	for i, d := range of {
		news.Tell(ctx, "read the restore points of %d of %d disks", i, len(of))
		some, err := r.Catalogue.Points(ctx, d)
		if err != nil {
			return nil, err
		}
		points = append(points, some...)
	}
	if err := r.Catalogue.Mark(ctx, points, true); err != nil {
		return nil, err
	}
	catalogue.Settle(points)
	return points, nil
}

// decide has a disk's points decided about, disk by disk.
func decide(points []catalogue.Point, by func([]retain.Point) []retain.Verdict) []Verdict {
	whole := map[ivd.PointID]catalogue.Point{}
	disks := map[catalogue.Disk][]retain.Point{}
	var order []catalogue.Disk
	for _, p := range points {
		d := catalogue.Disk{Source: p.ID.Source(), ID: p.ID.Disk()}
		if disks[d] == nil {
			order = append(order, d)
		}
		whole[p.ID] = p
		disks[d] = append(disks[d], p.Retained())
	}
	var verdicts []Verdict
	for _, d := range order {
		for _, v := range by(disks[d]) {
			verdicts = append(verdicts, Verdict{Point: whole[v.ID], Stays: v.Stays, Reasons: v.Reasons})
		}
	}
	return verdicts
}
