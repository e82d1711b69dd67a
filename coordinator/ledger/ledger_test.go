package ledger

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ivdmover/coordinator/broker"
	"ivdmover/shared/ivd"
	"ivdmover/shared/queue"
)

// world is a ledger whose obligations are about letters that are there or not.
type world struct {
	*testing.T
	l      *Ledger
	broker *broker.Server
	clock  atomic.Int64

	mu     sync.Mutex
	there  map[string]bool // guarded by mu, like all below
	undone []string        // kinds, in the order in which they were undone
	fails  map[Kind]error
	over   bool
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, there: map[string]bool{}, fails: map[Kind]error{}, over: true}
	b, err := broker.Start(t.Context(), broker.Options{Dir: t.TempDir()})
	w.must(err)
	t.Cleanup(b.Close)
	w.broker = b
	q, err := queue.Connect(t.Context(), queue.Options{InProcess: b, Name: "test", Patience: 2 * time.Second})
	w.must(err)
	t.Cleanup(q.Close)
	w.must(q.Setup(t.Context()))
	w.l = New(q.State(), slog.New(slog.NewTextHandler(t.Output(), nil)), func() time.Time { return time.Now().Add(time.Duration(w.clock.Load())) })
	w.l.Register("held", Behaviour{Undo: w.undo})
	w.l.Register("made", Behaviour{Looks: true, Undo: w.undo})
	w.l.SetOwners(func(context.Context, ivd.RunID, string) (bool, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.over, nil
	})
	return w
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) undo(_ context.Context, o Obligation) (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.undone = append(w.undone, string(o.Kind))
	var name string
	if err := o.Decode(&name); err != nil {
		return false, err
	}
	found := w.there[name]
	if err := w.fails[o.Kind]; err != nil {
		return false, err
	}
	delete(w.there, name)
	return found, nil
}

func (w *world) set(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
}

// settle lets time pass and has the ledger look.
func (w *world) settle(after time.Duration) {
	w.Helper()
	w.clock.Add(int64(after))
	w.must(w.l.Settle(w.Context(), w.l.Standing()))
	w.l.Wait()
}

func (w *world) open(k Kind, asked bool) *Entry {
	w.Helper()
	e, err := w.l.Open(w.Context(), Obligation{Run: "r", Item: "i", Kind: k, Asked: asked}, "letter")
	w.must(err)
	return e
}

func (w *world) wantUndone(what string, want ...string) {
	w.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Equal(w.undone, want) {
		w.Errorf("%s: undone were %v, want %v", what, w.undone, want)
	}
	w.undone = nil
}

func (w *world) wantCount(what string, want int) {
	w.Helper()
	counts, err := w.l.Count(w.Context())
	if err != nil || counts["r"] != want {
		w.Errorf("%s: %d entries are left, want %d (%v)", what, counts["r"], want, err)
	}
}

// What was opened last is undone first, and nothing stays.
func TestUndoGoesBackwards(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.open("held", false)
	e := w.open("made", true)
	w.must(e.Answered(t.Context(), nil))
	w.must(w.l.Undo(t.Context(), "r", "i"))
	w.wantUndone("at its end", "made", "held")
	w.wantCount("at its end", 0)
	w.must(w.l.Undo(t.Context(), "r", "i")) // nothing is left to undo
	w.wantUndone("again")
}

// What fails keeps what is older, and is tried again.
func TestUndoThatFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.open("held", false)
	w.open("made", false)
	w.set(func() { w.fails["made"] = errors.New("away") })
	if err := w.l.Undo(t.Context(), "r", "i"); err == nil {
		t.Error("an undo that failed is none")
	}
	w.wantUndone("while it fails", "made")
	w.wantCount("while it fails", 2)
	w.set(func() { delete(w.fails, "made") })
	w.settle(time.Minute)
	w.wantUndone("later", "made", "held")
	w.wantCount("later", 0)
}

// What was asked for and not answered is looked for until it can appear no more;
// when it comes, what is older is undone once more.
func TestWhatComesLate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.open("held", false)
	w.open("made", true)
	w.settle(0)
	w.wantUndone("at once", "made", "held")
	w.wantCount("at once", 2)
	w.settle(2 * time.Minute)
	w.wantUndone("meanwhile", "made")
	w.set(func() { w.there["letter"] = true })
	w.settle(2 * time.Minute)
	w.wantUndone("when it came", "made", "held")
	w.settle(lateTask)
	w.wantUndone("at last", "made")
	w.wantCount("at last", 0)
}

// An obligation is opened once: the second time it is the one of before a restart,
// and what is asked again counts as not answered.
func TestOpenAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.open("made", true)
	if e.Before {
		t.Error("a new entry was there before")
	}
	w.must(e.Answered(t.Context(), "another letter"))
	again := w.open("made", true)
	var name string
	w.must(again.Decode(&name))
	if !again.Before || !again.Asked || name != "another letter" {
		t.Errorf("%+v, %q", again.Obligation, name)
	}
	if err := e.Answered(t.Context(), nil); ivd.KindOf(err) != ivd.Conflict {
		t.Errorf("an entry that another one has changed: %v", err)
	}
}

// An owner that lives undoes by itself.
func TestOwnersAreLeftAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.open("made", false)
	w.set(func() { w.over = false })
	w.settle(time.Minute)
	w.wantUndone("while it lives")
	w.set(func() { w.over = true })
	w.settle(time.Minute)
	w.wantUndone("after that", "made")
}

// One that fails keeps no other waiting, and is not tried all the time.
func TestItemThatFailsWaitsAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.open("unknown", false)
	_, err := w.l.Open(t.Context(), Obligation{Run: "r", Item: "other", Kind: "made"}, "letter")
	w.must(err)
	tries := func() int {
		w.l.settling.mu.Lock()
		defer w.l.settling.mu.Unlock()
		return w.l.settling.items[ownerKey("r", "i")].tries
	}
	for range 5 {
		w.settle(0)
	}
	if has, err := w.l.Has(t.Context(), "r", "other"); has || err != nil || tries() != 1 {
		t.Errorf("the other is there: %v, %v; %d tries", has, err, tries())
	}
	w.settle(time.Hour)
	if tries() != 2 {
		t.Errorf("%d tries after an hour", tries())
	}
	w.wantCount("that cannot be undone", 1)
}

// An entry that cannot be read keeps none of the others from being undone, and is named.
func TestEntryThatCannotBeRead(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]any{"damaged": "nonsense", "newer": Obligation{Version: Version + 1}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.open("held", false)
			w.open("made", false)
			sick := Obligation{Run: "r", Item: "i", Kind: "held"}.key()
			_, err := w.l.state.Put(t.Context(), sick, text)
			w.must(err)
			if err := w.l.Undo(t.Context(), "r", "i"); err == nil || !strings.Contains(err.Error(), sick) {
				t.Errorf("%v does not name %s", err, sick)
			}
			w.wantUndone("at its end", "made")
			w.wantCount("at its end", 1)
			w.open("made", false)
			w.settle(time.Minute)
			w.wantUndone("of a run that is over", "made")
			w.wantCount("of a run that is over", 1)
		})
	}
}
