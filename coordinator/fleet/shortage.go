package fleet

import (
	"context"
	"fmt"
	"strings"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// gone is the mover whose heartbeat went last.
type gone struct {
	mover  job.Mover
	at     time.Time
	silent bool // it fell silent before; else it left in order
}

// Shortage returns why no mover takes jobs of a kind, with what is known of those that
// did; nil while one does. Its text changes only when they do.
func (f *Fleet) Shortage(ctx context.Context, k job.Kind) (error, error) {
	movers, err := f.standing.All(ctx)
	if err != nil {
		return nil, err
	}
	connected, notes := 0, []string(nil)
	what, remedy := "jobs", "start ivd-mover, or look at its log"
	for i, silent := range f.silence(movers) {
		m := movers[i]
		switch {
		case m.Ended != "":
			notes = append(notes, ended(m))
		case silent > SilentMover:
			notes = append(notes, fmt.Sprintf("mover %s on host %s has fallen silent", m.Name, m.Host))
		case m.Hangs:
			connected++
			notes = append(notes, fmt.Sprintf("mover %s on host %s hangs in opening a disk and takes nothing new", m.Name, m.Host))
		case m.Draining:
			connected++
			notes = append(notes, fmt.Sprintf("mover %s on host %s finishes what it has and takes nothing new", m.Name, m.Host))
		case m.Waits != "":
			connected++
			notes = append(notes, fmt.Sprintf("mover %s on host %s waits for %s", m.Name, m.Host, m.Waits))
		case m.Handles == 0:
			connected++
			notes = append(notes, fmt.Sprintf("mover %s on host %s can open no disk", m.Name, m.Host))
		case !m.Takes(k):
			connected++
			what, remedy = "restores", "start a mover whose VDDK can write and that may use nbdssl or hotadd, or look at `ivd movers`"
			notes = append(notes, fmt.Sprintf("mover %s on host %s cannot write: %s", m.Name, m.Host, m.NoRestore))
		default:
			return nil, nil
		}
	}
	if len(notes) == 0 {
		notes = f.lastGone()
	}
	return &ivd.Error{
		Kind: ivd.Transient, Err: fmt.Errorf("no mover takes %s: %s", what, strings.Join(append([]string{fmt.Sprintf("%d are connected", connected)}, notes...), "; ")),
		Remedy: remedy,
	}, nil
}

// ended says with which error a mover has ended.
func ended(m job.Mover) string {
	return fmt.Sprintf("mover %s on host %s has ended: %s", m.Name, m.Host, m.Ended)
}

// lastGone says of the mover that went last how it did.
func (f *Fleet) lastGone() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	g := f.gone
	if g.at.IsZero() {
		return nil
	}
	if g.mover.Ended != "" {
		return []string{ended(g.mover)}
	}
	how := "ended"
	if g.silent {
		how = "fell silent"
	}
	return []string{fmt.Sprintf("mover %s on host %s %s at %s", g.mover.Name, g.mover.Host, how, g.at.UTC().Format("2006-01-02 15:04:05 UTC"))}
}

// missLocked notes which mover is no longer among those that are seen now.
func (f *Fleet) missLocked(now time.Time, seen map[string]pulse) {
	for name, p := range f.beats {
		if _, there := seen[name]; there {
			continue
		}
		g := gone{mover: p.mover, at: now}
		if now.Sub(p.since) > SilentMover {
			g.at, g.silent = p.since, true
		}
		if g.at.After(f.gone.at) {
			f.gone = g
		}
	}
}
