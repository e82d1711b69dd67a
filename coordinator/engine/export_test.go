package engine

import (
	"context"
	"maps"
	"slices"

	"ivdmover/shared/ivd"
)

// What tests of whole coordinators see of an engine.

// SilentOwner and Beginning are how long tests let pass.
const (
	SilentOwner = silentOwner
	Beginning   = beginning
)

// WatchNothing lets runs begin and looks at nothing by itself. End ends it.
func (e *Engine) WatchNothing() (end func()) {
	life, cancel := context.WithCancelCause(context.Background())
	e.begin(life)
	e.gate.setFleet(4, 4)
	return func() { cancel(errShutdown); e.group.Wait() }
}

func (e *Engine) SetFleet(handles int)            { e.gate.setFleet(handles, handles) }
func (e *Engine) Prune(ctx context.Context) error { return e.prune(ctx) }
func (e *Engine) Start() string                   { return e.start }

// Adopt looks once for runs that nobody drives.
func (e *Engine) Adopt(ctx context.Context) error {
	runs, err := e.listRuns(ctx)
	if err != nil {
		return err
	}
	return e.adopt(ctx, slices.Collect(maps.Values(runs)))
}

// Drives reports whether the engine drives a run.
func (e *Engine) Drives(id ivd.RunID) bool { return e.find(id) != nil }

// Left is closed when the engine drives the run no more.
func (e *Engine) Left(id ivd.RunID) <-chan struct{} { return e.find(id).done }

// Beat is what the owner of a run does every few seconds.
func (e *Engine) Beat(ctx context.Context, id ivd.RunID) error {
	return e.find(id).update(ctx, func(r *Run) { r.Beat++ })
}

// Succeed has a run go on under another lease where that is due, as its owner does
// every few seconds.
func (e *Engine) Succeed(ctx context.Context, id ivd.RunID) error { return e.find(id).succeed(ctx) }

// SaveLate stores an item as an owner does that has read it before another one.
func (e *Engine) SaveLate(ctx context.Context, id ivd.RunID) error {
	items, _, err := e.readItems(ctx, id)
	if err != nil {
		return err
	}
	return taskOf(e.find(id), items[0].Item, items[0].rev-1).save(ctx, func(it *Item) { it.Step = Preparing })
}

// Stored is a run with its revision.
func (e *Engine) Stored(ctx context.Context, id ivd.RunID) (Run, uint64, error) {
	return e.getRun(ctx, id)
}

// StoredItem is an item with its revision.
func (e *Engine) StoredItem(ctx context.Context, id ivd.RunID, key ItemKey) (Item, uint64, error) {
	it, err := e.getItem(ctx, id, key)
	return it.Item, it.rev, err
}
