package engine

import (
	"context"
	"slices"
	"sync"

	"ivdmover/coordinator/admit"
	"ivdmover/shared/ivd"
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
	in   chan struct{} // closed by the gate when admitted
	tell func(string)  // for what it waits, whenever that changes; empty: for nothing
	told string
}

// wait tells for what the entrant waits. The caller holds the gate's mu.
func (x *entrant) wait(why string) {
	if why != x.told {
		x.told = why
		x.tell(why)
	}
}

// newGate has these limits; those of the fleet and of sources are said later.
func newGate(l admit.Limits) *gate {
	for _, of := range []*map[ivd.SourceID]int{&l.Datastore, &l.Host} {
		if *of == nil {
			*of = map[ivd.SourceID]int{}
		}
	}
	return &gate{limits: l, served: admit.Served{}}
}

// limit says what the limits of a source's datastores and hosts are.
func (g *gate) limit(source ivd.SourceID, datastore, host int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.limits.Datastore[source], g.limits.Host[source] = datastore, host
	g.letIn()
}

// setFleet takes how many disks the movers can hold, and how many those that write.
func (g *gate) setFleet(handles, writing int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.limits.Fleet, g.limits.Writers = admit.Fleet(handles), admit.Fleet(writing)
	g.letIn()
}

// stalled reports whether groups wait and there is no mover for them.
func (g *gate) stalled() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.limits.Fleet == 0 && len(g.waiting) > 0
}

// enter waits until the group may start, and tells for what. Whoever was let in calls
// leave, once.
func (g *gate) enter(ctx context.Context, w admit.Want, tell func(string)) (leave func(), err error) {
	x := &entrant{Want: w, in: make(chan struct{}), tell: tell}
	g.mu.Lock()
	g.waiting = append(g.waiting, x)
	if len(g.inside) < g.limits.Fleet {
		g.letIn()
	} else {
		x.wait(admit.Waits(g.limits, g.holding(), []admit.Want{w})[0])
	}
	g.mu.Unlock()

	select {
	case <-x.in:
		return func() { g.leave(x) }, nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	g.waiting = slices.DeleteFunc(g.waiting, func(o *entrant) bool { return o == x })
	x.wait("")
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

// letIn admits whom it can, and tells the others for what they wait. The caller holds mu.
func (g *gate) letIn() {
	if len(g.waiting) == 0 {
		return
	}
	if len(g.inside) < g.limits.Fleet {
		g.start()
	}
	for i, why := range admit.Waits(g.limits, g.holding(), g.wants()) {
		g.waiting[i].wait(why)
	}
}

func (g *gate) holding() []admit.Holding {
	holding := make([]admit.Holding, len(g.inside))
	for i, x := range g.inside {
		holding[i] = x.Tokens
	}
	return holding
}

func (g *gate) wants() []admit.Want {
	wants := make([]admit.Want, len(g.waiting))
	for i, x := range g.waiting {
		wants[i] = x.Want
	}
	return wants
}

// start admits whom it can. The caller holds mu.
func (g *gate) start() {
	started := admit.Next(g.limits, g.holding(), g.served, g.wants())
	for _, i := range started {
		g.inside = append(g.inside, g.waiting[i])
		g.waiting[i].wait("")
		close(g.waiting[i].in)
	}
	slices.Sort(started)
	for _, i := range slices.Backward(started) {
		g.waiting = slices.Delete(g.waiting, i, i+1)
	}
}
