package probe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"ivdmover/shared/ivd"
	"ivdmover/shared/store"
)

// random makes n bytes that are the same for the same seed.
func random(seed uint64, n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16)})
	_, _ = r.Read(b) // never fails
	return b
}

// Content tries this: what is stored comes back, of any size, and what it is replaced by.
var Content = Probe{
	Name: "content", Says: "what is stored is read again at once, byte for byte", Need: Required,
	Try: func(ctx context.Context, g Ground) error {
		for i, n := range []int{0, 1, 511, 4096, 1<<20 + 1, 17<<20 + 3} {
			name := store.Name(fmt.Sprintf("data/ab/object-%d.x_y", i))
			if err := g.stored(ctx, name, random(uint64(i), n)); err != nil {
				return err
			}
		}
		if err := g.stored(ctx, "leases/a", random(1, 9000)); err != nil {
			return err
		}
		if err := g.stored(ctx, "leases/a", []byte("short")); err != nil {
			return err
		}
		if _, err := g.Store.Get(ctx, "leases/a", 5); err != nil {
			return err
		}
		_, err := g.Store.Get(ctx, "leases/a", 4)
		return wantKind("get an object that is larger than its reader takes", err, ivd.Corrupt, "")
	},
}

// stored puts an object and looks at it.
func (g Ground) stored(ctx context.Context, name store.Name, body []byte) error {
	before := time.Now().Add(-time.Minute)
	if err := g.put(ctx, name, body); err != nil {
		return err
	}
	if err := g.same(ctx, name, string(body)); err != nil {
		return err
	}
	info, err := g.Store.Stat(ctx, name)
	switch {
	case err != nil:
		return fmt.Errorf("ask for %s: %w", name, err)
	case info.Name != name || info.Size != int64(len(body)):
		return broken(remedyCache, "%s of %d bytes is said to be %s of %d", name, len(body), info.Name, info.Size)
	case info.Modified.Before(before.Add(-day)) || info.Modified.After(time.Now().Add(day)):
		return broken("set the clocks of this host and of the store", "%s was stored now, and is said to be of %s", name, info.Modified)
	}
	return nil
}

// day is by how much clocks may differ.
const day = 24 * time.Hour

const remedyRanges = "use a store that answers with the range that it is asked for, and look whether a proxy between ignores it"

// Ranges tries this: a part of an object is read, and nothing beyond its end.
var Ranges = Probe{
	Name: "ranges", Says: "a part of an object can be read", Need: Required,
	Try: func(ctx context.Context, g Ground) error {
		const name = "data/ab/pack"
		body := random(7, 100_000)
		if err := g.put(ctx, name, body); err != nil {
			return err
		}
		for _, r := range []struct{ offset, length int }{{0, 1}, {0, 100_000}, {99_999, 1}, {4097, 65_536}, {500, 0}} {
			p := make([]byte, r.length)
			if err := g.Store.ReadAt(ctx, name, p, int64(r.offset)); err != nil {
				return fmt.Errorf("read %d bytes at %d: %w", r.length, r.offset, err)
			}
			if !bytes.Equal(p, body[r.offset:r.offset+r.length]) {
				return broken(remedyRanges, "%d bytes at %d are others than were stored there", r.length, r.offset)
			}
		}
		for _, r := range []struct {
			length int
			offset int64
		}{{100_001, 0}, {2, 99_999}, {1, 100_000}, {10, 1 << 40}} {
			err := g.Store.ReadAt(ctx, name, make([]byte, r.length), r.offset)
			if err := wantKind("read beyond the end of an object", err, ivd.Corrupt, remedyRanges); err != nil {
				return err
			}
			if !errors.Is(err, io.ErrUnexpectedEOF) {
				return broken(remedyRanges, "read beyond the end of an object: %w", err)
			}
		}
		err := g.Store.ReadAt(ctx, name, make([]byte, 1), -1)
		if err := wantKind("read before the beginning of an object", err, ivd.Invalid, ""); err != nil {
			return err
		}
		if err := g.put(ctx, "data/ab/empty", nil); err != nil {
			return err
		}
		return wantKind("read from an empty object", g.Store.ReadAt(ctx, "data/ab/empty", make([]byte, 1), 0), ivd.Corrupt, remedyRanges)
	},
}

// Absent tries this: what is not there is said to be not there, however one asks.
var Absent = Probe{
	Name: "absent", Says: "what is not there is said to be not there, and nothing else is", Need: Required,
	Try: func(ctx context.Context, g Ground) error {
		if err := g.put(ctx, "points/a/b", []byte("x")); err != nil {
			return err
		}
		for _, name := range []store.Name{"points/a/c", "points/a", "nowhere/at/all", "points/a/b.more"} {
			_, get := g.Store.Get(ctx, name, 100)
			_, stat := g.Store.Stat(ctx, name)
			for what, err := range map[string]error{
				"get": get, "ask for": stat,
				"read of": g.Store.ReadAt(ctx, name, make([]byte, 1), 0), "read nothing of": g.Store.ReadAt(ctx, name, nil, 0),
			} {
				if err := wantKind(what+" "+string(name)+", which is not there", err, ivd.NotFound, "look whether a proxy answers for the store"); err != nil {
					return err
				}
			}
		}
		return nil
	},
}

// WholeObjects reads a name while it is overwritten: every answer is one of the bodies,
// whole.
var WholeObjects = Probe{
	Name: "whole_objects", Says: "nobody reads half of an object that is being replaced", Need: Required,
	Try: func(ctx context.Context, g Ground) error {
		const name = "runs/r"
		bodies := [][]byte{bytes.Repeat([]byte{1}, 300_000), bytes.Repeat([]byte{2}, 200_001)}
		if err := g.put(ctx, name, bodies[0]); err != nil {
			return err
		}
		group, ctx := errgroup.WithContext(ctx)
		writing, done := context.WithCancel(ctx)
		group.Go(func() error {
			defer done()
			for i := range 30 {
				if err := g.put(ctx, name, bodies[i%2]); err != nil {
					return err
				}
			}
			return nil
		})
		group.Go(func() error {
			for writing.Err() == nil {
				o, err := g.read(ctx, name)
				if err != nil {
					return err
				}
				if !bytes.Equal(o.Body, bodies[0]) && !bytes.Equal(o.Body, bodies[1]) {
					return broken("use a store that replaces objects whole", "%d bytes were read that nobody stored", len(o.Body))
				}
			}
			return nil
		})
		return group.Wait()
	},
}

const remedyList = "use a store whose lists have what was stored before"

// Listing tries this: a list has what was stored before it, and nothing else.
var Listing = Probe{
	Name: "list", Says: "a list has at once what was stored before it began", Need: Required,
	Try: func(ctx context.Context, g Ground) error {
		all := []store.Name{"data/ab/1", "data/ab/2", "data/ac/1", "index/ab/1", "leases/x", "repo.json", "retired/1"}
		for i, name := range all {
			if err := g.put(ctx, name, random(1, i)); err != nil {
				return err
			}
		}
		staged, err := g.Store.Prepare(ctx, ivd.NewLeaseID(), "points/a/1", []byte("not there yet"), time.Minute)
		if err != nil {
			return err
		}
		defer staged.Discard()
		for prefix, want := range map[string][]store.Name{
			"": all, "data/": all[:3], "data": all[:3], "data/ab": all[:2], "data/ab/": all[:2], "data/ab/2": all[1:2], "data/a": all[:3],
			"re": all[5:], "repo.json": all[5:6], "leases/y": {}, "nowhere/": {}, "data/ab/1/": {},
			"points/": {}, // prepared is not created
		} {
			got, err := g.names(ctx, prefix)
			if err != nil {
				return err
			}
			if slices.Sort(got); !slices.Equal(got, want) {
				return broken(remedyList, "the list of %q has %v, and should have %v", prefix, got, want)
			}
		}
		for info, err := range g.Store.List(ctx, "") {
			if err != nil {
				return err
			}
			if size := int64(slices.Index(all, info.Name)); info.Size != size || time.Since(info.Modified).Abs() > day {
				return broken(remedyList, "the list says of %s %d bytes and %s, and it is of %d bytes and of now", info.Name, info.Size, info.Modified, size)
			}
		}
		return nil
	},
}

// many is more than one page of S3's listing.
const many = 1105

// LongListing tries this: so has a list of more than one page.
var LongListing = Probe{
	Name: "long_list", Says: "a list of more than one page has each object once", Need: Required,
	Try: func(ctx context.Context, g Ground) error {
		group, inner := errgroup.WithContext(ctx)
		group.SetLimit(8)
		for i := range many {
			group.Go(func() error {
				return g.put(inner, store.Name(fmt.Sprintf("data/%02d/%04d", i%7, i)), []byte{1})
			})
		}
		if err := group.Wait(); err != nil {
			return err
		}
		got, err := g.names(ctx, "data/")
		if err != nil {
			return err
		}
		slices.Sort(got)
		if n := len(got); n != many || len(slices.Compact(got)) != many {
			return broken(remedyList, "%d objects were stored, and the list has %d", many, n)
		}
		return nil
	},
}

// Clock tries this: the store says what time it is, by the clock that its objects' times go by.
var Clock = Probe{
	Name: "clock", Says: "the store says what time it is, and its objects are of that time", Need: Required,
	Try: func(ctx context.Context, g Ground) error {
		if err := g.put(ctx, "leases/clock", []byte("tick")); err != nil {
			return err
		}
		o, err := g.read(ctx, "leases/clock")
		switch {
		case err != nil:
			return err
		case o.Now.IsZero():
			return broken("look whether a proxy removes the Date header", "it does not say what time it is")
		case o.Now.Before(o.Modified.Add(-time.Second)) || o.Now.Sub(o.Modified) > 5*time.Minute: // a date may be cut to whole seconds
			return broken("set the clocks of the store's machines (NTP)", "its clock says %s right after it has stored an object of %s", o.Now, o.Modified)
		}
		return nil
	},
}

// Delete tries this: an object is deleted at once, and its neighbours stay.
var Delete = Probe{
	Name: "delete", Says: "objects can be deleted with these credentials", Need: Useful,
	Lacks: "who collects needs credentials that may delete; backups and restores need none",
	Try: func(ctx context.Context, g Ground) error {
		for _, name := range []store.Name{"points/x/1", "points/x/2"} {
			if err := g.put(ctx, name, []byte(name)); err != nil {
				return err
			}
		}
		for _, name := range []store.Name{"points/x/1", "points/x/1", "never/there"} { // removing an absent one is no error
			if err := g.Store.Delete(ctx, name); err != nil {
				return fmt.Errorf("delete %s: %w", name, err)
			}
		}
		_, err := g.Store.Stat(ctx, "points/x/1")
		if err := wantKind("ask for an object that was deleted", err, ivd.NotFound, remedyCache); err != nil {
			return err
		}
		if err := g.same(ctx, "points/x/2", "points/x/2"); err != nil {
			return err
		}
		return g.stored(ctx, "points/x/1", []byte("again"))
	},
}
