package queue

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"ivdmover/shared/ivd"
)

// Mirror is the values below a prefix as they are now, kept by one standing watch: who
// wants to know them again and again asks the server for nothing. What was written is
// seen a moment later; who must know what is stored now lists it. What DeletePrefix
// removes is told to nobody, and stays.
type Mirror[T any] struct {
	q      *Queue
	decode func(Entry) (T, bool) // reports whether the value counts

	mu      sync.Mutex
	values  map[string]T  // guarded by mu
	current chan struct{} // guarded by mu: closed while the values are as the server has them
	start   sync.Once
	watch   *watch
}

// NewMirror mirrors the values below prefix as decode has them; one that it refuses is
// left out. It watches from the first question on, until the queue ends.
func NewMirror[T any](b *Bucket, prefix string, decode func(Entry) (v T, ok bool)) *Mirror[T] {
	m := &Mirror[T]{q: b.q, decode: decode, values: map[string]T{}, current: make(chan struct{})}
	m.watch = &watch{b: b, prefix: prefix, known: map[string]uint64{}, send: m.take, lost: m.lost, again: true}
	return m
}

// All are the values, in the order of their keys. While the server is away it waits for
// the patience of the queue's options, and then says so (kind Transient).
func (m *Mirror[T]) All(ctx context.Context) ([]T, error) {
	m.start.Do(func() { m.q.background(context.Background(), m.watch.run) })
	if err := m.await(ctx); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make([]T, 0, len(m.values))
	for _, k := range slices.Sorted(maps.Keys(m.values)) {
		all = append(all, m.values[k])
	}
	return all, nil
}

// await waits until the values are as the server has them.
func (m *Mirror[T]) await(ctx context.Context) error {
	m.mu.Lock()
	current := m.current
	m.mu.Unlock()
	select {
	case <-current:
		return nil
	default:
	}
	limit, stop := context.WithTimeoutCause(ctx, m.q.patience, errSilent)
	defer stop()
	select {
	case <-current:
		return nil
	case <-m.q.ctx.Done():
		return ivd.Errorf(ivd.Cancelled, "watch %s: the queue is closed", below(m.watch.prefix))
	case <-limit.Done():
		err := context.Cause(limit)
		if errors.Is(err, errSilent) {
			return fail(err, "watch %s", below(m.watch.prefix))
		}
		return err
	}
}

var errSilent = ivd.Errorf(ivd.Transient, "the queue's server does not answer")

// take takes what the watch tells.
func (m *Mirror[T]) take(_ context.Context, e Event) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case e.Current:
		close(m.current)
	case e.Deleted:
		delete(m.values, e.Key)
	default:
		if v, ok := m.decode(e.Entry); ok {
			m.values[e.Key] = v
		} else {
			delete(m.values, e.Key)
		}
	}
	return true
}

// lost notes that the connection is, and what was told may be out of date.
func (m *Mirror[T]) lost() {
	m.mu.Lock()
	defer m.mu.Unlock()
	select {
	case <-m.current:
		m.current = make(chan struct{})
	default:
	}
}
