package engine

import (
	"cmp"
	"container/list"
	"slices"

	"ivdmover/shared/ivd"
)

// board is a run's items as they are shown, with their sums, and the order in which
// they changed last: who looks again takes what has changed since, whatever the number
// of the others.
type board struct {
	shown  map[ItemKey]*list.Element // of changes
	order  list.List                 // of *change, the latest at the end
	seq    uint64                    // of the latest change
	counts Counts
	stats  ivd.Stats

	unmoved int // how many items movers have still to work for
}

// change is an item with the number of its latest change.
type change struct {
	item ItemView
	seq  uint64
}

func newBoard() *board { return &board{shown: map[ItemKey]*list.Element{}} }

// put shows an item as it is now.
func (b *board) put(it ItemView) {
	b.seq++
	if e := b.shown[it.Key]; e != nil {
		c := e.Value.(*change)
		b.counts.remove(c.item.Item)
		b.stats.Subtract(c.item.Stats)
		b.unmoved -= unmoved(c.item)
		c.item, c.seq = it, b.seq
		b.order.MoveToBack(e)
	} else {
		b.shown[it.Key] = b.order.PushBack(&change{it, b.seq})
	}
	b.counts.Add(it.Item)
	b.stats.Add(it.Stats)
	b.unmoved += unmoved(it)
}

// unmoved is 1 of an item that movers have still to work for.
func unmoved(it ItemView) int {
	if order[it.Step] <= order[Moving] {
		return 1
	}
	return 0
}

// get is an item as it was put last.
func (b *board) get(k ItemKey) (it ItemView, ok bool) {
	e := b.shown[k]
	if e == nil {
		return it, false
	}
	return e.Value.(*change).item, true
}

// since are the items that have changed after a change, in the order of their keys.
func (b *board) since(seq uint64) []ItemView {
	var items []ItemView
	for e := b.order.Back(); e != nil && e.Value.(*change).seq > seq; e = e.Prev() {
		items = append(items, e.Value.(*change).item)
	}
	slices.SortFunc(items, func(a, b ItemView) int { return cmp.Compare(a.Key, b.Key) })
	return items
}

// sum is the run with the sums of its items.
func (b *board) sum(r Run) Run {
	r.Counts, r.Stats = b.counts, b.stats
	return r
}

func (b *board) view(r Run) View { return View{Run: b.sum(r), Items: b.since(0)} }
