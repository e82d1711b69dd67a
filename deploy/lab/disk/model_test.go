package disk_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"

	"ivdmover/deploy/lab/disk"
	"ivdmover/shared/ivd"
)

// model is a disk as byte slices: what every operation must amount to.
type model struct {
	t         *rapid.T
	d         *disk.Disk
	path      string
	content   []byte
	snapshots []past
	dirty     map[int64]bool // blocks written since the last snapshot
	made      int
}

type past struct {
	id      string
	content []byte
	dirty   map[int64]bool // blocks written since the snapshot before it was made
}

func newModel(t *rapid.T, dir string) *model {
	capacity := rapid.Int64Range(1, 40*disk.BlockSize/disk.SectorSize).Draw(t, "sectors") * disk.SectorSize
	path := filepath.Join(dir, "d.vmdk")
	if err := disk.Create(path, capacity); err != nil {
		t.Fatal(err)
	}
	m := &model{t: t, path: path, content: make([]byte, capacity), dirty: map[int64]bool{}}
	m.reopen()
	if err := m.d.TrackChanges(true); err != nil {
		t.Fatal(err)
	}
	return m
}

func (m *model) reopen() {
	if m.d != nil {
		if err := m.d.Close(); err != nil {
			m.t.Fatal(err)
		}
	}
	var err error
	if m.d, err = disk.Open(m.path); err != nil {
		m.t.Fatal(err)
	}
}

func (m *model) write() {
	off := rapid.IntRange(0, len(m.content)-1).Draw(m.t, "offset")
	n := rapid.IntRange(1, min(len(m.content)-off, 3*disk.BlockSize)).Draw(m.t, "length")
	fill := rapid.Byte().Draw(m.t, "fill")
	p := bytes.Repeat([]byte{fill}, n)
	if err := m.d.WriteAt(p, int64(off)); err != nil {
		m.t.Fatal(err)
	}
	m.note(p, off)
}

func (m *model) note(p []byte, off int) {
	copy(m.content[off:], p)
	for b := off / disk.BlockSize; b <= (off+len(p)-1)/disk.BlockSize; b++ {
		m.dirty[int64(b)] = true
	}
}

func (m *model) snapshot() {
	m.made++
	id := fmt.Sprintf("s%d", m.made)
	if err := m.d.Snapshot(id); err != nil {
		m.t.Fatal(err)
	}
	m.snapshots = append(m.snapshots, past{id: id, content: bytes.Clone(m.content), dirty: m.dirty})
	m.dirty = map[int64]bool{}
}

func (m *model) pick() (int, bool) {
	if len(m.snapshots) == 0 {
		return 0, false
	}
	return rapid.IntRange(0, len(m.snapshots)-1).Draw(m.t, "snapshot"), true
}

func (m *model) remove() {
	i, ok := m.pick()
	if !ok {
		return
	}
	if err := m.d.DeleteSnapshot(context.Background(), m.snapshots[i].id); err != nil {
		m.t.Fatal(err)
	}
	next := m.dirty
	if i+1 < len(m.snapshots) {
		next = m.snapshots[i+1].dirty
	}
	for b := range m.snapshots[i].dirty {
		next[b] = true
	}
	m.snapshots = append(m.snapshots[:i:i], m.snapshots[i+1:]...)
}

func (m *model) revert() {
	i, ok := m.pick()
	if !ok {
		return
	}
	s := m.snapshots[i]
	if err := m.d.Revert(s.id); err != nil {
		m.t.Fatal(err)
	}
	for _, later := range m.snapshots[i+1:] {
		for b := range later.dirty {
			m.dirty[b] = true
		}
	}
	m.snapshots = m.snapshots[:i+1]
	m.content = bytes.Clone(s.content)
}

func (m *model) check() {
	m.same("", m.content)
	for i, s := range m.snapshots {
		m.same(s.id, s.content)
		m.covered(s.id, s.content)
		if i > 0 {
			m.changed(m.snapshots[i-1], s)
		}
	}
	if got := len(m.d.Snapshots()); got != len(m.snapshots) {
		m.t.Fatalf("%d snapshots, want %d", got, len(m.snapshots))
	}
}

func (m *model) same(id string, want []byte) {
	got := make([]byte, len(want))
	if err := m.d.ReadAt(id, got, 0); err != nil {
		m.t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		m.t.Fatalf("content of %q differs", id)
	}
	off := rapid.IntRange(0, len(want)-1).Draw(m.t, "from")
	part := got[:rapid.IntRange(0, len(want)-off).Draw(m.t, "part")]
	if err := m.d.ReadAt(id, part, int64(off)); err != nil || !bytes.Equal(part, want[off:off+len(part)]) {
		m.t.Fatalf("part of %q differs: %v", id, err)
	}
}

// covered checks that what no allocated area names is zero.
func (m *model) covered(id string, want []byte) {
	limit := rapid.IntRange(1, 3).Draw(m.t, "page")
	rest := bytes.Clone(want)
	for at := int64(0); at < int64(len(want)); {
		a, err := m.d.Allocated(id, at, int64(len(want)), limit)
		if err != nil {
			m.t.Fatal(err)
		}
		if a.End <= at || len(a.Extents) > limit {
			m.t.Fatalf("from %d: %+v", at, a)
		}
		for _, x := range a.Extents {
			clear(rest[x.Offset:x.End()])
		}
		at = a.End
	}
	if !bytes.Equal(rest, make([]byte, len(rest))) {
		m.t.Fatalf("data of %q outside the allocated areas", id)
	}
}

// changed checks that the areas are exactly the blocks that were written.
func (m *model) changed(from, to past) {
	want := make([]byte, len(m.content))
	for b := range to.dirty {
		for i := b * disk.BlockSize; i < min((b+1)*disk.BlockSize, int64(len(want))); i++ {
			want[i] = 1
		}
	}
	limit := rapid.IntRange(1, 3).Draw(m.t, "page")
	got := make([]byte, len(want))
	for at := int64(0); at < int64(len(want)); {
		a, err := m.d.Changed(to.id, changeID(m.d, from.id), at, limit)
		if err != nil {
			m.t.Fatal(err)
		}
		for _, x := range a.Extents {
			for i := x.Offset; i < x.End(); i++ {
				got[i]++
			}
		}
		at = a.End
	}
	if !bytes.Equal(got, want) {
		m.t.Fatalf("areas changed from %s to %s differ", from.id, to.id)
	}
}

func changeID(d *disk.Disk, id string) string {
	for _, s := range d.Snapshots() {
		if s.ID == id {
			return s.ChangeID()
		}
	}
	return ""
}

func TestDiskIsItsModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := newModel(rt, t.TempDir())
		rt.Repeat(map[string]func(*rapid.T){
			"":         func(*rapid.T) { m.check() },
			"write":    func(*rapid.T) { m.write() },
			"snapshot": func(*rapid.T) { m.snapshot() },
			"delete":   func(*rapid.T) { m.remove() },
			"revert":   func(*rapid.T) { m.revert() },
			"reopen":   func(*rapid.T) { m.reopen() },
		})
		if err := m.d.WriteAt([]byte{1, 2}, int64(len(m.content))-1); !errors.Is(err, disk.ErrRange) {
			rt.Fatalf("write over the end: %v", err)
		}
		if err := m.d.DeleteSnapshot(context.Background(), "absent"); ivd.KindOf(err) != ivd.NotFound {
			rt.Fatalf("delete of what is absent: %v", err)
		}
		if err := m.d.Close(); err != nil {
			rt.Fatal(err)
		}
	})
}
