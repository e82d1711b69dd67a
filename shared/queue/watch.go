package queue

import (
	"context"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"ivdmover/shared/pause"
)

// Event is what a watch tells: a value, a deletion (no value), or, once, that all
// values present at the start have been told (no key either).
type Event struct {
	Entry
	Deleted bool
	Current bool
}

// List reads all values whose keys are below prefix ("job.r1" is above
// "job.r1.x", not above "job.r12"; a dot at its end changes nothing), or all values
// when it is empty; sorted by key.
func (b *Bucket) List(ctx context.Context, prefix string) ([]Entry, error) {
	return b.list(ctx, prefix)
}

// Keys is List without the values.
func (b *Bucket) Keys(ctx context.Context, prefix string) ([]string, error) {
	entries, err := b.list(ctx, prefix, jetstream.MetaOnly())
	if err != nil {
		return nil, err
	}
	keys := make([]string, len(entries))
	for i, e := range entries {
		keys[i] = e.Key
	}
	return keys, nil
}

func (b *Bucket) list(ctx context.Context, prefix string, opts ...jetstream.WatchOpt) ([]Entry, error) {
	var found map[string]Entry
	err := b.q.retry(ctx, func(ctx context.Context) error {
		found = map[string]Entry{}
		w, err := b.open(ctx, prefix, append(opts, jetstream.IgnoreDeletes())...)
		if err != nil {
			return err
		}
		defer w.close()
		for {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case e, ok := <-w.Updates():
				if !ok {
					return errInterrupted
				}
				if e == nil {
					return nil
				}
				found[e.Key()] = entryOf(e)
			}
		}
	})
	if err != nil {
		return nil, fail(err, "list %s in %s", below(prefix), b.name)
	}
	entries := make([]Entry, 0, len(found))
	for _, e := range found {
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(x, y Entry) int { return strings.Compare(x.Key, y.Key) })
	return entries, nil
}

// Watch tells the values below prefix that are there, then an event with Current
// set, then every change. Of several changes to one key in a short time only the
// last need be told. It survives reconnections, and the loss of the bucket: what
// changed meanwhile is told, deletions too, nothing is told twice. The channel is closed when ctx or the
// queue ends; who stops reading ends ctx.
func (b *Bucket) Watch(ctx context.Context, prefix string) (<-chan Event, error) {
	out := make(chan Event)
	wt := &watch{b: b, prefix: prefix, known: map[string]uint64{}, lost: func() {}}
	wt.send = func(ctx context.Context, e Event) bool {
		select {
		case out <- e:
			return true
		case <-ctx.Done():
			return false
		}
	}
	// The first opening is waited for, so that who cannot watch learns of it.
	probe := func(ctx context.Context) error {
		w, err := b.open(ctx, prefix, jetstream.UpdatesOnly())
		if err == nil {
			w.close()
		}
		return err
	}
	if err := b.q.retry(ctx, probe); err != nil {
		return nil, fail(err, "watch %s in %s", below(prefix), b.name)
	}
	b.q.background(ctx, func(ctx context.Context) {
		defer close(out)
		wt.run(ctx)
	})
	return out, nil
}

// watch is one Watch. It opens a watcher of the library anew when the connection
// was lost, and compares: the library's own resumption waits for missed
// heartbeats, gives up at some errors, and would miss purged keys.
type watch struct {
	b       *Bucket
	prefix  string
	send    func(context.Context, Event) bool // reports whether to go on
	lost    func()                            // what was told may be out of date from now on
	known   map[string]uint64                 // what was told: revision by key
	current bool                              // the marker was told
	again   bool                              // the marker is told after each connection
}

func (wt *watch) run(ctx context.Context) {
	failures := pause.Backoff{First: 50 * time.Millisecond, Cap: 2 * time.Second, Retry: always}.Series()
	for {
		reached, err := wt.once(ctx)
		wt.lost()
		if reached {
			failures.Reset()
		}
		if failures.Wait(ctx, err) != nil {
			return
		}
		wt.b.q.log.Debug("watching again", "bucket", wt.b.name, "prefix", wt.prefix, "error", err)
	}
}

func always(error, int) bool { return true }

// once watches for as long as the connection stands. It answers whether it came
// as far as the present.
func (wt *watch) once(ctx context.Context) (reached bool, err error) {
	ctx, cancel := wt.b.q.onLine(ctx, math.MaxInt64)
	defer cancel()
	ctx, end := wt.b.q.untilRenewed(ctx)
	defer end()
	w, err := wt.b.open(ctx, wt.prefix)
	if err != nil {
		if isMissing(err) {
			wt.b.q.miss()
		}
		return false, err
	}
	defer w.close()
	return wt.follow(ctx, w), errInterrupted
}

// follow tells what w says until it or ctx ends.
func (wt *watch) follow(ctx context.Context, w *watcher) (current bool) {
	seen := map[string]bool{} // in this pass
	for {
		select {
		case <-ctx.Done():
			return current
		case e, ok := <-w.Updates():
			switch {
			case !ok:
				return current
			case e == nil:
				if !wt.tellAbsent(ctx, seen) {
					return current
				}
				current, seen = true, nil
			default:
				if !current {
					seen[e.Key()] = true
				}
				if !wt.tell(ctx, e) {
					return current
				}
			}
		}
	}
}

// tellAbsent ends the first part of a pass: keys that were told and are not there
// any more are told as deleted, and the first pass is told to be complete.
func (wt *watch) tellAbsent(ctx context.Context, seen map[string]bool) bool {
	for key, revision := range wt.known {
		if !seen[key] {
			if !wt.send(ctx, Event{Entry: Entry{Key: key, Revision: revision}, Deleted: true}) {
				return false // and is told in the next pass
			}
			delete(wt.known, key)
		}
	}
	if wt.current && !wt.again {
		return true
	}
	wt.current = wt.send(ctx, Event{Current: true})
	return wt.current
}

func (wt *watch) tell(ctx context.Context, e jetstream.KeyValueEntry) bool {
	known, told := wt.known[e.Key()]
	if e.Operation() != jetstream.KeyValuePut {
		if !told {
			return true
		}
		if !wt.send(ctx, Event{Entry: Entry{Key: e.Key(), Revision: e.Revision()}, Deleted: true}) {
			return false
		}
		delete(wt.known, e.Key())
		return true
	}
	if told && known == e.Revision() {
		return true
	}
	if !wt.send(ctx, Event{Entry: entryOf(e)}) {
		return false
	}
	wt.known[e.Key()] = e.Revision()
	return true
}

// watcher is one of the library, with what it takes to end it.
type watcher struct {
	jetstream.KeyWatcher
	cancel context.CancelFunc
}

// open starts a watcher. The time limit is the opening's alone, since the library
// keeps the context for what it does later.
func (b *Bucket) open(ctx context.Context, prefix string, opts ...jetstream.WatchOpt) (*watcher, error) {
	life, cancel := context.WithCancel(ctx)
	limit := time.AfterFunc(tryTimeout, cancel)
	kv, err := b.bind(life)
	if err != nil {
		cancel()
		return nil, unanswered(ctx, err)
	}
	kw, err := kv.Watch(life, below(prefix), opts...)
	if err != nil {
		cancel()
		return nil, unanswered(ctx, err)
	}
	w := &watcher{kw, cancel}
	if !limit.Stop() {
		w.close()
		return nil, errInterrupted
	}
	return w, nil
}

// close ends the watcher. The library's own goroutine may be blocked in handing
// over a value, so what is left is taken until it closes its channel.
func (w *watcher) close() {
	defer w.cancel()
	_ = w.Stop() // it fails on a closed connection only, when nothing is left to stop
	idle := time.NewTimer(time.Second)
	defer idle.Stop()
	for {
		select {
		case _, ok := <-w.Updates():
			if !ok {
				return
			}
		case <-idle.C:
			return // it was closed before it could be told to close its channel
		}
	}
}

func below(prefix string) string {
	prefix = strings.TrimSuffix(prefix, ".")
	if prefix == "" {
		return ">"
	}
	return prefix + ".>"
}

func entryOf(e jetstream.KeyValueEntry) Entry {
	return Entry{Key: e.Key(), Revision: e.Revision(), Value: e.Value()}
}
