package pipeline

import (
	"context"
	"fmt"
	"runtime"
	"sync"

	"ivdmover/shared/ivd"
)

// Buffer is memory that a library outside of Go may keep beyond a call.
type Buffer interface {
	Bytes() []byte
	Free()
}

// Memory is the one budget of a process for the bytes that its disks have in
// flight: read buffers, compressed chunks, packs being filled or uploaded, index
// entries, what a restore has fetched. It does not count what is bounded by
// itself: the dedup memory, the compressor's tables, code and stacks.
//
// Each job reserves enough, before it begins, to go on by itself for ever; beyond
// that it takes what is free at the moment and never waits for it while it holds
// what another job could need. So jobs cannot block each other, however small the
// budget. Safe for concurrent use.
type Memory struct {
	alloc func(n int) Buffer
	total int64
	cpu   chan struct{} // a token for each piece that is worked on, of all jobs

	mu      sync.Mutex
	used    int64
	peak    int64
	waiting int           // jobs that wait for their reservation: extras are refused
	changed chan struct{} // closed and replaced whenever something is given back
}

// NewMemory makes a budget of total bytes; alloc makes the buffers that are
// handed to a disk.
func NewMemory(total int64, alloc func(n int) Buffer) *Memory {
	return &Memory{
		alloc: alloc, total: total, changed: make(chan struct{}),
		cpu: make(chan struct{}, runtime.GOMAXPROCS(0)),
	}
}

// Peak is the most that was in use at once.
func (m *Memory) Peak() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.peak
}

// Used is what is in use or reserved now.
func (m *Memory) Used() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.used
}

// reserve waits until n bytes are free and takes them.
func (m *Memory) reserve(ctx context.Context, n int64) error {
	if n > m.total {
		return &ivd.Error{
			Kind:   ivd.Invalid,
			Op:     "reserve memory",
			Err:    fmt.Errorf("one disk with chunks of this size needs %d MiB, the mover may use %d MiB in all", ceilMiB(n), ceilMiB(m.total)),
			Remedy: fmt.Sprintf("set mover.memory to %d MiB for each of mover.handles", ceilMiB(n)),
		}
	}
	m.mu.Lock()
	m.waiting++
	defer func() {
		m.waiting--
		m.wakeLocked() // those who were refused an extra slot
		m.mu.Unlock()
	}()
	for m.used+n > m.total {
		if err := m.waitLocked(ctx); err != nil {
			return err
		}
	}
	m.takeLocked(n)
	return nil
}

// release gives n bytes back.
func (m *Memory) release(n int64) {
	m.mu.Lock()
	m.used -= n
	m.wakeLocked()
	m.mu.Unlock()
}

func (m *Memory) takeLocked(n int64) {
	m.used += n
	m.peak = max(m.peak, m.used)
}

// waitLocked gives the lock up until something was given back.
func (m *Memory) waitLocked(ctx context.Context) error {
	changed := m.changed
	m.mu.Unlock()
	defer m.mu.Lock()
	select {
	case <-changed:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (m *Memory) wakeLocked() {
	close(m.changed)
	m.changed = make(chan struct{})
}

// lane is one job's slots of one size: some are its own, reserved with the job;
// more are taken from what is free, up to a limit. A slot holds whatever make
// makes; those of the job's own are used again, the others are dropped when they
// are given back.
type lane[T any] struct {
	memory *Memory
	size   int64 // bytes that one slot counts
	make   func() T
	drop   func(T)

	// guarded by memory.mu
	own   int // not in use
	extra int // may still be taken from what is free
	spare []T // made for the job's own slots, not in use
	out   map[*slot[T]]bool
}

// slot is one of a lane, in use.
type slot[T any] struct {
	value T
	extra bool
}

func newLane[T any](m *Memory, size int64, own, extra int, make func() T, drop func(T)) *lane[T] {
	return &lane[T]{memory: m, size: size, own: own, extra: extra, make: make, drop: drop, out: map[*slot[T]]bool{}}
}

// get waits for a slot.
func (l *lane[T]) get(ctx context.Context) (*slot[T], error) {
	m := l.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	for {
		if err := ctx.Err(); err != nil {
			return nil, context.Cause(ctx)
		}
		if s, ok := l.tryLocked(); ok {
			return s, nil
		}
		if err := m.waitLocked(ctx); err != nil {
			return nil, err
		}
	}
}

// try takes a slot if there is one.
func (l *lane[T]) try() (*slot[T], bool) {
	l.memory.mu.Lock()
	defer l.memory.mu.Unlock()
	return l.tryLocked()
}

func (l *lane[T]) tryLocked() (*slot[T], bool) {
	m := l.memory
	switch {
	case l.own > 0:
		return l.takeLocked(false), true
	case l.extra > 0 && m.waiting == 0 && m.used+l.size <= m.total:
		return l.takeLocked(true), true
	}
	return nil, false
}

func (l *lane[T]) takeLocked(extra bool) *slot[T] {
	s := &slot[T]{extra: extra}
	if n := len(l.spare); n > 0 && !extra {
		s.value = l.spare[n-1]
		l.spare = l.spare[:n-1]
	} else {
		s.value = l.make()
	}
	if extra {
		l.extra--
		l.memory.takeLocked(l.size)
	} else {
		l.own--
	}
	l.out[s] = true
	return s
}

// put gives a slot back; nobody uses its value any more.
func (l *lane[T]) put(s *slot[T]) {
	m := l.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(l.out, s)
	if s.extra {
		l.drop(s.value)
		l.extra++
		m.used -= l.size
	} else {
		l.spare = append(l.spare, s.value)
		l.own++
	}
	m.wakeLocked()
}

// close drops all slots, those that were never given back included. The job's
// goroutines have ended by then.
func (l *lane[T]) close() {
	m := l.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	for s := range l.out {
		l.drop(s.value)
		if s.extra {
			m.used -= l.size
		}
	}
	for _, v := range l.spare {
		l.drop(v)
	}
	l.out, l.spare = nil, nil
	m.wakeLocked()
}

func ceilMiB(n int64) int64 { return (n + 1<<20 - 1) >> 20 }
