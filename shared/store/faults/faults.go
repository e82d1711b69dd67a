// Package faults is a store whose calls fail as a test has scripted it: before they
// happen, after they have happened, or late. It passes on to another store what no
// fault happens to. It promises that a test does not pass while one of its faults has
// not happened. Only tests import it.
package faults

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"testing"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/store"
)

// Method names a call of a store.
type Method string

// The methods. Send is that of what Prepare made.
const (
	Put     Method = "put"
	Get     Method = "get"
	ReadAt  Method = "read"
	Stat    Method = "stat"
	List    Method = "list"
	Replace Method = "replace"
	Delete  Method = "delete"
	Prepare Method = "prepare"
	Send    Method = "send"
	Lock    Method = "lock"
	Locked  Method = "locked" // LockedUntil
)

// Fault is what happens to some calls of a method. Of its parts those that are
// set happen, in this order: Do, Delay, Before; the call itself; After.
type Fault struct {
	On     Method
	Prefix string // of the names (of List: of the prefixes) it is about; empty: all
	Call   int    // the first call it happens to, from 1 (0 is 1), of those it is about
	Times  int    // how many calls in a row (0 is 1; Always: every further one)

	Do     func(store.Name) // a callback, such as one that kills a process or waits for it
	Delay  time.Duration    // ends with the context
	Before error            // instead of the call
	After  error            // after the call, which succeeded: the answer was lost
}

// Always is for Fault.Times.
const Always = 1 << 30

// ErrInjected is a transient fault, for Before and After.
var ErrInjected error = &ivd.Error{Kind: ivd.Transient, Err: errors.New("injected fault")}

// Store is a store whose calls fail as a test has scripted it. A test ends in
// failure when one of its faults has not happened.
type Store struct {
	store.Store
	// ListPage is how many objects one request of a listing is said to tell of, where it
	// is not zero: as of a service, whatever the store is.
	ListPage int
	// Each is asked before every call: an error is instead of the call. Nil: none is. It
	// is set before the store is used.
	Each func(m Method, name string) error

	mu     sync.Mutex
	faults []*script
	calls  map[Method]int
}

type script struct {
	Fault
	seen int // calls that it is about
	hit  int // of these, those it happened to
}

// New wraps a store.
func New(t testing.TB, s store.Store, faults ...Fault) *Store {
	f := &Store{Store: s, calls: map[Method]int{}}
	for _, x := range faults {
		f.Add(x)
	}
	t.Cleanup(func() {
		for _, line := range f.Unused() {
			t.Errorf("a scripted fault did not happen: %s", line)
		}
	})
	return f
}

// Add scripts one more fault; it counts calls from now on.
func (f *Store) Add(x Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	x.Call, x.Times = max(x.Call, 1), max(x.Times, 1)
	f.faults = append(f.faults, &script{Fault: x})
}

// Unused describes the faults that have not happened, or not as often as they
// should.
func (f *Store) Unused() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []string
	for _, s := range f.faults {
		if s.hit == 0 || s.Times != Always && s.hit < s.Times {
			out = append(out, fmt.Sprintf("%s %s* from call %d, %d times: %d calls, happened %d times", s.On, s.Prefix, s.Call, s.Times, s.seen, s.hit))
		}
	}
	return out
}

// Calls counts the calls of a method, those that failed included.
func (f *Store) Calls(m Method) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[m]
}

// next counts a call and takes the faults that happen to it.
func (f *Store) next(m Method, name string) []Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls[m]++
	var out []Fault
	for _, s := range f.faults {
		if s.On != m || !strings.HasPrefix(name, s.Prefix) {
			continue
		}
		if s.seen++; s.seen >= s.Call && s.seen < s.Call+s.Times {
			s.hit++
			out = append(out, s.Fault)
		}
	}
	return out
}

// run lets a call happen between what its faults do before and after it.
func (f *Store) run(ctx context.Context, m Method, name string, call func() error) error {
	if f.Each != nil {
		if err := f.Each(m, name); err != nil {
			return err
		}
	}
	faults := f.next(m, name)
	for _, x := range faults {
		if x.Do != nil {
			x.Do(store.Name(name))
		}
		if !pause(ctx, x.Delay) {
			return ctx.Err()
		}
		if x.Before != nil {
			return x.Before
		}
	}
	err := call()
	for _, x := range faults {
		if err == nil {
			err = x.After
		}
	}
	return err
}

func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Properties is store.Store's.
func (f *Store) Properties() store.Properties {
	p := f.Store.Properties()
	p.ListPage = max(p.ListPage, f.ListPage)
	return p
}

// Put is store.Store's.
func (f *Store) Put(ctx context.Context, name store.Name, body []byte) error {
	return f.run(ctx, Put, string(name), func() error { return f.Store.Put(ctx, name, body) })
}

// Get is store.Store's.
func (f *Store) Get(ctx context.Context, name store.Name, limit int64) (o store.Object, err error) {
	err = f.run(ctx, Get, string(name), func() (err error) {
		o, err = f.Store.Get(ctx, name, limit)
		return err
	})
	return o, err
}

// ReadAt is store.Store's.
func (f *Store) ReadAt(ctx context.Context, name store.Name, p []byte, offset int64) error {
	return f.run(ctx, ReadAt, string(name), func() error { return f.Store.ReadAt(ctx, name, p, offset) })
}

// Stat is store.Store's.
func (f *Store) Stat(ctx context.Context, name store.Name) (i store.Info, err error) {
	err = f.run(ctx, Stat, string(name), func() (err error) {
		i, err = f.Store.Stat(ctx, name)
		return err
	})
	return i, err
}

// List is store.Store's. A fault Before comes before the first object, one After
// behind the last.
func (f *Store) List(ctx context.Context, prefix string) iter.Seq2[store.Info, error] {
	return func(yield func(store.Info, error) bool) {
		stopped := false
		err := f.run(ctx, List, prefix, func() error {
			for info, err := range f.Store.List(ctx, prefix) {
				if err != nil {
					return err
				}
				if !yield(info, nil) {
					stopped = true
					return nil
				}
			}
			return nil
		})
		if err != nil && !stopped {
			yield(store.Info{}, err)
		}
	}
}

// Replace is store.Store's.
func (f *Store) Replace(ctx context.Context, was store.Object, body []byte) error {
	return f.run(ctx, Replace, string(was.Name), func() error { return f.Store.Replace(ctx, was, body) })
}

// Delete is store.Store's.
func (f *Store) Delete(ctx context.Context, name store.Name) error {
	return f.run(ctx, Delete, string(name), func() error { return f.Store.Delete(ctx, name) })
}

// Lock is store.Store's.
func (f *Store) Lock(ctx context.Context, name store.Name, until time.Time) error {
	return f.run(ctx, Lock, string(name), func() error { return f.Store.Lock(ctx, name, until) })
}

// LockedUntil is store.Store's.
func (f *Store) LockedUntil(ctx context.Context, name store.Name) (until time.Time, err error) {
	err = f.run(ctx, Locked, string(name), func() (err error) {
		until, err = f.Store.LockedUntil(ctx, name)
		return err
	})
	return until, err
}

// Prepare is store.Store's; what it makes is faulty too.
func (f *Store) Prepare(ctx context.Context, lease ivd.LeaseID, name store.Name, body []byte, expiry time.Duration) (store.Pending, error) {
	var p store.Pending
	err := f.run(ctx, Prepare, string(name), func() (err error) {
		p, err = f.Store.Prepare(ctx, lease, name, body, expiry)
		return err
	})
	if err != nil {
		if p != nil {
			p.Discard()
		}
		return nil, err
	}
	return &pending{Pending: p, f: f, name: name}, nil
}

type pending struct {
	store.Pending
	f    *Store
	name store.Name
}

// Send is store.Pending's.
func (p *pending) Send(ctx context.Context) error {
	return p.f.run(ctx, Send, string(p.name), func() error { return p.Pending.Send(ctx) })
}
