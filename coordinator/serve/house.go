package serve

import (
	"context"
	"log/slog"
	"path/filepath"
	"slices"

	"ivdmover/coordinator/backup"
	"ivdmover/coordinator/catalogue"
	"ivdmover/coordinator/custody"
	"ivdmover/coordinator/engine"
	"ivdmover/coordinator/examine"
	"ivdmover/coordinator/fleet"
	"ivdmover/coordinator/forget"
	"ivdmover/coordinator/heads"
	"ivdmover/coordinator/inventory"
	"ivdmover/coordinator/ledger"
	"ivdmover/coordinator/login"
	"ivdmover/coordinator/restore"
	"ivdmover/coordinator/timer"
	"ivdmover/coordinator/verify"
	"ivdmover/coordinator/witness"
	"ivdmover/shared/config"
	"ivdmover/shared/queue"
	"ivdmover/shared/repo"
)

// house is the rooms that work on runs, each with what it needs.
type house struct {
	queue   *queue.Queue
	log     *slog.Logger
	sources *inventory.Sources
	limits  map[string]config.Limits // by the vCenters' names
	fleet   crew
	engine  *engine.Engine
	backup  *backup.Workflow
	restore *restore.Workflow
	verify  *verify.Workflow
	logins  *login.Desk
	keys    *custody.Desk
	doctors *examine.Room
	heads   *heads.Keeper
	points  *catalogue.Catalogue
	forget  *forget.Room

	collecting *collecting
	verifying  *verifying
	timers     *timer.Room // what has a schedule

	begun chan struct{} // closed when all is answered, or could not be
	err   error         // set before begun is closed
}

func newHouse(instance string, q *queue.Queue, r *repo.Repository, sources *inventory.Sources, cfg *config.Config, movers *localMovers, log *slog.Logger) *house {
	h := &house{queue: q, log: log, sources: sources, limits: map[string]config.Limits{}, fleet: crew{fleet.New(q, nil), movers}, begun: make(chan struct{})}
	for _, c := range cfg.VCenters {
		h.limits[c.Name] = c.Limits
	}
	h.heads = heads.Open(cfg.StateDir, r, instance, log)
	l := ledger.New(q.State(), log, nil)
	h.points = catalogue.Open(r, catalogue.File(cfg.StateDir, r.Info().ID), log)
	h.forget = &forget.Room{Repo: r, Catalogue: h.points, Policies: cfg.Policies, Log: log}
	h.backup = backup.New(backup.Deps{
		Repo: r, Runs: h.heads, Sources: sources, Policies: cfg.Policies, Ledger: l, Fleet: h.fleet, SnapshotAge: h.snapshotAge, Retention: h.forget, Log: log,
	})
	h.restore = restore.New(restore.Deps{Repo: r, Runs: h.heads, Sources: sources, Ledger: l, Fleet: h.fleet, Log: log})
	h.verify = verify.New(verify.Deps{
		Repo: r, Runs: h.heads, Catalogue: h.points, Fleet: h.fleet, NewPacks: cfg.Repository.Verify.NewPacks.Std(), Every: cfg.Repository.Verify.Every.Std(), Log: log,
	})
	h.doctors = examine.New(examine.Deps{
		Sources: sources, Ledger: l, Fleet: h.fleet, Leases: r, Here: backup.Here(r), Silent: fleet.SilentMover, Instance: instance,
		SnapshotAge: h.snapshotAge, Log: log,
	})
	h.engine = engine.New(engine.Deps{
		Queue: q, Leases: heads.Guard{Repository: r, Keeper: h.heads}, Ledger: l, Fleet: h.fleet, Witness: witness.At(filepath.Join(cfg.StateDir, "under-way")),
		Workflows: map[engine.Kind]engine.Workflow{backup.Kind: h.backup, restore.Kind: h.restore, verify.Kind: h.verify},
		Instance:  instance, Log: log,
	})
	for _, v := range sources.All() {
		h.limit(v)
	}
	h.logins = &login.Desk{Sources: sources, Runs: h.engine, Fleet: h.fleet, Log: log}
	h.keys = &custody.Desk{Repo: r, Fleet: h.fleet, Runs: h.engine, Log: log}
	h.collecting = &collecting{cfg: cfg, repo: r, heads: h.heads, log: log}
	h.verifying = &verifying{cfg: cfg, repo: r, log: log, do: func(ctx context.Context) error { return h.verify.Turn(ctx, h.engine) }}
	h.timers = timer.New(timer.Deps{State: q.State(), Instance: instance, Now: r.Now, Log: log}, append(h.collecting.timers(), h.verifying.timers()...)...)
	h.collecting.room, h.verifying.room = h.timers, h.timers
	return h
}

// serve answers movers and doctors and drives runs until ctx ends.
func (h *house) serve(ctx context.Context) error {
	stop, err := await(ctx, start{h.log, func(string, error) {}}, "the queue", h.answer)
	h.err = err
	close(h.begun)
	if err != nil {
		return err
	}
	defer stop()
	checked := make(chan struct{})
	go func() {
		defer close(checked)
		_ = h.heads.Check(ctx) // it tells the log, and is asked again before each run
	}()
	h.engine.Serve(ctx)
	<-checked
	return nil
}

// answer answers what is asked over the queue until stop is called.
func (h *house) answer(ctx context.Context) (stop func(), err error) {
	var stops []func()
	stop = func() {
		for _, end := range slices.Backward(stops) {
			end()
		}
	}
	for _, serve := range []func() (func(), error){
		func() (func(), error) { return h.logins.Serve(ctx, h.queue, h.sources.All()...) },
		func() (func(), error) { return h.keys.Serve(ctx, h.queue) },
		func() (func(), error) { return h.doctors.Serve(ctx, h.queue) },
	} {
		end, err := serve()
		if err != nil {
			stop()
			return nil, err
		}
		stops = append(stops, end)
	}
	return stop, nil
}

// serving waits until movers and doctors are answered and runs can begin.
func (h *house) serving(ctx context.Context) error {
	select {
	case <-h.begun:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if h.err != nil {
		return h.err
	}
	return h.engine.Serving(ctx)
}
