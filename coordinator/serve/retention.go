package serve

import (
	"context"
	"log/slog"
	"slices"

	"ivdmover/coordinator/api"
	"ivdmover/coordinator/forget"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

// retention gives points up and keeps them, as the API asks for it.
type retention struct {
	*archive
	forget *forget.Room
}

// Forget gives points up, or says what would become of them.
func (r *retention) Forget(ctx context.Context, q api.ForgetRequest) ([]api.Verdict, error) {
	var verdicts []forget.Verdict
	var err error
	if q.Policy == "" {
		verdicts, err = r.forget.Asked(ctx, q.Points)
	} else {
		verdicts, err = r.forget.ByPolicy(ctx, q.Policy)
	}
	if err == nil && !q.DryRun {
		err = r.repo.MayForget()
	}
	if err != nil {
		return nil, err
	}
	if q.Policy != "" && len(q.Points) > 0 {
		verdicts = slices.DeleteFunc(verdicts, func(v forget.Verdict) bool { return !slices.Contains(q.Points, v.ID) })
	}
	if !q.DryRun {
		if err := r.forget.Forget(ctx, verdicts, format.Forgotten{Policy: q.Policy}); err != nil {
			return nil, err
		}
	}
	shown := make([]api.Verdict, len(verdicts))
	for i, v := range verdicts {
		p := r.point(v.Point)
		at, _ := v.Moment()
		shown[i] = api.Verdict{
			ID: p.ID, ShortID: p.ShortID, Source: p.Source, Disk: p.Disk, Name: p.Name, VCenter: p.VCenter, Time: at, Policy: p.Policy,
			Stays: v.Stays, Reasons: v.Reasons, Forgotten: v.Forgotten,
		}
	}
	return shown, nil
}

// Pin keeps a point whatever retention says.
func (r *retention) Pin(ctx context.Context, q api.KeepRequest) (api.Point, error) {
	return r.after(ctx, q.Point, r.repo.Pin(ctx, q.Point, q.Reason))
}

// Unpin takes a pin off.
func (r *retention) Unpin(ctx context.Context, q api.KeepRequest) (api.Point, error) {
	return r.after(ctx, q.Point, r.repo.Unpin(ctx, q.Point))
}

// Hold keeps a point until a day.
func (r *retention) Hold(ctx context.Context, q api.KeepRequest) (api.Point, error) {
	if q.Reason == "" || q.Until.IsZero() {
		return api.Point{}, ivd.Errorf(ivd.Invalid, "a hold has a reason and an end")
	}
	return r.after(ctx, q.Point, r.repo.Hold(ctx, q.Point, q.Until, q.Reason))
}

// Release ends a hold.
func (r *retention) Release(ctx context.Context, q api.KeepRequest) (api.Point, error) {
	if q.Reason == "" {
		return api.Point{}, ivd.Errorf(ivd.Invalid, "why the hold is released is not said")
	}
	return r.after(ctx, q.Point, r.repo.Release(ctx, q.Point, q.Reason))
}

// after is a point once something was done to it.
func (r *retention) after(ctx context.Context, id ivd.PointID, err error) (api.Point, error) {
	if err != nil {
		return api.Point{}, err
	}
	p, err := r.catalogue.Among(ctx, id)
	return r.point(p), err
}

// mayForget says at the start that policies which keep only some points keep all of them
// here, where this coordinator has no key for more.
func mayForget(f *forget.Room, log *slog.Logger) {
	err := f.Repo.MayForget()
	if err == nil {
		return
	}
	for _, p := range f.Policies {
		if f.Keeps(p.Name) {
			log.Warn("this coordinator backs up and forgets nothing: all points of the policy stay until `ivd forget` is run elsewhere", "policy", p.Name, "err", err)
		}
	}
}
