package engine

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// shortAfter is how long there must be no mover before it is said: one that is
// replaced is there again sooner.
const shortAfter = 5 * time.Second

// shortage is for how long no mover has taken jobs, and why.
type shortage struct {
	mu     sync.Mutex
	since  time.Time // guarded by mu, like all below; zero: there are movers
	why    string    // empty: there are, or were just now
	logged bool
}

// text is why runs wait; empty: they do not.
func (s *shortage) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.why
}

// begin notes that no mover takes jobs, and reports whether that is to be said.
func (s *shortage) begin(now time.Time) (lasts bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.since.IsZero() {
		s.since = now
	}
	return now.Sub(s.since) >= shortAfter
}

// say sets the text, and reports whether it has changed.
func (s *shortage) say(why string) (changed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	changed, s.why = s.why != why, why
	return changed
}

// end notes that movers take jobs, and reports whether a line had said that none did.
func (s *shortage) end() (logged bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	logged, s.since, s.logged = s.logged, time.Time{}, false
	return logged
}

// log reports whether the line about it is due: once.
func (s *shortage) log() (due bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	due, s.logged = !s.logged, true
	return due
}

// moves is the kind of the run's jobs: which movers it needs.
func (d *driver) moves() job.Kind {
	if _, writes := d.workflow.(Guard); writes {
		return job.Restore
	}
	return job.Backup
}

// noteShortage has runs say that no mover takes jobs of a kind, once that has lasted, and
// the log while a run waits for that.
func (e *Engine) noteShortage(ctx context.Context, k job.Kind, handles int) error {
	short := e.short[k]
	if handles > 0 {
		if short.end() {
			e.Log.Info("movers take jobs again", "kind", k, "disks_at_once", handles)
		}
		e.tellShortage(k, "")
		return nil
	}
	if !short.begin(e.Now()) {
		return nil
	}
	why, err := e.Fleet.Shortage(ctx, k)
	if why == nil || err != nil {
		return err // one has come just now
	}
	text := why.Error()
	if remedy := ivd.RemedyOf(why); remedy != "" {
		text += "; " + remedy
	}
	waiting := e.tellShortage(k, text)
	if waiting > 0 && short.log() {
		e.Log.Warn("runs wait", "runs", waiting, "why", why, "remedy", ivd.RemedyOf(why))
	}
	return nil
}

// tellShortage has whoever watches a run see why it waits, and counts the runs of the
// kind that do.
func (e *Engine) tellShortage(k job.Kind, why string) (waiting int) {
	changed := e.short[k].say(why)
	e.mu.Lock()
	drivers := slices.Collect(maps.Values(e.drivers))
	e.mu.Unlock()
	for _, d := range drivers {
		if d.moves() != k {
			continue
		}
		d.mu.Lock()
		if d.sumLocked().Waiting != "" {
			waiting++
		}
		if changed {
			d.wakeLocked()
		}
		d.mu.Unlock()
	}
	return waiting
}
