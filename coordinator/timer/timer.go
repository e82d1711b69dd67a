// Package timer does what has a schedule: each firing once among all coordinators on one
// queue, where a timer has one record that says which firing was claimed last.
//
// A firing is claimed by a compare-and-swap of that record. Who does its work counts a
// beat in it; where the beat stands still, another coordinator does the work again, and so
// does the next start of the same one. What fell due while no coordinator ran is done once,
// when one is back. A coordinator that may not do the work leaves it to others. The work
// must be safe to repeat, and beside itself: a coordinator that was cut off may still be
// at it when another one begins.
package timer

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"ivdmover/coordinator/schedule"
	"ivdmover/shared/ivd"
	"ivdmover/shared/pause"
	"ivdmover/shared/queue"
)

// Timer is work with a schedule.
type Timer struct {
	Name     string // a word: of its record, and in the log
	Schedule schedule.Schedule
	Delay    time.Duration // from a firing of the schedule to the work
	// Able says why this coordinator cannot do the work, which it then leaves to others; an
	// error that may heal is for now. It is asked at the start, and before a firing is
	// claimed. Nil: it can.
	Able func(context.Context) error
	// Do does the work. What a later try can heal is tried again.
	Do func(context.Context) error
}

// Deps are what timers need.
type Deps struct {
	State    *queue.Bucket
	Instance string           // names this coordinator; the same after a restart
	Now      func() time.Time // the clock that schedules go by
	Log      *slog.Logger
}

const (
	beatEvery   = 5 * time.Second
	silentOwner = 15 * time.Second // after which a firing is done again, by our own clock
	lookEvery   = time.Minute      // at the record, so that a clock that is set is noticed
	retryEvery  = 10 * time.Minute // after a failure that may heal
	ahead       = 24 * time.Hour   // what a clock may be
	ableEvery   = 10 * time.Minute // whether what hinders us still does
)

// Room runs timers.
type Room struct {
	Deps
	timers []*state
	start  string        // names this start of the coordinator
	beat   time.Duration // beatEvery
}

// state is what is known of a timer here.
type state struct {
	Timer

	mu    sync.Mutex
	why   error     // guarded by mu: why we cannot do its work
	asked time.Time // guarded by mu: when Able was asked

	seen  uint64    // the revision of its record that we saw last, owned by look
	since time.Time // when that was seen first
}

// New makes a room for timers, each with a name of its own.
func New(d Deps, timers ...Timer) *Room {
	r := &Room{Deps: d, start: uuid.NewString(), beat: beatEvery}
	for _, t := range timers {
		r.timers = append(r.timers, &state{Timer: t})
	}
	return r
}

// Serve runs the timers until ctx ends.
func (r *Room) Serve(ctx context.Context) {
	var all sync.WaitGroup
	for _, s := range r.timers {
		all.Go(func() {
			_, err := r.able(ctx, s)
			for wait := time.Duration(0); pause.For(ctx, wait) == nil; wait, err = r.look(ctx, s) {
				if err != nil && ctx.Err() == nil && ivd.KindOf(err) != ivd.Withheld { // of which the log has one line
					r.Log.Warn("looking at a timer failed; it is tried again", "timer", s.Name, "err", err)
				}
			}
		})
	}
	all.Wait()
}

// look claims a firing that is due and does its work, and says how long to wait before
// the next look.
func (r *Room) look(ctx context.Context, s *state) (wait time.Duration, err error) {
	rec, revision, err := r.read(ctx, s.Name)
	if ivd.KindOf(err) == ivd.NotFound { // what fell due before was nobody's
		_, err = r.State.Create(ctx, key(s.Name), Record{Version: version, Due: r.Now(), Ended: r.Now()})
		if ivd.KindOf(err) == ivd.Exists {
			err = nil
		}
		return min(lookEvery, r.until(s, r.Now())), err
	}
	if err != nil {
		return lookEvery, err
	}
	due := r.due(s, rec, revision)
	switch {
	case due.IsZero() && rec.UnderWay():
		return beatEvery, nil
	case due.IsZero():
		return min(lookEvery, r.until(s, rec.Due)), nil
	}
	if able, err := r.able(ctx, s); !able {
		return lookEvery, err
	}
	now := r.Now()
	claim := Record{Version: version, Due: due, Owner: r.Instance, Start: r.start, Beat: rec.Beat + 1, Began: now}
	revision, err = r.State.Update(ctx, key(s.Name), claim, revision)
	switch {
	case ivd.KindOf(err) == ivd.Conflict: // another one was faster
		return 0, nil
	case err != nil:
		return beatEvery, fmt.Errorf("claim what is due: %w", err)
	}
	s.work(ctx, r, claim, revision)
	return 0, nil
}

// due is the firing to claim: the newest that nobody has claimed, or one that was and is
// not done. The zero time: none.
func (r *Room) due(s *state, rec Record, revision uint64) time.Time {
	now := r.Now()
	newest, last := s.Schedule.Last(now.Add(-s.Delay)), rec.Due
	if last.After(now.Add(ahead)) { // claimed by a clock that was wrong
		last = time.Time{}
	}
	again := rec.Failure != nil && rec.Failure.Kind.Retry() && now.Sub(rec.Ended) >= retryEvery
	switch {
	case rec.UnderWay() && r.stands(s, rec, revision):
		return time.Time{}
	case newest.After(last):
		return newest
	case rec.UnderWay() || again:
		return last
	}
	return time.Time{}
}

// stands reports whether somebody is at the work, as far as we can see.
func (r *Room) stands(s *state, rec Record, revision uint64) bool {
	if rec.Owner == "" || rec.Owner == r.Instance && rec.Start != r.start {
		return false
	}
	if s.seen != revision {
		s.seen, s.since = revision, r.Now()
	}
	return r.Now().Sub(s.since) < silentOwner
}

// able reports whether we can do a timer's work, and tells when that changes. An error is
// for now.
func (r *Room) able(ctx context.Context, s *state) (bool, error) {
	if s.Able == nil {
		return true, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.why != nil && r.Now().Sub(s.asked) < ableEvery {
		return false, nil
	}
	why := s.Able(ctx)
	if ctx.Err() != nil || why != nil && ivd.KindOf(why).Retry() {
		return false, why
	}
	switch {
	case why != nil && (s.why == nil || s.why.Error() != why.Error()):
		r.Log.Warn("this coordinator leaves what has a schedule to others", "timer", s.Name, "err", why)
	case why == nil && s.why != nil:
		r.Log.Info("this coordinator does again what has a schedule", "timer", s.Name)
	}
	s.why, s.asked = why, r.Now()
	return why == nil, nil
}

// until is how long it is to the next firing after one.
func (r *Room) until(s *state, after time.Time) time.Duration {
	next := s.Schedule.Next(after)
	if next.IsZero() {
		return lookEvery
	}
	return max(0, next.Add(s.Delay).Sub(r.Now()))
}
