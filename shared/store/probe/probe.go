// Package probe tries what a store promises (package store), and what its bucket does
// beyond that. One Probe tries one promise, on a store that is empty and nobody else's,
// and fails with what was seen. The conformance suite asserts the same probes that
// `ivd repo check-store` tells of.
//
// An error of kind Unsupported means that the store does not keep the promise; any
// other, that it could not be tried. Probes leave objects behind: see Clean. None of
// them waits for more than some seconds.
package probe

import (
	"cmp"
	"context"
	"fmt"

	"ivdmover/shared/ivd"
	"ivdmover/shared/store"
)

// Need says what depends on a promise.
type Need string

// The needs.
const (
	Required Need = "required" // without it what is committed is not safe: the store must not be used
	Useful   Need = "useful"   // without it something is not done
)

// Probe tries one promise.
type Probe struct {
	Name  string // snake_case, for programs
	Says  string // the promise, for people
	Need  Need
	Lacks string // what is not done, or what to know, where it is not kept
	Try   func(ctx context.Context, on Ground) error
}

// Ground is where a probe is tried.
type Ground struct {
	Store store.Store
	// Bucket is nil where the store is none of an S3 service.
	Bucket Bucket
	// Prefix is before the names of those probes that say so; it may be empty.
	Prefix string
}

// On is the ground that a store is, or one inside it.
func On(s store.Store) Ground {
	g := Ground{Store: s}
	for inner := s; inner != nil; {
		if b, is := inner.(Bucket); is {
			g.Bucket = b
			return g
		}
		around, is := inner.(interface{ Inside() store.Store })
		if !is {
			return g
		}
		inner = around.Inside()
	}
	return g
}

// Promises are those of package store, which every implementation keeps.
var Promises = []Probe{
	Content, Ranges, Absent, WholeObjects, Listing, LongListing, Clock, CreateOnce, CreateRace, Late, Replace, ReplaceRace, ReplaceGone, Delete,
}

// All are the promises, and what a bucket does.
var All = append(append([]Probe{}, Promises...), DefaultRetention, Checksum, BatchDelete, Versions, Lock)

// broken is the error of a store that does not keep a promise.
func broken(remedy, format string, args ...any) error {
	return &ivd.Error{Kind: ivd.Unsupported, Err: fmt.Errorf(format, args...), Remedy: remedy}
}

// wantKind is nil where err is of a kind, and else says that the promise is broken, where
// err is an answer at all.
func wantKind(what string, err error, want ivd.Kind, remedy string) error {
	switch kind := ivd.KindOf(err); {
	case kind == want && err != nil:
		return nil
	case err == nil:
		return broken(remedy, "%s: it is not refused", what)
	case kind == ivd.Corrupt, kind == ivd.Exists, kind == ivd.Conflict, kind == ivd.NotFound, kind == ivd.Expired, kind == ivd.Unsupported:
		return broken(remedy, "%s: %w", what, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// put stores an object.
func (g Ground) put(ctx context.Context, name store.Name, body []byte) error {
	if err := g.Store.Put(ctx, name, body); err != nil {
		return fmt.Errorf("put %s: %w", name, err)
	}
	return nil
}

// maxObject bounds what probes read.
const maxObject = 64 << 20

// read reads an object whole, which must be there.
func (g Ground) read(ctx context.Context, name store.Name) (store.Object, error) {
	o, err := g.Store.Get(ctx, name, maxObject)
	switch {
	case ivd.KindOf(err) == ivd.NotFound:
		return o, broken(remedyCache, "%s is not there right after it was stored", name)
	case err != nil:
		return o, fmt.Errorf("get %s: %w", name, err)
	case o.Name != name || o.Size != int64(len(o.Body)):
		return o, broken(remedyCache, "get %s: the answer is %s with %d bytes, of %d", name, o.Name, len(o.Body), o.Size)
	}
	return o, nil
}

const remedyCache = "use a store that is strongly consistent, and look whether a proxy or a cache answers for it"

// same is nil where an object has a content.
func (g Ground) same(ctx context.Context, name store.Name, want string) error {
	o, err := g.read(ctx, name)
	if err != nil {
		return err
	}
	if string(o.Body) != want {
		return broken(remedyCache, "%s: %d bytes are read that were not stored last", name, len(o.Body))
	}
	return nil
}

// names lists the names below a prefix.
func (g Ground) names(ctx context.Context, prefix string) ([]store.Name, error) {
	found := []store.Name{}
	for info, err := range g.Store.List(ctx, prefix) {
		if err != nil {
			return nil, fmt.Errorf("list %q: %w", prefix, err)
		}
		found = append(found, info.Name)
	}
	return found, nil
}

// Left are objects that probes have left and that could not be deleted.
type Left struct {
	Names []string // as people find them
	Err   error    // of the first
}

// Clean deletes all that a store has and tells what it could not delete: it is for stores
// that were made for probes. Where the list fails, that is the error.
func Clean(ctx context.Context, s store.Store) (Left, error) {
	var left Left
	for info, err := range s.List(ctx, "") {
		if err != nil {
			return left, err
		}
		if err := s.Delete(ctx, info.Name); err != nil {
			left.Names = append(left.Names, s.String()+"/"+string(info.Name))
			left.Err = cmp.Or(left.Err, err)
			if ctx.Err() != nil {
				return left, context.Cause(ctx)
			}
		}
	}
	return left, nil
}
