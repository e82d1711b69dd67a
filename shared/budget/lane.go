package budget

import "context"

// Lane is one job's slots of one size: some are its own, reserved with the job;
// more are taken from what is free, up to a limit. A slot holds whatever make
// makes; those of the job's own are used again, the others are dropped when they
// are given back.
type Lane[T any] struct {
	memory *Memory
	size   int64 // bytes that one slot counts
	make   func() T
	drop   func(T)

	// guarded by memory.mu
	own   int // not in use
	extra int // may still be taken from what is free
	spare []T // made for the job's own slots, not in use
	out   map[*Slot[T]]bool
}

// Slot is one of a lane, in use.
type Slot[T any] struct {
	Value T
	extra bool
}

// NewLane makes a job's lane. The job has reserved size bytes for each of its own
// slots; make makes what a slot holds, drop frees it.
func NewLane[T any](m *Memory, size int64, own, extra int, make func() T, drop func(T)) *Lane[T] {
	return &Lane[T]{memory: m, size: size, own: own, extra: extra, make: make, drop: drop, out: map[*Slot[T]]bool{}}
}

// Get waits for a slot.
func (l *Lane[T]) Get(ctx context.Context) (*Slot[T], error) {
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

// Try takes a slot if there is one.
func (l *Lane[T]) Try() (*Slot[T], bool) {
	l.memory.mu.Lock()
	defer l.memory.mu.Unlock()
	return l.tryLocked()
}

func (l *Lane[T]) tryLocked() (*Slot[T], bool) {
	m := l.memory
	switch {
	case l.own > 0:
		return l.takeLocked(false), true
	case l.extra > 0 && m.waiting == 0 && m.used+l.size <= m.total:
		return l.takeLocked(true), true
	}
	return nil, false
}

func (l *Lane[T]) takeLocked(extra bool) *Slot[T] {
	s := &Slot[T]{extra: extra}
	if n := len(l.spare); n > 0 && !extra {
		s.Value = l.spare[n-1]
		l.spare = l.spare[:n-1]
	} else {
		s.Value = l.make()
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

// Put gives a slot back; nobody uses its value any more. A slot that was given back
// already, or whose lane is closed, is left alone.
func (l *Lane[T]) Put(s *Slot[T]) {
	m := l.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	if !l.out[s] {
		return // it was given back before, or the lane is closed
	}
	delete(l.out, s)
	if s.extra {
		l.drop(s.Value)
		l.extra++
		m.used -= l.size
	} else {
		l.spare = append(l.spare, s.Value)
		l.own++
	}
	m.wakeLocked()
}

// Close drops all slots, those that were never given back included. The job's
// goroutines have ended by then.
func (l *Lane[T]) Close() {
	m := l.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	for s := range l.out {
		l.drop(s.Value)
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
