// Package limit is a store that keeps to limits: bytes and requests a second, by a
// table of hours. All requests of a process through one Store share them, those that
// wait longest first; a wait ends with its context, and then nothing was asked of the
// store.
//
// A moment's burst is bounded by what a second allows and one request beyond it. What
// the creation of a name costs is paid when it is prepared, so that Send is never kept
// waiting: its caller has just looked at a lease. What implementations repeat within a
// call is not counted, nor what a listing's pages weigh.
package limit

import (
	"context"
	"iter"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/store"
)

// Store is a store within limits.
type Store struct {
	store.Store
	upload, download, requests *bucket
}

// New limits a store.
func New(s store.Store, t Table) *Store {
	return &Store{
		Store:    s,
		upload:   newBucket(func(now time.Time) int64 { return t.At(now).Upload }),
		download: newBucket(func(now time.Time) int64 { return t.At(now).Download }),
		requests: newBucket(func(now time.Time) int64 { return t.At(now).Requests }),
	}
}

// Inside is the store that is limited.
func (s *Store) Inside() store.Store { return s.Store }

// ask waits until one more request may be sent.
func (s *Store) ask(ctx context.Context) error { return s.requests.take(ctx, smallLane, 1) }

// send waits until one more request with a body may be sent.
func (s *Store) send(ctx context.Context, body []byte) error {
	if err := s.ask(ctx); err != nil {
		return err
	}
	return s.upload.take(ctx, laneOf(len(body)), len(body))
}

// Put is store.Store's.
func (s *Store) Put(ctx context.Context, name store.Name, body []byte) error {
	if err := s.send(ctx, body); err != nil {
		return err
	}
	return s.Store.Put(ctx, name, body)
}

// Get is store.Store's. How large the object is the answer tells: those who come later
// wait for it.
func (s *Store) Get(ctx context.Context, name store.Name, limit int64) (store.Object, error) {
	if err := s.ask(ctx); err != nil {
		return store.Object{}, err
	}
	if err := s.download.take(ctx, smallLane, 0); err != nil {
		return store.Object{}, err
	}
	o, err := s.Store.Get(ctx, name, limit)
	s.download.owe(len(o.Body))
	return o, err
}

// ReadAt is store.Store's.
func (s *Store) ReadAt(ctx context.Context, name store.Name, p []byte, offset int64) error {
	if err := s.ask(ctx); err != nil {
		return err
	}
	if err := s.download.take(ctx, laneOf(len(p)), len(p)); err != nil {
		return err
	}
	return s.Store.ReadAt(ctx, name, p, offset)
}

// Stat is store.Store's.
func (s *Store) Stat(ctx context.Context, name store.Name) (store.Info, error) {
	if err := s.ask(ctx); err != nil {
		return store.Info{}, err
	}
	return s.Store.Stat(ctx, name)
}

// List is store.Store's; each of its pages is a request.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[store.Info, error] {
	return func(yield func(store.Info, error) bool) {
		if err := s.ask(ctx); err != nil {
			yield(store.Info{}, err)
			return
		}
		page, n := s.Properties().ListPage, 0
		for info, err := range s.Store.List(ctx, prefix) {
			if n++; err == nil && page > 0 && n > page {
				n = 1
				err = s.ask(ctx)
			}
			if !yield(info, err) || err != nil {
				return
			}
		}
	}
}

// Replace is store.Store's.
func (s *Store) Replace(ctx context.Context, was store.Object, body []byte) error {
	if err := s.send(ctx, body); err != nil {
		return err
	}
	return s.Store.Replace(ctx, was, body)
}

// Delete is store.Store's.
func (s *Store) Delete(ctx context.Context, name store.Name) error {
	if err := s.ask(ctx); err != nil {
		return err
	}
	return s.Store.Delete(ctx, name)
}

// Lock is store.Store's.
func (s *Store) Lock(ctx context.Context, name store.Name, until time.Time) error {
	if err := s.ask(ctx); err != nil {
		return err
	}
	return s.Store.Lock(ctx, name, until)
}

// LockedUntil is store.Store's.
func (s *Store) LockedUntil(ctx context.Context, name store.Name) (time.Time, error) {
	if err := s.ask(ctx); err != nil {
		return time.Time{}, err
	}
	return s.Store.LockedUntil(ctx, name)
}

// Prepare is store.Store's. It waits for what Send will send.
func (s *Store) Prepare(ctx context.Context, lease ivd.LeaseID, name store.Name, body []byte, expiry time.Duration) (store.Pending, error) {
	if err := s.send(ctx, body); err != nil {
		return nil, err
	}
	return s.Store.Prepare(ctx, lease, name, body, expiry)
}
