package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ivdmover/coordinator/admit"
	"ivdmover/coordinator/broker"
	"ivdmover/coordinator/ledger"
	"ivdmover/coordinator/witness"
	"ivdmover/shared/ivd"
)

// What things cost the queue, by what is asked of them and not by what is there.

// ended stores runs that are over, with n items each.
func ended(t *testing.T, e *Engine, runs, n int) ivd.RunID {
	t.Helper()
	var last ivd.RunID
	for range runs {
		s := Spec{Kind: "keyed", Lease: "write"}
		for i := range n {
			s.Items = append(s.Items, ItemSpec{Key: ItemKey(fmt.Sprintf("d%03d", i)), Body: map[string]int{"i": i}})
		}
		r, items, err := e.make(s)
		if err != nil {
			t.Fatal(err)
		}
		r.State, r.Counts, r.Stats = Done, Counts{Items: n, Done: n}, ivd.Stats{ReadBytes: int64(n)}
		if _, err := e.store(t.Context(), r, items); err != nil {
			t.Fatal(err)
		}
		last = r.ID
	}
	return last
}

// cost is how many messages the server receives and sends while f runs.
func cost(t *testing.T, b *broker.Server, f func()) int64 {
	t.Helper()
	before, err := b.Traffic()
	if err != nil {
		t.Fatal(err)
	}
	f()
	after, err := b.Traffic()
	if err != nil {
		t.Fatal(err)
	}
	return after.Messages - before.Messages
}

// keyed is a workflow of one disk an item, which has the item's key as its id.
type keyed struct{ idle }

func (keyed) Keys(ref ivd.DiskRef) []ItemKey { return []ItemKey{ItemKey(ref.ID())} }

func (keyed) Tokens(items []Item) (tokens []admit.Token, err error) {
	for _, it := range items {
		tokens = append(tokens, admit.OfDisk(ivd.NewDiskRef("lab", "ds", ivd.DiskID(it.Key)), "")...)
	}
	return tokens, nil
}

// Runs are listed, and one is shown, without their items; a login asks for the one
// item that it is for.
func TestCostDoesNotGrowWithItems(t *testing.T) {
	t.Parallel()
	of := func(n int) (list, show, login int64) {
		b := startBroker(t)
		e := engineOf(t, b)
		e.Workflows["keyed"] = keyed{}
		id := ended(t, e, 3, n)
		list = cost(t, b, func() {
			runs, _, err := e.Runs(t.Context())
			if err != nil || len(runs) != 3 || runs[0].Counts.Done != n || runs[0].Stats.ReadBytes != int64(n) {
				t.Errorf("%v, %+v", err, runs)
			}
		})
		show = cost(t, b, func() {
			if r, err := e.Run(t.Context(), id); err != nil || r.Counts.Done != n {
				t.Errorf("%v, %+v", err, r)
			}
		})
		login = cost(t, b, func() {
			err := e.Entitled(t.Context(), id, ivd.NewDiskRef("lab", "ds", "d001"))
			if ivd.KindOf(err) != ivd.Denied { // the run is over
				t.Error(err)
			}
		})
		return list, show, login
	}
	list, show, login := of(5)
	list2, show2, login2 := of(50)
	if list2 > list+5 || show2 > show+5 || login2 > login+5 { // a ping may come between
		t.Errorf("with 50 items a run: %d messages for a list, %d to show one, %d for a login; with 5: %d, %d, %d", list2, show2, login2, list, show, login)
	}
}

// holder lets nothing through to its client from the moment it is told to until many
// records of items are on their way.
type holder struct {
	*broker.Server
	many int

	mu   sync.Mutex
	seen int // guarded by mu: of records, since hold
	open chan struct{}
}

func (h *holder) InProcessConn() (net.Conn, error) {
	c, err := h.Server.InProcessConn()
	return &heldConn{c, h}, err
}

func (h *holder) hold() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seen, h.open = 0, make(chan struct{})
}

func (h *holder) gate() chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.open
}

type heldConn struct {
	net.Conn
	h *holder
}

func (c *heldConn) Write(p []byte) (int, error) {
	h := c.h
	h.mu.Lock()
	before := h.seen
	h.seen += bytes.Count(p, []byte("PUB $KV.IVD_STATE.item."))
	if before < h.many && h.seen >= h.many {
		close(h.open)
	}
	h.mu.Unlock()
	return c.Conn.Write(p)
}

func (c *heldConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	<-c.h.gate()
	return n, err
}

// The records of a run's items are not stored one after the other: many are on their
// way before the first is acknowledged.
func TestItemsAreStoredTogether(t *testing.T) {
	t.Parallel()
	open := make(chan struct{})
	close(open)
	h := &holder{Server: startBroker(t), many: storesAtOnce / 2, open: open}
	e := engineOf(t, h)
	ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
	defer stop()
	s := Spec{Kind: "idle", Lease: "write"}
	for i := range 2 * storesAtOnce {
		s.Items = append(s.Items, ItemSpec{Key: ItemKey(fmt.Sprint("item-", i))})
	}
	r, items, err := e.make(s)
	if err != nil {
		t.Fatal(err)
	}
	h.hold()
	if _, err := e.store(ctx, r, items); err != nil {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.seen < h.many {
			close(h.open)
		}
		t.Fatalf("%d records were on their way: %v", h.seen, err)
	}
	if stored, _, err := e.readItems(ctx, r.ID); err != nil || len(stored) != len(items) {
		t.Errorf("%d of %d items are stored, %v", len(stored), len(items), err)
	}
}

// What is under way is noted every few seconds: what it costs does not grow with what
// is over, of which the server keeps a mark for an hour.
func TestNoteDoesNotGrowWithWhatIsOver(t *testing.T) {
	t.Parallel()
	of := func(over int) (messages int64) {
		b := startBroker(t)
		e := engineOf(t, b)
		e.Witness = witness.At(filepath.Join(t.TempDir(), "witness"))
		e.Ledger.Register("idle", ledger.Behaviour{Undo: func(context.Context, ledger.Obligation) (bool, error) { return true, nil }})
		for i := range over {
			item := fmt.Sprintf("d%03d", i)
			if _, err := e.Ledger.Open(t.Context(), ledger.Obligation{Run: "r", Item: item, Kind: "idle"}, nil); err != nil {
				t.Fatal(err)
			}
			if err := e.Ledger.Undo(t.Context(), "r", item); err != nil {
				t.Fatal(err)
			}
		}
		open, err := e.Ledger.Open(t.Context(), ledger.Obligation{Run: "r", Item: "open", Kind: "idle"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		runs, entries := e.standingRuns(), e.Ledger.Standing()
		for _, err := range []error{e.noteStanding(t.Context(), runs, entries), e.noteStanding(t.Context(), runs, entries)} {
			if err != nil {
				t.Fatal(err)
			}
		}
		messages = cost(t, b, func() {
			for range 3 {
				if err := e.noteStanding(t.Context(), runs, entries); err != nil {
					t.Fatal(err)
				}
			}
		})
		noted, err := e.Witness.Read()
		if err != nil || len(noted.Entries) != 1 || !strings.Contains(noted.Entries[0].Key, open.Item) || !json.Valid(noted.Entries[0].Value) {
			t.Errorf("noted is %+v, %v", noted, err)
		}
		return messages
	}
	few, many := of(5), of(50)
	if many > few+5 { // a ping may come between
		t.Errorf("3 notes: %d messages where 50 obligations are over, %d where 5 are", many, few)
	}
}
