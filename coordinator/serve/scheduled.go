package serve

import (
	"cmp"
	"context"
	"time"

	"ivdmover/coordinator/api"
	"ivdmover/coordinator/schedule"
	"ivdmover/coordinator/timer"
	"ivdmover/shared/ivd"
)

// scheduleOf is the schedule that the configuration gives, in a zone that was looked up; the
// zero schedule: none.
func scheduleOf(text string, zone *time.Location, zoneErr error) (schedule.Schedule, error) {
	if zoneErr != nil || text == "" {
		return schedule.Schedule{}, nil // a zone that is none, the validators tell
	}
	return schedule.Parse(text, zone)
}

// scheduled is how a timer fares, as the API has it; nil where there is none of that name,
// or the queue does not answer.
func scheduled(ctx context.Context, room *timer.Room, name, text, zone string) *api.Scheduled {
	s, err := room.Status(ctx, name)
	if err != nil {
		return nil
	}
	moment := func(t time.Time) *time.Time {
		if t.IsZero() {
			return nil
		}
		t = t.UTC()
		return &t
	}
	shown := &api.Scheduled{Schedule: text, Timezone: cmp.Or(zone, time.UTC.String()), Next: moment(s.Next), Failure: s.Failure, Hindrance: ivd.FailureOf(s.Why)}
	if shown.Began = moment(s.Began); shown.Began != nil {
		shown.Ended = moment(s.Ended)
	}
	return shown
}
