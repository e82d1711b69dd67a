package index

import (
	"context"
	"sync"
	"time"

	"ivdmover/shared/ivd"
)

// Sparse is how contents are found that the index was not told of. The zero Sparse finds
// none.
type Sparse struct {
	Hooks    *Hooks // of the whole repository; nil: there are none
	Unproven bool   // packs are followed that nobody has proven
	// Failed is told of a directory that could not be loaded since the store is away: for a
	// minute none is. Nil: nobody is told.
	Failed func(error)
}

// Directories say what is in packs, and which may be named.
type Directories interface {
	// Contents returns what lies in a data pack that a new point may name. Kinds NotFound,
	// Corrupt, Denied and Unsupported say that nothing is to be had of it, for long.
	Contents(ctx context.Context, pack ivd.PackID) ([]ivd.ContentRef, error)
}

const (
	restAfter    = time.Minute      // how long nothing is asked for after the store has failed
	loadTimeout  = 10 * time.Second // of one directory: whoever waits for it could store the chunk instead
	loadsAtOnce  = 8                // of all look-ups: each takes some MiB beside the index's memory
	lookupsInRow = 4                // of directories that lead to each other's contents
)

// directoryEntries is how many contents of one directory are remembered; packs of ours have
// no more.
const directoryEntries = 1 << 15

// lead is what has led to a pack.
type lead struct {
	hook   ivd.ContentID
	proven bool
}

// load is a directory that is being loaded.
type load struct {
	done chan struct{}
	ok   bool // once done is closed: its contents are known
}

// Lookup returns where contents lie, in their order; a zero place is not known. Where a
// hook leads to a pack, its directory is loaded first, so that what lies beside the content
// is found from then on without a request. It never fails: what cannot be had is not known.
func (x *Index) Lookup(ctx context.Context, ids []ivd.ContentID, from Directories) []Found {
	found := make([]Found, len(ids))
	for range lookupsInRow {
		wanted := x.wanted(ids, found)
		if len(wanted) == 0 || !x.loadAll(ctx, wanted, from) {
			break
		}
	}
	return found
}

// wanted fills in what is known, and returns the packs to which hooks lead for what is not.
func (x *Index) wanted(ids []ivd.ContentID, found []Found) map[ivd.PackID]lead {
	x.mu.Lock()
	for i, id := range ids {
		if found[i].IsZero() {
			found[i], _ = x.findLocked(id)
		}
	}
	resting := time.Now().Before(x.rest)
	x.mu.Unlock()
	if x.sparse.Hooks == nil || resting || x.max == 0 {
		return nil
	}
	var wanted map[ivd.PackID]lead
	for i, id := range ids {
		if !found[i].IsZero() {
			continue
		}
		c, ok := x.sparse.Hooks.Find(id)
		if !ok || !c.Proven && !x.sparse.Unproven {
			continue
		}
		if wanted == nil {
			wanted = map[ivd.PackID]lead{}
		}
		wanted[c.Pack] = lead{id, c.Proven}
	}
	return wanted
}

// loadAll loads directories, and reports whether any was.
func (x *Index) loadAll(ctx context.Context, wanted map[ivd.PackID]lead, from Directories) (some bool) {
	var all sync.WaitGroup
	loads := make([]*load, 0, len(wanted))
	for pack, by := range wanted {
		x.mu.Lock()
		l, begun := x.loading[pack]
		if !begun {
			l = &load{done: make(chan struct{})}
			x.loading[pack] = l
		}
		x.mu.Unlock()
		loads = append(loads, l)
		if begun {
			continue // by another job, or another piece of this one
		}
		all.Go(func() {
			select {
			case x.tokens <- struct{}{}:
				l.ok = x.load(ctx, pack, by, from)
				<-x.tokens
			case <-ctx.Done():
			}
			x.mu.Lock()
			delete(x.loading, pack)
			x.mu.Unlock()
			close(l.done)
		})
	}
	all.Wait()
	for _, l := range loads {
		select {
		case <-l.done:
			some = some || l.ok
		case <-ctx.Done():
			return false
		}
	}
	return some
}

// load loads a pack's directory. A pack of which nothing is to be had, or that has not what
// has led to it, is not led to again.
func (x *Index) load(ctx context.Context, pack ivd.PackID, by lead, from Directories) bool {
	limited, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	contents, err := from.Contents(limited, pack)
	switch ivd.KindOf(err) {
	case ivd.NotFound, ivd.Corrupt, ivd.Denied, ivd.Unsupported:
		x.sparse.Hooks.Forget(by.hook, pack)
		return false
	}
	if err != nil {
		if ctx.Err() == nil {
			x.failed(err)
		}
		return false
	}
	has := false
	x.mu.Lock()
	for _, c := range contents[:min(len(contents), directoryEntries)] {
		has = has || c.ID == by.hook
		if _, known := x.findLocked(c.ID); !known {
			x.addLocked(c.ID, Found{Place: c.Place, Unproven: !by.proven})
		}
	}
	x.mu.Unlock()
	if !has {
		x.sparse.Hooks.Forget(by.hook, pack)
	}
	return true
}

// failed has nothing asked for during a while.
func (x *Index) failed(err error) {
	x.mu.Lock()
	first := time.Now().After(x.rest)
	x.rest = time.Now().Add(restAfter)
	x.mu.Unlock()
	if first && x.sparse.Failed != nil {
		x.sparse.Failed(err)
	}
}
