package image

import (
	"container/list"
	"context"
	"sync"

	"ivdmover/shared/ivd"
)

// cache keeps what was read last, by the name of its content, within some bytes. What
// several ask for at once is read once.
type cache[V any] struct {
	max int64

	mu      sync.Mutex
	used    int64
	entries map[ivd.ContentID]*list.Element // of *entry[V]
	order   list.List                       // the ones used last in front
	loading map[ivd.ContentID]chan struct{} // closed when the attempt has ended
}

type entry[V any] struct {
	id    ivd.ContentID
	value V
	cost  int64
}

func newCache[V any](bytes int64) *cache[V] {
	return &cache[V]{max: bytes, entries: map[ivd.ContentID]*list.Element{}, loading: map[ivd.ContentID]chan struct{}{}}
}

// get returns what is kept, or what load reads; load says what it takes in memory. An
// error is not kept: who waited for it tries itself.
func (c *cache[V]) get(ctx context.Context, id ivd.ContentID, load func(context.Context) (V, int64, error)) (V, error) {
	var none V
	for {
		c.mu.Lock()
		if e := c.entries[id]; e != nil {
			c.order.MoveToFront(e)
			c.mu.Unlock()
			return e.Value.(*entry[V]).value, nil
		}
		wait := c.loading[id]
		if wait == nil {
			break
		}
		c.mu.Unlock()
		select {
		case <-wait:
		case <-ctx.Done():
			return none, context.Cause(ctx)
		}
	}
	done := make(chan struct{})
	c.loading[id] = done
	c.mu.Unlock()

	v, cost, err := load(ctx)

	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.loading, id)
	close(done)
	if err != nil {
		return none, err
	}
	c.keepLocked(&entry[V]{id, v, cost})
	return v, nil
}

// keepLocked makes room for an entry, unless it is larger than all there is.
func (c *cache[V]) keepLocked(e *entry[V]) {
	if e.cost > c.max {
		return
	}
	for c.used+e.cost > c.max {
		oldest := c.order.Remove(c.order.Back()).(*entry[V])
		delete(c.entries, oldest.id)
		c.used -= oldest.cost
	}
	c.entries[e.id] = c.order.PushFront(e)
	c.used += e.cost
}
