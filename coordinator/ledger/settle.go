package ledger

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/pause"
	"ivdmover/shared/queue"
)

// settleAtOnce bounds how many items are undone at once: to delete a snapshot may
// take hours, and must not keep the others waiting.
const settleAtOnce = 8

// Pauses are those between attempts, of whoever tries to undo something and of the
// steps before: a second at first, a minute at the most, a quarter of it random so
// that many items do not come back at once.
var Pauses = pause.Backoff{First: time.Second, Cap: time.Minute, Jitter: 0.25}

// settling is what is known of the items that ended runs have left, by their key.
type settling struct {
	slots chan struct{}
	group sync.WaitGroup

	mu    sync.Mutex
	items map[string]*pending // guarded by mu
}

// pending is one item: when it is tried again, and whether that is under way.
type pending struct {
	tries int
	at    time.Time
	busy  bool
}

func newSettling() *settling {
	return &settling{slots: make(chan struct{}, settleAtOnce), items: map[string]*pending{}}
}

// Stored is an obligation as a standing watch has it.
type Stored struct {
	queue.Entry
	of    Obligation
	reads bool // it is one that this program can read
}

// Standing mirrors all obligations, for Settle.
func (l *Ledger) Standing() *queue.Mirror[Stored] {
	return queue.NewMirror(l.state, "ledger.", func(e queue.Entry) (Stored, bool) {
		s := Stored{Entry: e}
		s.reads = e.Decode(&s.of) == nil && s.of.Version <= Version
		return s, true // what cannot be read is told of when it is tried
	})
}

// Settle begins to undo what owners that are over have left, each item by itself,
// and with growing pauses where it fails. It looks in what a standing watch has, and
// does not wait for the end.
func (l *Ledger) Settle(ctx context.Context, standing *queue.Mirror[Stored]) error {
	all, err := standing.All(ctx)
	if err != nil {
		return fmt.Errorf("watch the ledger: %w", err)
	}
	items, stored := owners(all)
	for _, owner := range l.settling.due(items, l.now()) {
		l.settling.group.Go(func() {
			select {
			case l.settling.slots <- struct{}{}:
				defer func() { <-l.settling.slots }()
			case <-ctx.Done():
				return
			}
			tried, err := l.settleItem(ctx, owner, stored[owner])
			if err != nil && ctx.Err() == nil && (ivd.KindOf(err) != ivd.Withheld || l.withheld.Due()) {
				l.log.Warn("cleaning up after a run that is over failed; it is tried again", "entry", owner, "err", err)
			}
			l.settling.did(owner, tried, l.now())
		})
	}
	return nil
}

// Wait waits for what Settle has begun.
func (l *Ledger) Wait() { l.settling.group.Wait() }

// owners are the items that obligations are of, each once, and theirs of each.
func owners(all []Stored) (items []string, of map[string][]Stored) {
	of = map[string][]Stored{}
	for _, s := range all {
		item := s.Key[:max(0, strings.LastIndexByte(s.Key, '.'))]
		if len(of[item]) == 0 {
			items = append(items, item)
		}
		of[item] = append(of[item], s)
	}
	return items, of
}

// due picks the items whose time has come, and forgets those that are gone.
func (s *settling) due(items []string, now time.Time) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.items
	s.items = make(map[string]*pending, len(items))
	var due []string
	for _, k := range items {
		p := known[k]
		if p == nil {
			p = &pending{at: now}
		}
		s.items[k] = p
		if !p.busy && !now.Before(p.at) {
			p.busy = true
			due = append(due, k)
		}
	}
	return due
}

// did notes a try. What is left is tried again after a while, which grows.
func (s *settling) did(item string, tried bool, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.items[item]
	if p == nil {
		return
	}
	p.busy = false
	if tried {
		p.tries++
		p.at = now.Add(Pauses.After(p.tries))
	}
}

// settleItem undoes what the ledger has of an item, unless its owner will. It
// reports whether there was something to undo, or to ask.
func (l *Ledger) settleItem(ctx context.Context, owner string, stored []Stored) (tried bool, err error) {
	for _, s := range stored { // most items are under way: nothing is read of them
		if !s.reads {
			continue
		}
		if over, err := l.over(ctx, s.of); err != nil || !over {
			return err != nil, err
		}
	}
	entries, unread, err := l.of(ctx, owner)
	if err != nil {
		return true, err
	}
	if len(entries) == 0 {
		return unread != nil, unread
	}
	for _, e := range entries {
		over, err := l.over(ctx, e.Obligation)
		if err != nil || !over {
			return err != nil, err
		}
	}
	return true, errors.Join(l.unwind(ctx, entries), unread)
}

func (l *Ledger) over(ctx context.Context, o Obligation) (bool, error) {
	if b, ok := l.kinds[o.Kind]; ok && b.Over != nil {
		return b.Over(ctx, o)
	}
	return l.owners(ctx, o.Run, o.Item)
}
