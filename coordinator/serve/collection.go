package serve

import (
	"context"
	"log/slog"
	"time"

	"ivdmover/coordinator/api"
	"ivdmover/coordinator/collect"
	"ivdmover/coordinator/heads"
	"ivdmover/coordinator/keyring"
	"ivdmover/coordinator/schedule"
	"ivdmover/coordinator/timer"
	"ivdmover/shared/config"
	"ivdmover/shared/repo"
	"ivdmover/shared/store/open"
	"ivdmover/shared/telemetry"
)

// collecting is the collection that `ivd serve` does by its schedule.
type collecting struct {
	cfg   *config.Config
	repo  *repo.Repository // the coordinator's
	heads *heads.Keeper
	log   *slog.Logger
	room  *timer.Room // that has its timer
}

// collectTimer is the name of its timer.
const collectTimer = "collection"

// collectSpread is how far after its schedule a collection begins, by its repository: many
// of them at one service do not begin in one moment.
const collectSpread = 5 * time.Minute

// collectSchedule is when collections are done; the zero schedule: never.
func collectSchedule(cfg *config.Config) (schedule.Schedule, error) {
	zone, err := cfg.Collect.Zone()
	return scheduleOf(cfg.Collect.Schedule, zone, err)
}

// timers are its timer, where it has a schedule.
func (c *collecting) timers() []timer.Timer {
	s, err := collectSchedule(c.cfg) // which was checked
	if err != nil || s.IsZero() {
		c.log.Info("no collection has a schedule: what no restore point names takes space until `ivd collect` is run")
		return nil
	}
	return []timer.Timer{{
		Name: collectTimer, Schedule: s, Delay: schedule.Jitter(collectSpread, c.repo.ID()),
		Able: func(ctx context.Context) error {
			room, err := c.collector(ctx)
			if err != nil {
				return err
			}
			return room.Able(ctx)
		},
		Do: c.collect,
	}}
}

// collector is one with the credentials that may delete.
func (c *collecting) collector(ctx context.Context) (*collect.Collector, error) {
	r := c.repo
	if c.cfg.Collect.CredentialsFile != "" {
		st, err := open.Open(ctx, c.cfg.ToCollect())
		if err != nil {
			return nil, err
		}
		if r, err = keyring.Open(ctx, st, c.cfg.Repository, keyring.Options{Log: c.log}); err != nil {
			return nil, err
		}
	}
	o := collect.Options{MinAge: c.cfg.Collect.MinAge.Std(), MaxShare: float64(c.cfg.Collect.MaxShare) / 100, Log: c.log}
	return collect.New(r, o), nil
}

// collect collects once. What was brought back to an earlier state names too little: then
// nothing is collected.
func (c *collecting) collect(ctx context.Context) error {
	if err := c.heads.Check(ctx); err != nil {
		return err
	}
	room, err := c.collector(ctx)
	if err != nil {
		return err
	}
	rep, err := room.Collect(ctx)
	if err != nil {
		return err
	}
	tellCollected(c.log, rep)
	return nil
}

// tellCollected tells what a collection has done, and what a person is to look at.
func tellCollected(log *slog.Logger, rep collect.Report) {
	waits := 0
	for _, l := range rep.Lists {
		waits += len(l.Waiting)
	}
	log.Info("collected", "condemned_points", rep.Condemned.Points, "condemned_packs", rep.Condemned.Packs, "condemned_bytes", telemetry.Bytes(rep.Bytes),
		"deleted_points", rep.Deleted.Points, "deleted_packs", rep.Deleted.Packs, "waits_for_leases", waits)
	if rep.VersionsKept != "" {
		log.Warn("older versions of what was deleted are kept, and take their space", "why", rep.VersionsKept)
	}
	for _, why := range rep.Ignored {
		log.Warn("a mark beside a restore point has no effect", "why", why, "remedy", "find out who stored it; what it was to keep is pinned or held again by `ivd pin` or `ivd hold`")
	}
}

// shown is how it fares, as the API has it; nil where there is no schedule, or the queue
// does not answer.
func (c *collecting) shown(ctx context.Context) *api.Scheduled {
	return scheduled(ctx, c.room, collectTimer, c.cfg.Collect.Schedule, c.cfg.Collect.Timezone)
}
