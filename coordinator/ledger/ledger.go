// Package ledger keeps what must be undone, whatever dies: a snapshot that was
// asked for, an access that was prepared, a disk that a restore makes.
//
// What it promises: an obligation is stored before what it names is begun, and is
// removed only when that is undone. What is gone already counts as undone. What
// was asked for and not answered may still appear, and is looked for until it can
// no more. The obligations of one item are undone newest first, and one that fails
// is tried again and again, by its owner or, when that is over, by any coordinator.
//
// It knows no vCenter: each kind brings its own undo, which looks at the world
// first and acts only on what carries exactly the obligation's mark.
package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/queue"
	"ivdmover/shared/telemetry"
)

// Version is that of the records of this package.
const Version = 1

// lateTask is how long something may still be under way that was asked for, and
// whose answer nobody waits for any more.
const lateTask = 20 * time.Minute

// Kind names what an obligation is about.
type Kind string

// Obligation is something that must be undone. Its key in the state bucket is
// ledger.<run>.<item>.<kind>.
type Obligation struct {
	Version int             `json:"version"`
	Run     ivd.RunID       `json:"run"`  // whose it is: a run, or an examination
	Item    string          `json:"item"` // and of which of its items
	Kind    Kind            `json:"kind"`
	Body    json.RawMessage `json:"body,omitempty"` // the kind's own
	Opened  time.Time       `json:"opened"`
	// Asked: what the obligation is about was asked for, or is about to be, and there
	// is no answer.
	Asked bool `json:"asked,omitempty"`
	// Until: it was undone once, and is kept for what may appear until then.
	Until time.Time `json:"until,omitzero"`
}

// Undone reports whether the obligation was undone once, and is kept only for what
// may still appear.
func (o Obligation) Undone() bool { return !o.Until.IsZero() }

// Decode reads the body.
func (o Obligation) Decode(v any) error {
	if err := json.Unmarshal(o.Body, v); err != nil {
		return &ivd.Error{Kind: ivd.Corrupt, Op: "ledger entry " + o.key(), Err: err}
	}
	return nil
}

func (o Obligation) key() string { return ownerKey(o.Run, o.Item) + "." + string(o.Kind) }

func ownerKey(run ivd.RunID, item string) string { return "ledger." + string(run) + "." + item }

// Behaviour is what a kind of obligation can do.
type Behaviour struct {
	// Undo undoes it, and reports whether there was something to undo. To repeat it
	// does no harm.
	Undo func(ctx context.Context, o Obligation) (found bool, err error)
	// Looks: Undo sees by itself whether anything is there, so that it is called
	// again for what may come late. Otherwise it is called again only after such a
	// one was found for a newer obligation of the same item.
	Looks bool
	// Over reports whether its owner is over and leaves it to whoever looks. Nil:
	// the ledger's Owners decide.
	Over func(ctx context.Context, o Obligation) (bool, error)
}

// Owners reports whether the item that an obligation is of has ended, or is not
// known.
type Owners func(ctx context.Context, run ivd.RunID, item string) (over bool, err error)

// Ledger is the ledger of one queue. Kinds and owners are set before it is used;
// then its methods are safe for concurrent use.
type Ledger struct {
	state    *queue.Bucket
	log      *slog.Logger
	now      func() time.Time
	kinds    map[Kind]Behaviour
	owners   Owners
	settling *settling
	withheld telemetry.Seldom // that a secret keeps obligations from being undone
}

// New returns the ledger that is kept in a bucket. Now is its clock; nil is
// time.Now.
func New(state *queue.Bucket, log *slog.Logger, now func() time.Time) *Ledger {
	if now == nil {
		now = time.Now
	}
	return &Ledger{state: state, log: log, now: now, kinds: map[Kind]Behaviour{}, settling: newSettling()}
}

// Register says how obligations of a kind are undone.
func (l *Ledger) Register(k Kind, b Behaviour) { l.kinds[k] = b }

// SetOwners says who knows the items of runs.
func (l *Ledger) SetOwners(o Owners) { l.owners = o }

// Entry is an obligation as it is stored.
type Entry struct {
	Obligation
	Before bool // it was there already: what it names may have been done
	l      *Ledger
	rev    uint64
}

// Open stores an obligation, before what it names is begun. One that is there
// already is the same one, of before a restart.
func (l *Ledger) Open(ctx context.Context, o Obligation, body any) (*Entry, error) {
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("encode the ledger entry %s: %w", o.key(), err)
	}
	o.Version, o.Body, o.Opened = Version, raw, l.now().UTC()
	rev, err := l.state.Create(ctx, o.key(), o)
	if err == nil {
		return &Entry{Obligation: o, l: l, rev: rev}, nil
	}
	if ivd.KindOf(err) != ivd.Exists {
		return nil, fmt.Errorf("store the ledger entry of %s: %w", o.Item, err)
	}
	e, err := l.Get(ctx, o.Run, o.Item, o.Kind)
	if err != nil {
		return nil, err
	}
	e.Before = true
	if o.Asked && !e.Asked {
		e.Asked = true
		err = e.store(ctx)
	}
	return e, err
}

// Answered stores that what was asked for is known to be there, or not to be:
// nothing appears any more that the world does not show. Body replaces the kind's
// own words, unless it is nil.
func (e *Entry) Answered(ctx context.Context, body any) error {
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("encode the ledger entry %s: %w", e.key(), err)
		}
		e.Body = raw
	}
	e.Asked = false
	return e.store(ctx)
}

func (e *Entry) store(ctx context.Context) error {
	rev, err := e.l.state.Update(ctx, e.key(), e.Obligation, e.rev)
	if err != nil {
		return fmt.Errorf("store the ledger entry of %s: %w", e.Item, err)
	}
	e.rev = rev
	return nil
}

// Get reads one obligation. Kind NotFound: there is none.
func (l *Ledger) Get(ctx context.Context, run ivd.RunID, item string, k Kind) (*Entry, error) {
	key := Obligation{Run: run, Item: item, Kind: k}.key()
	o, rev, err := queue.Get[Obligation](ctx, l.state, key)
	if err == nil {
		err = queue.CheckVersion("ledger entry "+key, o.Version, Version)
	}
	if err != nil {
		return nil, fmt.Errorf("read the ledger entry of %s: %w", item, err)
	}
	return &Entry{Obligation: o, l: l, rev: rev}, nil
}

// of reads the obligations of an item, the newest first. Unread says of those that
// cannot be read why; nil: there are none.
func (l *Ledger) of(ctx context.Context, owner string) (entries []*Entry, unread, err error) {
	list, err := l.state.List(ctx, owner)
	if err != nil {
		return nil, nil, fmt.Errorf("list the ledger: %w", err)
	}
	for _, x := range list {
		e := &Entry{l: l, rev: x.Revision}
		err := x.Decode(&e.Obligation)
		if err == nil {
			err = queue.CheckVersion("ledger entry "+x.Key, e.Version, Version)
		}
		if err != nil {
			unread = errors.Join(unread, err)
			continue
		}
		entries = append(entries, e)
	}
	slices.SortStableFunc(entries, func(a, b *Entry) int { return b.Opened.Compare(a.Opened) })
	return entries, unread, nil
}

// Has reports whether the ledger has anything of an item.
func (l *Ledger) Has(ctx context.Context, run ivd.RunID, item string) (bool, error) {
	keys, err := l.state.Keys(ctx, ownerKey(run, item))
	return len(keys) > 0, err
}

// Count counts the obligations of each run.
func (l *Ledger) Count(ctx context.Context) (map[ivd.RunID]int, error) {
	keys, err := l.state.Keys(ctx, "ledger.")
	if err != nil {
		return nil, fmt.Errorf("list the ledger: %w", err)
	}
	counts := map[ivd.RunID]int{}
	for _, k := range keys {
		run, _, _ := strings.Cut(strings.TrimPrefix(k, "ledger."), ".")
		counts[ivd.RunID(run)]++
	}
	return counts, nil
}
