package format

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"ivdmover/shared/ivd"
)

// Hooks are a sparse index for deduplication, hooks/<domain>/<run>-<n>: a few
// contents of each pack. Who finds one reads the pack's directory for its
// neighbours.
type Hooks struct {
	Head
	Created time.Time // to the second
	Packs   PackSet
	Hooks   []Hook // each content once
}

// Hook says in which pack a content lies.
type Hook struct {
	ID   ivd.ContentID
	Pack uint32 // an index into Packs
}

// Encode is the list's object. Hooks are put in order.
func (h Hooks) Encode() ([]byte, error) {
	for _, x := range h.Hooks {
		if int(x.Pack) >= len(h.Packs) {
			return nil, fmt.Errorf("encode %s: pack %d of %d", h.Object, x.Pack, len(h.Packs))
		}
	}
	l := listWriter{head: h.Head, created: h.Created, entries: len(h.Packs) + len(h.Hooks)}
	l.rest = le.AppendUint32(l.rest, uint32(len(h.Packs)))
	l.rest = h.Packs.append(l.rest)
	l.rest = le.AppendUint32(l.rest, uint32(len(h.Hooks)))
	for _, x := range slices.SortedFunc(slices.Values(h.Hooks), func(a, b Hook) int { return bytes.Compare(a.ID[:], b.ID[:]) }) {
		l.rest = append(l.rest, x.ID[:]...)
		l.rest = le.AppendUint32(l.rest, x.Pack)
	}
	return l.seal(HooksMagic)
}

// DecodeHooks reads a list's object.
func DecodeHooks(b []byte, at At) (Hooks, error) {
	l, err := openList(HooksMagic, b, at)
	if err != nil {
		return Hooks{}, err
	}
	h := Hooks{Head: l.head, Created: l.created}
	n := l.count(packRefSize)
	if table := l.take(n * packRefSize); l.err == nil {
		h.Packs, l.err = readPackSet(table, n)
	}
	var last []byte
	for range l.count(32 + 4) {
		e := l.take(32 + 4)
		x := Hook{ID: ivd.ContentID(e), Pack: le.Uint32(e[32:])}
		if last != nil && bytes.Compare(last, e[:32]) >= 0 {
			return Hooks{}, corrupt("%s is not in order", h.Object)
		}
		if int(x.Pack) >= n {
			return Hooks{}, corrupt("%s: pack %d of %d", h.Object, x.Pack, n)
		}
		h.Hooks = append(h.Hooks, x)
		last = e[:32]
	}
	return h, l.end()
}
