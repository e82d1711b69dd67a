package collect_test

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/store"
)

// world is a store in memory in which nothing happens until the test says so: each
// request of each actor waits to be chosen. It runs in a bubble of testing/synctest,
// whose clock is the store's.
type world struct {
	mu      sync.Mutex
	objects map[store.Name]store.Object
	waiting []*request
	wire    []wired // requests that were answered with an error, and may still happen
	log     []string
}

// request is what an actor has asked, and nobody has answered.
type request struct {
	who    *actor
	op     string
	name   string
	do     func() error // under world.mu
	expiry time.Time    // of one that changes something: when the store refuses it
	answer chan error
}

// wired is a request that is still under way.
type wired struct {
	what   string
	do     func() error
	expiry time.Time
}

// actor is a process, which may be killed.
type actor struct {
	name string
	kill context.CancelFunc
	dead bool // guarded by world.mu
	done chan struct{}
	err  error
}

func newWorld() *world { return &world{objects: map[store.Name]store.Object{}} }

// start runs an actor.
func (w *world) start(name string, run func(context.Context) error) *actor {
	a := &actor{name: name, done: make(chan struct{})}
	ctx, kill := context.WithCancel(context.WithValue(context.Background(), actorKey{}, a))
	a.kill = kill
	go func() {
		defer close(a.done)
		a.err = run(ctx)
	}()
	return a
}

// actorKey is the key of contexts by which a request is known to be an actor's.
type actorKey struct{}

func (a *actor) ended() bool {
	select {
	case <-a.done:
		return true
	default:
		return false
	}
}

var errDead = ivd.Errorf(ivd.Cancelled, "the process was killed")

// ask waits until the request is chosen.
func (w *world) ask(ctx context.Context, op, name string, life time.Duration, do func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	a, isActor := ctx.Value(actorKey{}).(*actor)
	if !isActor { // who looks on
		w.mu.Lock()
		defer w.mu.Unlock()
		return do()
	}
	q := &request{who: a, op: op, name: name, do: do, expiry: time.Now().Add(life), answer: make(chan error, 1)}
	w.mu.Lock()
	if a.dead {
		w.mu.Unlock()
		return errDead
	}
	w.waiting = append(w.waiting, q)
	w.mu.Unlock()
	return <-q.answer
}

// requests are those that wait, in an order that does not depend on goroutines.
func (w *world) requests() []*request {
	w.mu.Lock()
	defer w.mu.Unlock()
	slices.SortStableFunc(w.waiting, func(a, b *request) int {
		return cmp.Or(strings.Compare(a.who.name, b.who.name), strings.Compare(a.op, b.op), strings.Compare(a.name, b.name))
	})
	return slices.Clone(w.waiting)
}

// fate is what becomes of a request.
type fate int

const (
	happens   fate = iota
	fails          // it does not happen, and is answered with an error
	loses          // it happens, and is answered with an error
	staysOpen      // it is answered with an error, and may happen later
)

var errNetwork = ivd.Errorf(ivd.Transient, "connection reset")

// choose lets a request meet its fate.
func (w *world) choose(q *request, f fate) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting = slices.DeleteFunc(w.waiting, func(o *request) bool { return o == q })
	w.log = append(w.log, fmt.Sprintf("%s %s: %s %s (%s)", time.Now().UTC().Format("02 15:04:05"), q.who.name, q.op, q.name, []string{"happens", "fails", "answer lost", "under way"}[f]))
	var err error
	switch f {
	case happens:
		err = q.do()
	case fails:
		err = errNetwork
	case loses:
		_ = q.do()
		err = errNetwork
	case staysOpen:
		w.wire = append(w.wire, wired{q.op + " " + q.name, q.do, q.expiry})
		err = errNetwork
	}
	q.answer <- err
}

// arrive has a request that is under way reach the store, which refuses it if it is too
// old.
func (w *world) arrive(i int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	x := w.wire[i]
	w.wire = slices.Delete(w.wire, i, i+1)
	late := time.Now().After(x.expiry)
	w.log = append(w.log, fmt.Sprintf("%s on its way: %s arrives, refused: %t", time.Now().UTC().Format("02 15:04:05"), x.what, late))
	if !late {
		_ = x.do()
	}
}

// die kills an actor. What it has asked may still happen.
func (w *world) die(a *actor, open bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.log = append(w.log, a.name+" is killed")
	a.dead = true
	a.kill()
	w.waiting = slices.DeleteFunc(w.waiting, func(q *request) bool {
		if q.who != a {
			return false
		}
		if open && q.changes() {
			w.wire = append(w.wire, wired{q.op + " " + q.name, q.do, q.expiry})
		}
		q.answer <- errDead
		return true
	})
}

// changes reports whether a request changes something.
func (q *request) changes() bool { return q.op == "put" || q.op == "send" || q.op == "delete" }

// names are the objects with a prefix, in order.
func (w *world) names(prefix string) []store.Name {
	var names []store.Name
	for n := range w.objects {
		if strings.HasPrefix(string(n), prefix) {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	return names
}

func (w *world) find(name store.Name) (store.Object, error) {
	o, ok := w.objects[name]
	if !ok {
		return o, ivd.Errorf(ivd.NotFound, "no object %s", name)
	}
	o.Now = time.Now()
	return o, nil
}

func (w *world) put(name store.Name, body []byte) {
	w.objects[name] = store.Object{Info: store.Info{Name: name, Size: int64(len(body)), Modified: time.Now()}, Body: bytes.Clone(body)}
}

func (w *world) Put(ctx context.Context, name store.Name, body []byte) error {
	body = bytes.Clone(body)
	return w.ask(ctx, "put", string(name), store.DeleteLife, func() error { w.put(name, body); return nil })
}

func (w *world) Get(ctx context.Context, name store.Name, limit int64) (o store.Object, err error) {
	err = w.ask(ctx, "get", string(name), 0, func() error { o, err = w.find(name); return err })
	if err == nil && o.Size > limit {
		return o, store.TooLarge(o.Size, limit)
	}
	return o, err
}

func (w *world) ReadAt(ctx context.Context, name store.Name, p []byte, offset int64) error {
	return w.ask(ctx, "read", string(name), 0, func() error {
		o, err := w.find(name)
		if err == nil && offset+int64(len(p)) > o.Size {
			return &ivd.Error{Kind: ivd.Corrupt, Err: io.ErrUnexpectedEOF}
		}
		if err == nil {
			copy(p, o.Body[offset:])
		}
		return err
	})
}

func (w *world) Stat(ctx context.Context, name store.Name) (i store.Info, err error) {
	err = w.ask(ctx, "stat", string(name), 0, func() error {
		o, err := w.find(name)
		i = o.Info
		return err
	})
	return i, err
}

// List is no moment: it begins, and it ends, and of what came or went meanwhile it shows
// every second object.
func (w *world) List(ctx context.Context, prefix string) iter.Seq2[store.Info, error] {
	return func(yield func(store.Info, error) bool) {
		before := map[store.Name]store.Info{}
		look := func(into map[store.Name]store.Info) func() error {
			return func() error {
				for _, n := range w.names(prefix) {
					into[n] = w.objects[n].Info
				}
				return nil
			}
		}
		err := w.ask(ctx, "list", prefix, 0, look(before))
		after := before
		if err == nil && ctx.Value(actorKey{}) != nil {
			after = map[store.Name]store.Info{}
			err = w.ask(ctx, "listed", prefix, 0, look(after))
		}
		if err != nil {
			yield(store.Info{}, err)
			return
		}
		all := maps.Clone(before)
		maps.Copy(all, after)
		for _, n := range slices.Sorted(maps.Keys(all)) {
			_, was := before[n]
			_, is := after[n]
			if was != is && coin(string(n), len(before)+len(after)) {
				continue
			}
			if !yield(all[n], nil) {
				return
			}
		}
	}
}

// coin is as good as random, and the same again.
func coin(name string, more int) bool {
	h := uint32(more)
	for _, b := range []byte(name) {
		h = h*16777619 ^ uint32(b)
	}
	return h>>9&1 == 0
}

func (w *world) Replace(context.Context, store.Object, []byte) error {
	return ivd.Errorf(ivd.Unsupported, "nobody replaces anything here")
}

func (w *world) Delete(ctx context.Context, name store.Name) error {
	return w.ask(ctx, "delete", string(name), store.DeleteLife, func() error { delete(w.objects, name); return nil })
}

func (w *world) Revoke(context.Context, ivd.LeaseID) error { return nil }

func (w *world) Lock(context.Context, store.Name, time.Time) error {
	return ivd.Errorf(ivd.Unsupported, "nothing is locked here")
}

func (w *world) LockedUntil(context.Context, store.Name) (time.Time, error) { return time.Time{}, nil }

func (w *world) Properties() store.Properties {
	return store.Properties{ConditionalCreate: true, Connections: 1}
}

func (w *world) String() string { return "memory" }

func (w *world) Prepare(_ context.Context, _ ivd.LeaseID, name store.Name, body []byte, expiry time.Duration) (store.Pending, error) {
	return &pending{w, name, bytes.Clone(body), time.Now().Add(expiry)}, nil
}

type pending struct {
	w      *world
	name   store.Name
	body   []byte
	expiry time.Time
}

// Send creates the object. What is chosen too late is refused.
func (p *pending) Send(ctx context.Context) error {
	return p.w.ask(ctx, "send", string(p.name), time.Until(p.expiry), func() error {
		if time.Now().After(p.expiry) {
			return ivd.Errorf(ivd.Expired, "the request has expired")
		}
		if _, err := p.w.find(p.name); err == nil {
			return ivd.Errorf(ivd.Exists, "%s is there", p.name)
		}
		p.w.put(p.name, p.body)
		return nil
	})
}

func (*pending) Discard() {}
