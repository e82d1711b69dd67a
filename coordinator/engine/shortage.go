package engine

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"ivdmover/shared/ivd"
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

// noteShortage has runs say that no mover takes jobs, once that has lasted, and the log
// while a run waits for that.
func (e *Engine) noteShortage(ctx context.Context, handles int) error {
	if handles > 0 {
		if e.short.end() {
			e.Log.Info("movers take jobs again", "disks_at_once", handles)
		}
		e.tellShortage("")
		return nil
	}
	if !e.short.begin(e.Now()) {
		return nil
	}
	why, err := e.Fleet.Shortage(ctx)
	if why == nil || err != nil {
		return err // one has come just now
	}
	text := why.Error()
	if remedy := ivd.RemedyOf(why); remedy != "" {
		text += "; " + remedy
	}
	waiting := e.tellShortage(text)
	if waiting > 0 && e.short.log() {
		e.Log.Warn("runs wait", "runs", waiting, "why", why, "remedy", ivd.RemedyOf(why))
	}
	return nil
}

// tellShortage has whoever watches a run see why it waits, and counts the runs that do.
func (e *Engine) tellShortage(why string) (waiting int) {
	changed := e.short.say(why)
	e.mu.Lock()
	drivers := slices.Collect(maps.Values(e.drivers))
	e.mu.Unlock()
	for _, d := range drivers {
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
