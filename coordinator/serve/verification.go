package serve

import (
	"context"
	"log/slog"
	"time"

	"ivdmover/coordinator/api"
	"ivdmover/coordinator/schedule"
	"ivdmover/coordinator/timer"
	"ivdmover/shared/config"
	"ivdmover/shared/repo"
)

// verifying is the verification of packs that `ivd serve` does by its schedule.
type verifying struct {
	cfg  *config.Config
	repo *repo.Repository
	log  *slog.Logger
	do   func(context.Context) error
	room *timer.Room // that has its timer
}

// verifyTimer is the name of its timer.
const verifyTimer = "verification"

// verifySpread is how far after its schedule it begins, by its repository.
const verifySpread = 5 * time.Minute

// verifySchedule is when packs are verified; the zero schedule: never.
func verifySchedule(cfg *config.Config) (schedule.Schedule, error) {
	zone, err := cfg.Repository.Verify.Zone()
	return scheduleOf(cfg.Repository.Verify.Schedule, zone, err)
}

// timers are its timer, where it has a schedule.
func (v *verifying) timers() []timer.Timer {
	s, err := verifySchedule(v.cfg) // which was checked
	if err != nil || s.IsZero() {
		v.log.Info("no verification has a schedule: new packs are proven, and packs read again, by `ivd verify --packs` alone")
		return nil
	}
	return []timer.Timer{{Name: verifyTimer, Schedule: s, Delay: schedule.Jitter(verifySpread, v.repo.ID()), Do: v.do}}
}

// shown is how it fares, as the API has it; nil where there is no schedule, or the queue
// does not answer.
func (v *verifying) shown(ctx context.Context) *api.Scheduled {
	return scheduled(ctx, v.room, verifyTimer, v.cfg.Repository.Verify.Schedule, v.cfg.Repository.Verify.Timezone)
}
