// Package meter is a store that counts what is asked of it: by kind of request, how
// many, how many failed, and their bytes. It changes nothing.
//
// It counts requests as services charge for them: a listing by its pages, a creation
// when it is sent. What an implementation repeats within a call counts once.
package meter

import (
	"context"
	"iter"
	"log/slog"
	"maps"
	"sync"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/store"
)

// Kind is a kind of request, by which services charge.
type Kind string

// The kinds.
const (
	Put    Kind = "put"    // an object was to be stored: Put, Replace, Send; or locked: Lock
	Get    Kind = "get"    // content was read: Get, ReadAt
	Head   Kind = "head"   // an object was asked for: Stat, LockedUntil
	List   Kind = "list"   // a page of a listing
	Delete Kind = "delete" // an object was to be deleted
)

// Kinds are all kinds, in the order in which they are shown.
var Kinds = []Kind{Put, Get, Head, List, Delete}

// Count is what was asked of one kind.
type Count struct {
	Requests int64 `json:"requests"`
	Errors   int64 `json:"errors"` // of these: without an answer that tells something
	Bytes    int64 `json:"bytes"`  // of bodies, as far as the requests succeeded
}

// Counts are what was asked of a store, by kind. Kinds of which nothing was are
// not there.
type Counts map[Kind]Count

// LogValue shows each kind that was asked for in a log.
func (c Counts) LogValue() slog.Value {
	var kinds []slog.Attr
	for _, k := range Kinds {
		if n, asked := c[k]; asked {
			kinds = append(kinds, slog.Group(string(k), "requests", n.Requests, "errors", n.Errors, "bytes", n.Bytes))
		}
	}
	return slog.GroupValue(kinds...)
}

// Store is a store whose requests are counted.
type Store struct {
	store.Store

	mu     sync.Mutex
	counts Counts // guarded by mu
}

// New counts what is asked of a store.
func New(s store.Store) *Store { return &Store{Store: s, counts: Counts{}} }

// Of is what was asked of a store until now, also of one inside another; nil where
// nobody counts.
func Of(s store.Store) Counts {
	switch s := s.(type) {
	case *Store:
		s.mu.Lock()
		defer s.mu.Unlock()
		return maps.Clone(s.counts)
	case interface{ Inside() store.Store }:
		return Of(s.Inside())
	}
	return nil
}

// count counts one request that came to err.
func (s *Store) count(k Kind, bytes int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.counts[k]
	c.Requests++
	switch ivd.KindOf(err) {
	case ivd.NotFound, ivd.Exists, ivd.Conflict: // answers
	default:
		if err != nil {
			c.Errors++
		}
	}
	if err == nil {
		c.Bytes += int64(bytes)
	}
	s.counts[k] = c
}

// Put is store.Store's.
func (s *Store) Put(ctx context.Context, name store.Name, body []byte) error {
	err := s.Store.Put(ctx, name, body)
	s.count(Put, len(body), err)
	return err
}

// Get is store.Store's.
func (s *Store) Get(ctx context.Context, name store.Name, limit int64) (store.Object, error) {
	o, err := s.Store.Get(ctx, name, limit)
	s.count(Get, len(o.Body), err)
	return o, err
}

// ReadAt is store.Store's.
func (s *Store) ReadAt(ctx context.Context, name store.Name, p []byte, offset int64) error {
	err := s.Store.ReadAt(ctx, name, p, offset)
	s.count(Get, len(p), err)
	return err
}

// Stat is store.Store's.
func (s *Store) Stat(ctx context.Context, name store.Name) (store.Info, error) {
	info, err := s.Store.Stat(ctx, name)
	s.count(Head, 0, err)
	return info, err
}

// List is store.Store's.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[store.Info, error] {
	return func(yield func(store.Info, error) bool) {
		page, n := s.Properties().ListPage, 0
		var failed error
		defer func() { s.count(List, 0, failed) }() // the last page, or the only one
		for info, err := range s.Store.List(ctx, prefix) {
			failed = err
			if n++; err == nil && page > 0 && n > page {
				n = 1
				s.count(List, 0, nil)
			}
			if !yield(info, err) {
				return
			}
		}
	}
}

// Replace is store.Store's.
func (s *Store) Replace(ctx context.Context, was store.Object, body []byte) error {
	err := s.Store.Replace(ctx, was, body)
	s.count(Put, len(body), err)
	return err
}

// Delete is store.Store's.
func (s *Store) Delete(ctx context.Context, name store.Name) error {
	err := s.Store.Delete(ctx, name)
	s.count(Delete, 0, err)
	return err
}

// Lock is store.Store's; services charge for it as for an object that is stored.
func (s *Store) Lock(ctx context.Context, name store.Name, until time.Time) error {
	err := s.Store.Lock(ctx, name, until)
	s.count(Put, 0, err)
	return err
}

// LockedUntil is store.Store's.
func (s *Store) LockedUntil(ctx context.Context, name store.Name) (time.Time, error) {
	until, err := s.Store.LockedUntil(ctx, name)
	s.count(Head, 0, err)
	return until, err
}

// Prepare is store.Store's. It asks for nothing that is charged for: Send does.
func (s *Store) Prepare(ctx context.Context, lease ivd.LeaseID, name store.Name, body []byte, expiry time.Duration) (store.Pending, error) {
	p, err := s.Store.Prepare(ctx, lease, name, body, expiry)
	if err != nil {
		return nil, err
	}
	return &pending{Pending: p, s: s, bytes: len(body)}, nil
}

type pending struct {
	store.Pending
	s     *Store
	bytes int
}

// Send is store.Pending's.
func (p *pending) Send(ctx context.Context) error {
	err := p.Pending.Send(ctx)
	p.s.count(Put, p.bytes, err)
	return err
}
