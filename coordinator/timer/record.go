package timer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/queue"
)

// version is that of a record.
const version = 1

// Record is what the queue has of a timer.
type Record struct {
	Version int       `json:"version"`
	Due     time.Time `json:"due"`             // the firing that was claimed last, or when the timer was made
	Owner   string    `json:"owner,omitempty"` // the coordinator that does its work, or did; empty: it has let go of it
	Start   string    `json:"start,omitempty"` // of that coordinator
	Beat    uint64    `json:"beat"`            // counted up by the owner
	Began   time.Time `json:"began,omitzero"`
	Ended   time.Time `json:"ended,omitzero"`

	Failure *ivd.Failure `json:"failure,omitempty"` // of the work that has ended
}

// UnderWay reports whether the work was begun and has not ended.
func (r Record) UnderWay() bool { return r.Ended.IsZero() }

func key(name string) string { return "timer." + name }

func (r *Room) read(ctx context.Context, name string) (Record, uint64, error) {
	rec, revision, err := queue.Get[Record](ctx, r.State, key(name))
	if err == nil && rec.Version > version {
		err = &ivd.Error{Kind: ivd.Unsupported, Err: fmt.Errorf("the record of timer %s has version %d, this program knows %d", name, rec.Version, version), Remedy: "use the newer ivd that wrote it"}
	}
	return rec, revision, err
}

// Status is how a timer fares.
type Status struct {
	Record

	Next time.Time // when its work begins next; zero: it is not known when it was done last
	Why  error     // why this coordinator does not do it
}

// Status says how a timer of this room fares.
func (r *Room) Status(ctx context.Context, name string) (Status, error) {
	for _, s := range r.timers {
		if s.Name != name {
			continue
		}
		s.mu.Lock()
		st := Status{Why: s.why}
		s.mu.Unlock()
		var err error
		if st.Record, _, err = r.read(ctx, name); ivd.KindOf(err) == ivd.NotFound {
			return st, nil
		}
		if next := s.Schedule.Next(r.Now().Add(-s.Delay)); !next.IsZero() {
			st.Next = next.Add(s.Delay)
		}
		return st, err
	}
	return Status{}, ivd.Errorf(ivd.NotFound, "nothing that is called %s has a schedule here", name)
}

// errTaken ends work that another coordinator does.
var errTaken = &ivd.Error{Kind: ivd.Cancelled, Err: errors.New("another coordinator does it")}

// work does what was claimed, and records its end.
func (s *state) work(ctx context.Context, r *Room, rec Record, revision uint64) {
	doing, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	done := make(chan error, 1)
	go func() { done <- s.Do(doing) }()
	tick := time.NewTicker(r.beat)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			r.end(ctx, s, rec, revision, err)
			return
		case <-tick.C:
		}
		rec.Beat++
		next, err := r.update(doing, s, rec, revision)
		switch {
		case err == nil:
			revision = next
		case ivd.KindOf(err) == ivd.Conflict:
			stop(errTaken)
			r.Log.Warn("another coordinator does the work of a timer again, since this one was silent", "timer", s.Name, "err", <-done)
			return
		case doing.Err() == nil:
			r.Log.Debug("storing the beat of a timer failed", "timer", s.Name, "err", err)
		}
	}
}

// update stores a record that is still at revision. One that the queue has lost is made
// again.
func (r *Room) update(ctx context.Context, s *state, rec Record, revision uint64) (uint64, error) {
	next, err := r.State.Update(ctx, key(s.Name), rec, revision)
	if ivd.KindOf(err) != ivd.Conflict {
		return next, err
	}
	if _, _, lookErr := r.read(ctx, s.Name); ivd.KindOf(lookErr) != ivd.NotFound {
		return 0, err
	}
	return r.State.Create(ctx, key(s.Name), rec)
}

// letGo is how long the record of an end may take.
const letGo = 5 * time.Second

// end records how the work has ended. Where the coordinator ends, it lets go of the work,
// so that another one does it at once.
func (r *Room) end(ctx context.Context, s *state, rec Record, revision uint64, err error) {
	if err != nil && ctx.Err() != nil {
		rec.Owner, rec.Start = "", ""
	} else {
		rec.Ended, rec.Failure = r.Now(), ivd.FailureOf(err)
	}
	rec.Beat++
	if rec.Failure != nil {
		next := r.until(s, rec.Due)
		if rec.Failure.Kind.Retry() {
			next = min(next, retryEvery)
		}
		r.Log.Warn("the work of a timer failed", "timer", s.Name, "err", err, "next", r.Now().Add(next))
	}
	last, stop := context.WithTimeout(context.WithoutCancel(ctx), letGo)
	defer stop()
	if _, err := r.update(last, s, rec, revision); err != nil {
		r.Log.Warn("recording the end of a timer's work failed; it is done again", "timer", s.Name, "err", err)
	}
}
