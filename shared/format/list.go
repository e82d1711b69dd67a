package format

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"ivdmover/shared/ivd"
)

// MaxEntries bounds the entries of one list.
const MaxEntries = 1_000_000

// Condemned is a collection's list, collect/<domain>/<n>/condemned: what no backup
// may build on any more, since it is about to be deleted. A long one names parts of
// the same form, which were stored before it; only what it names is published.
type Condemned struct {
	Head
	Created time.Time       // to the second
	Parts   []ivd.ContentID // Sums of the parts' objects, in order of their numbers, from 1
	Packs   []ivd.PackID
	Writers []ivd.WriterID // whose records go too
	Points  []ivd.PointID
}

// Encode is the list's object. Packs, writers and points are put in order.
func (c Condemned) Encode() ([]byte, error) {
	l := listWriter{head: c.Head, created: c.Created}
	l.sums(c.Parts)
	l.packs(c.Packs)
	l.fixed(len(c.Writers), func(i int) []byte { return c.Writers[i][:] }, true)
	l.names(c.Points)
	return l.seal(CondemnedMagic)
}

// DecodeCondemned reads a list's object, or a part's.
func DecodeCondemned(b []byte, at At) (Condemned, error) {
	var c Condemned
	l, err := openList(CondemnedMagic, b, at)
	if err != nil {
		return c, err
	}
	c.Head, c.Created = l.head, l.created
	l.fixed(32, false, func(b []byte) { c.Parts = append(c.Parts, ivd.ContentID(b)) })
	l.fixed(32, true, func(b []byte) { c.Packs = append(c.Packs, ivd.PackID(b)) })
	l.fixed(16, true, func(b []byte) { c.Writers = append(c.Writers, ivd.WriterID(b)) })
	l.names(func(s string) { c.Points = append(c.Points, ivd.PointID(s)) })
	return c, l.end()
}

// PackList is a list of packs, and why they are on it: retired/<domain>/<list>, of
// packs that no later backup builds on; unretired/<domain>/<list>, of packs that
// are lifted from it again; verified/<domain>/<list>, of packs that were opened
// whole. Where two lists disagree, the newer one counts.
type PackList struct {
	Head
	Kind    Magic     // RetiredMagic, UnretiredMagic or VerifiedMagic
	Created time.Time // to the second
	Reason  string
	Packs   []ivd.PackID
}

// Encode is the list's object. Packs are put in order.
func (p PackList) Encode() ([]byte, error) {
	l := listWriter{head: p.Head, created: p.Created}
	l.text(p.Reason)
	l.packs(p.Packs)
	return l.seal(p.Kind)
}

// DecodePackList reads a list's object.
func DecodePackList(kind Magic, b []byte, at At) (PackList, error) {
	p := PackList{Kind: kind}
	l, err := openList(kind, b, at)
	if err != nil {
		return p, err
	}
	p.Head, p.Created = l.head, l.created
	p.Reason = l.text()
	l.fixed(32, true, func(b []byte) { p.Packs = append(p.Packs, ivd.PackID(b)) })
	return p, l.end()
}

// listHead is what a list has before its entries, without the two texts.
const listHead = 16 + 16 + 4 + 8

// listWriter puts a list's body together.
type listWriter struct {
	head    Head
	created time.Time
	rest    []byte
	entries int
	err     error
}

func (l *listWriter) text(s string) {
	if len(s) > 1<<16-1 {
		l.err = cmp.Or(l.err, fmt.Errorf("a text of %d bytes", len(s)))
		return
	}
	l.rest = le.AppendUint16(l.rest, uint16(len(s)))
	l.rest = append(l.rest, s...)
}

func (l *listWriter) sums(sums []ivd.ContentID) {
	l.fixed(len(sums), func(i int) []byte { return sums[i][:] }, false)
}

func (l *listWriter) packs(packs []ivd.PackID) {
	l.fixed(len(packs), func(i int) []byte { return packs[i][:] }, true)
}

// fixed appends entries of one length, in order, each once.
func (l *listWriter) fixed(n int, entry func(int) []byte, sorted bool) {
	all := make([][]byte, n)
	for i := range all {
		all[i] = entry(i)
	}
	if sorted {
		slices.SortFunc(all, bytes.Compare)
		all = slices.CompactFunc(all, bytes.Equal)
	}
	l.entries += len(all)
	l.rest = le.AppendUint32(l.rest, uint32(len(all)))
	for _, e := range all {
		l.rest = append(l.rest, e...)
	}
}

func (l *listWriter) names(ids []ivd.PointID) {
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	l.entries += len(ids)
	l.rest = le.AppendUint32(l.rest, uint32(len(ids)))
	for _, id := range ids {
		l.text(string(id))
	}
}

func (l *listWriter) seal(magic Magic) ([]byte, error) {
	id, err := uuid.Parse(l.head.Repository)
	if err = cmp.Or(err, l.err); err != nil {
		return nil, fmt.Errorf("encode list %s: %w", l.head.Object, err)
	}
	if l.entries > MaxEntries {
		return nil, fmt.Errorf("encode list %s: %d entries, want at most %d", l.head.Object, l.entries, MaxEntries)
	}
	b := append([]byte{}, id[:]...)
	b = append(b, l.head.Domain[:]...)
	b = le.AppendUint32(b, 0)
	b = le.AppendUint64(b, uint64(max(0, l.created.Unix())))
	own := listWriter{rest: b}
	own.text(l.head.Object)
	own.text(l.head.Program)
	if own.err != nil {
		return nil, fmt.Errorf("encode list: %w", own.err)
	}
	return SealRecord(magic, append(own.rest, l.rest...))
}

// listReader takes a list's body apart. After its first error it yields nothing.
type listReader struct {
	head    Head
	created time.Time
	rest    []byte
	entries int
	err     error
}

func openList(magic Magic, b []byte, at At) (*listReader, error) {
	body, err := OpenRecord(magic, b)
	if err != nil {
		return nil, err
	}
	if len(body) < listHead {
		return nil, corrupt("list %q of %d bytes", magic, len(body))
	}
	if err := checkReserved(fmt.Sprintf("list %q: flags", magic), body[32:36]); err != nil {
		return nil, err
	}
	seconds := le.Uint64(body[36:])
	if seconds > 1<<40 {
		return nil, corrupt("list %q made %d seconds after 1970", magic, seconds)
	}
	l := &listReader{created: time.Unix(int64(seconds), 0).UTC(), rest: body[listHead:]}
	l.head = Head{Repository: uuid.UUID(body[:16]).String(), Domain: ivd.DomainID(body[16:32]), Object: l.text(), Program: l.text()}
	if l.err == nil {
		l.err = l.head.check(at)
	}
	return l, l.err
}

// take cuts n bytes off.
func (l *listReader) take(n int) []byte {
	if l.err == nil && n > len(l.rest) {
		l.err = corrupt("%s ends %d bytes early", l.head.Object, n-len(l.rest))
	}
	if l.err != nil {
		return nil
	}
	b := l.rest[:n]
	l.rest = l.rest[n:]
	return b
}

func (l *listReader) text() string {
	n := l.take(2)
	if l.err != nil {
		return ""
	}
	return string(l.take(int(le.Uint16(n))))
}

// count reads how many entries of at least size bytes follow.
func (l *listReader) count(size int) int {
	b := l.take(4)
	if l.err != nil {
		return 0
	}
	n := int(le.Uint32(b))
	if l.entries += n; l.entries > MaxEntries || n*size > len(l.rest) {
		l.err = corrupt("%s: %d entries in %d bytes", l.head.Object, n, len(l.rest))
		return 0
	}
	return n
}

func (l *listReader) fixed(size int, sorted bool, add func([]byte)) {
	var last []byte
	for range l.count(size) {
		b := l.take(size)
		if sorted && last != nil && bytes.Compare(last, b) >= 0 {
			l.err = corrupt("%s is not in order", l.head.Object)
			return
		}
		add(b)
		last = b
	}
}

func (l *listReader) names(add func(string)) {
	last := ""
	for range l.count(2) {
		s := l.text()
		if l.err == nil && s <= last {
			l.err = corrupt("%s is not in order", l.head.Object)
		}
		if l.err != nil {
			return
		}
		add(s)
		last = s
	}
}

// end is the first error, or that of bytes that are left.
func (l *listReader) end() error {
	if l.err == nil && len(l.rest) > 0 {
		l.err = corrupt("%s is %d bytes too long", l.head.Object, len(l.rest))
	}
	return l.err
}
