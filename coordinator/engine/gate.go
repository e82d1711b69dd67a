package engine

import (
	"context"
	"slices"
	"sync"

	"ivdmover/coordinator/admit"
)

// gate is admission with memory: it keeps who waits and who is in, and asks admit
// who may come in next whenever something changes.
type gate struct {
	mu      sync.Mutex
	limits  admit.Limits // guarded by mu, like all below
	inside  []*entrant   // in the order of entry
	served  admit.Served // who has left, as long as others are under way
	waiting []*entrant   // in the order of arrival
}

// entrant is a group that waits or is in.
type entrant struct {
	admit.Want
	in chan struct{} // closed by the gate when admitted
}

func newGate(l admit.Limits) *gate { return &gate{limits: l, served: admit.Served{}} }

func (g *gate) setFleet(handles int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.limits.Fleet = admit.Fleet(handles)
	g.letIn()
}

// stalled reports whether groups wait and there is no mover for them.
func (g *gate) stalled() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.limits.Fleet == 0 && len(g.waiting) > 0
}

// enter waits until the group may start. Whoever was let in calls leave, once.
func (g *gate) enter(ctx context.Context, w admit.Want) (leave func(), err error) {
	x := &entrant{Want: w, in: make(chan struct{})}
	g.mu.Lock()
	g.waiting = append(g.waiting, x)
	g.letIn()
	g.mu.Unlock()

	select {
	case <-x.in:
		return func() { g.leave(x) }, nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	g.waiting = slices.DeleteFunc(g.waiting, func(o *entrant) bool { return o == x })
	g.mu.Unlock()
	select {
	case <-x.in: // let in at the last moment
		g.leave(x)
	default:
	}
	return nil, context.Cause(ctx)
}

// leave gives the group's tokens back. That it was served is remembered while others
// are under way: admit serves those next who were served least.
func (g *gate) leave(x *entrant) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside = slices.DeleteFunc(g.inside, func(o *entrant) bool { return o == x })
	g.served[admit.LineOf(x.Tokens)]++
	if len(g.inside) == 0 && len(g.waiting) == 0 {
		clear(g.served)
	}
	g.letIn()
}

// letIn admits whom it can. The caller holds mu.
func (g *gate) letIn() {
	if len(g.waiting) == 0 || len(g.inside) >= g.limits.Fleet {
		return
	}
	holding := make([]admit.Holding, len(g.inside))
	for i, x := range g.inside {
		holding[i] = x.Tokens
	}
	wants := make([]admit.Want, len(g.waiting))
	for i, x := range g.waiting {
		wants[i] = x.Want
	}
	started := admit.Next(g.limits, holding, g.served, wants)
	for _, i := range started {
		g.inside = append(g.inside, g.waiting[i])
		close(g.waiting[i].in)
	}
	slices.Sort(started)
	for _, i := range slices.Backward(started) {
		g.waiting = slices.Delete(g.waiting, i, i+1)
	}
}
