package run

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
	limits  admit.Limits    // guarded by mu, like all below
	inside  []admit.Holding // in the order of entry
	held    int             // of them, those that are not done
	waiting []*wait         // in the order of arrival
}

// keptDone bounds how many disks that are done are remembered, however long the
// gate is never idle.
const keptDone = 4096

type wait struct {
	admit.Want
	in chan struct{} // closed by the gate when admitted
}

func newGate(l admit.Limits) *gate { return &gate{limits: l} }

func (g *gate) setFleet(handles int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.limits.Fleet = admit.Fleet(handles)
	g.letIn()
}

// stalled tells whether disks wait and there is no mover for them.
func (g *gate) stalled() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.limits.Fleet == 0 && len(g.waiting) > 0
}

// enter waits until the disk may start. Whoever was let in calls leave, once.
func (g *gate) enter(ctx context.Context, w admit.Want) (leave func(), err error) {
	x := &wait{Want: w, in: make(chan struct{})}
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
	g.waiting = slices.DeleteFunc(g.waiting, func(o *wait) bool { return o == x })
	g.mu.Unlock()
	select {
	case <-x.in: // let in at the last moment
		g.leave(x)
	default:
	}
	return nil, context.Cause(ctx)
}

// leave gives the disk's tokens back. It stays known as done while others are
// under way: admit serves those next who were served least.
func (g *gate) leave(x *wait) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := range g.inside {
		h := &g.inside[i]
		if h.Ref == x.Ref && !h.Done {
			h.Done = true
			g.held--
			break
		}
	}
	switch done := len(g.inside) - g.held; {
	case g.held == 0 && len(g.waiting) == 0:
		g.inside = nil
	case done > keptDone:
		g.forget(done / 2)
	}
	g.letIn()
}

// forget forgets the n oldest of those that are done. The caller holds mu.
func (g *gate) forget(n int) {
	g.inside = slices.DeleteFunc(g.inside, func(h admit.Holding) bool {
		if h.Done && n > 0 {
			n--
			return true
		}
		return false
	})
}

// letIn admits whom it can. The caller holds mu.
func (g *gate) letIn() {
	if len(g.waiting) == 0 || g.held >= g.limits.Fleet {
		return
	}
	wants := make([]admit.Want, len(g.waiting))
	for i, w := range g.waiting {
		wants[i] = w.Want
	}
	for _, ref := range admit.Next(g.limits, g.inside, wants) {
		i := slices.IndexFunc(g.waiting, func(w *wait) bool { return w.Ref == ref })
		w := g.waiting[i]
		g.waiting = slices.Delete(g.waiting, i, i+1)
		g.inside = append(g.inside, admit.Holding{Ref: w.Ref})
		g.held++
		close(w.in)
	}
}
