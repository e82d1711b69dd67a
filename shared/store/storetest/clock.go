package storetest

import (
	"context"
	"iter"
	"sync"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/store"
)

// Clock is a store whose clock a test moves on: what it says of the time, and when
// its objects were modified.
type Clock struct {
	store.Store

	mu      sync.Mutex
	ahead   time.Duration
	written map[store.Name]time.Duration // how far it was ahead then
}

// Pass lets time pass by the store's clock.
func (c *Clock) Pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}

func (c *Clock) wrote(name store.Name) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.written == nil {
		c.written = map[store.Name]time.Duration{}
	}
	c.written[name] = c.ahead
}

func (c *Clock) info(i store.Info) store.Info {
	c.mu.Lock()
	defer c.mu.Unlock()
	i.Modified = i.Modified.Add(c.written[i.Name])
	return i
}

// Put is store.Store's.
func (c *Clock) Put(ctx context.Context, name store.Name, body []byte) error {
	c.wrote(name)
	return c.Store.Put(ctx, name, body)
}

// Replace is store.Store's.
func (c *Clock) Replace(ctx context.Context, was store.Object, body []byte) error {
	c.wrote(was.Name)
	return c.Store.Replace(ctx, was, body)
}

// Get is store.Store's.
func (c *Clock) Get(ctx context.Context, name store.Name, limit int64) (store.Object, error) {
	o, err := c.Store.Get(ctx, name, limit)
	if err != nil {
		return o, err
	}
	o.Info = c.info(o.Info)
	c.mu.Lock()
	defer c.mu.Unlock()
	o.Now = o.Now.Add(c.ahead)
	return o, nil
}

// Stat is store.Store's.
func (c *Clock) Stat(ctx context.Context, name store.Name) (store.Info, error) {
	i, err := c.Store.Stat(ctx, name)
	return c.info(i), err
}

// List is store.Store's.
func (c *Clock) List(ctx context.Context, prefix string) iter.Seq2[store.Info, error] {
	return func(yield func(store.Info, error) bool) {
		for i, err := range c.Store.List(ctx, prefix) {
			if !yield(c.info(i), err) {
				return
			}
		}
	}
}

// Prepare is store.Store's.
func (c *Clock) Prepare(ctx context.Context, lease ivd.LeaseID, name store.Name, body []byte, expiry time.Duration) (store.Pending, error) {
	p, err := c.Store.Prepare(ctx, lease, name, body, expiry)
	return &clockPending{p, c, name}, err
}

type clockPending struct {
	store.Pending
	c    *Clock
	name store.Name
}

// Send is store.Pending's.
func (p *clockPending) Send(ctx context.Context) error {
	p.c.wrote(p.name)
	return p.Pending.Send(ctx)
}
