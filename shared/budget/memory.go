// Package budget bounds the memory of everything in a process that moves the
// bytes of disks.
//
// It promises that no more is in use than the budget says, and that jobs never
// block each other: each reserves what it needs to go on by itself before it
// begins, and what it takes beyond that it never waits for while it holds what
// another one could need. It counts; it allocates only what its users' functions
// make. All types are safe for concurrent use.
package budget

import (
	"context"
	"errors"
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
// entries, what a restore has fetched, the lists of packs that nothing may build on.
// It does not count what is bounded by itself: the dedup memory, the compressor's
// tables, code and stacks.
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
	held    int64 // of used: what no job's end gives back
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

// Total is the whole budget, in bytes.
func (m *Memory) Total() int64 { return m.total }

// Alloc makes a buffer for a disk. It counts as part of a slot, not by itself.
func (m *Memory) Alloc(n int) Buffer { return m.alloc(n) }

// Compute runs f when one of the processors is free for it: it bounds what works
// on bytes at once, over all jobs. F should not
// wait for anything.
func (m *Memory) Compute(ctx context.Context, f func() error) error {
	select {
	case m.cpu <- struct{}{}:
		defer func() { <-m.cpu }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return f()
}

// ErrTooLittle is in the chain of Reserve's error where there is never as much.
var ErrTooLittle = errors.New("the memory is too little")

// Reserve waits until n bytes are free and takes them. Kind Invalid, and
// ErrTooLittle: there are never as many.
func (m *Memory) Reserve(ctx context.Context, n int64) error {
	m.mu.Lock()
	m.waiting++
	defer func() {
		m.waiting--
		m.wakeLocked() // those who were refused an extra slot
		m.mu.Unlock()
	}()
	for m.used+n > m.total {
		if n > m.total-m.held {
			return m.tooLittleLocked(n)
		}
		if err := m.waitLocked(ctx); err != nil {
			return err
		}
	}
	m.takeLocked(n)
	return nil
}

func (m *Memory) tooLittleLocked(n int64) error {
	err := fmt.Errorf("%w: %d MiB are needed, and there are %d MiB in all", ErrTooLittle, ceilMiB(n), ceilMiB(m.total))
	if m.held > 0 {
		err = fmt.Errorf("%w, of which lists of packs take %d MiB", err, ceilMiB(m.held))
	}
	return &ivd.Error{Kind: ivd.Invalid, Op: "reserve memory", Err: err}
}

// Hold takes n bytes at once, for what is there already and that no job's end gives
// back: jobs have so much less between them, until it is given back by a negative n.
func (m *Memory) Hold(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.held += n
	m.takeLocked(n)
	m.wakeLocked() // also whoever waits for more than is left now, in vain
}

// Release gives n bytes back.
func (m *Memory) Release(n int64) {
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

func ceilMiB(n int64) int64 { return (n + 1<<20 - 1) >> 20 }
