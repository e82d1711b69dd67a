package probe

import (
	"context"
	"fmt"
	"slices"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/store"
)

// Bucket is what a bucket tells and does beyond package store. An error of kind
// Unsupported: the service does not know the request. Kind Denied: these credentials
// may not.
type Bucket interface {
	// Versioned reports whether the bucket keeps what is overwritten or deleted.
	Versioned(ctx context.Context) (bool, error)
	// Locking reports whether objects can be locked, and the retention that each new
	// object gets by itself; empty: none.
	Locking(ctx context.Context) (on bool, retention string, err error)
	// PutDamaged sends a body with the checksum of another one.
	PutDamaged(ctx context.Context, name store.Name, body []byte) error
	// DeleteMany deletes several objects with one request. Their versions stay.
	DeleteMany(ctx context.Context, names []store.Name) error
	// PutLocked stores an object that cannot be deleted before a time.
	PutLocked(ctx context.Context, name store.Name, body []byte, until time.Time) error
	// Versions counts the versions of an object that are content.
	Versions(ctx context.Context, name store.Name) (int, error)
}

// errNoBucket is why a probe of a bucket is not for a folder.
var errNoBucket = ivd.Errorf(ivd.Unsupported, "a folder has none")

// DefaultRetention tries this: leases and the records of collections must not be locked.
var DefaultRetention = Probe{
	Name: "default_retention", Says: "new objects can be deleted: the bucket has no default retention", Need: Required,
	Try: func(ctx context.Context, g Ground) error {
		if g.Bucket == nil {
			return nil
		}
		_, retention, err := g.Bucket.Locking(ctx)
		switch {
		case ivd.KindOf(err) == ivd.Unsupported: // no locks, and no retention
			return nil
		case err != nil:
			return fmt.Errorf("ask for the bucket's object lock: %w", err)
		case retention != "":
			return broken("remove the bucket's default retention, or use a bucket without one: leases must be deletable, and who needs locks sets them object by object",
				"each new object is locked by itself (%s)", retention)
		}
		return nil
	},
}

// Checksum tries this: a body that was damaged on its way is not stored.
var Checksum = Probe{
	Name: "checksum", Says: "a body that was damaged on its way is refused", Need: Useful,
	Lacks: "such damage is found when the object is read, and not before",
	Try: func(ctx context.Context, g Ground) error {
		if g.Bucket == nil {
			return errNoBucket
		}
		const name = "data/ab/damaged"
		const lies = "a body that is not what its checksum says is stored"
		damaged := g.Bucket.PutDamaged(ctx, name, random(3, 5000))
		switch kind := ivd.KindOf(damaged); {
		case damaged == nil:
			return broken("try repository.checksum: md5, and look whether a proxy removes the header", lies)
		case kind == ivd.Denied, kind == ivd.Unsupported:
			return fmt.Errorf("put an object with the checksum of another body: %w", damaged)
		}
		// A service that refuses says so in many ways. It was asked, and not away, where it takes
		// the same body with its own checksum.
		if err := g.put(ctx, "data/ab/whole", random(3, 5000)); err != nil {
			return fmt.Errorf("put the same body undamaged after %w: %w", damaged, err)
		}
		_, err := g.Store.Stat(ctx, name)
		return wantKind("ask for an object whose body was refused", err, ivd.NotFound, "")
	},
}

// BatchDelete tries this: several objects are deleted with one request.
var BatchDelete = Probe{
	Name: "batch_delete", Says: "many objects can be deleted with one request", Need: Useful,
	Lacks: "nothing is lost: a collection sends a request for each object that it deletes, since such a request leaves versions",
	Try: func(ctx context.Context, g Ground) error {
		if g.Bucket == nil {
			return errNoBucket
		}
		names := []store.Name{"batch/a", "batch/b", "batch/c"}
		for _, n := range names {
			if err := g.put(ctx, n, []byte(n)); err != nil {
				return err
			}
		}
		if err := g.Bucket.DeleteMany(ctx, names[:2]); err != nil {
			return fmt.Errorf("delete two objects with one request: %w", err)
		}
		left, err := g.names(ctx, "batch/")
		if err != nil {
			return err
		}
		if !slices.Equal(left, names[2:]) {
			return broken("", "of %v the first two were deleted with one request, and %v are left", names, left)
		}
		for _, n := range names { // with their versions, which no list has
			if err := g.Store.Delete(ctx, n); err != nil {
				return err
			}
		}
		return nil
	},
}

// Versions tries this: what is overwritten or deleted can be found again.
var Versions = Probe{
	Name: "versions", Says: "what is overwritten or deleted can be found again among its versions", Need: Useful,
	Lacks: "whoever has the credentials of a mover can overwrite objects for good",
	Try: func(ctx context.Context, g Ground) error {
		if g.Bucket == nil {
			return errNoBucket
		}
		on, err := g.Bucket.Versioned(ctx)
		if err != nil {
			return fmt.Errorf("ask for the bucket's versioning: %w", err)
		}
		if !on {
			return broken("turn the bucket's versioning on", "the bucket keeps no versions")
		}
		const name = "points/versions/a"
		for range 2 {
			if err := g.put(ctx, name, []byte("x")); err != nil {
				return err
			}
		}
		n, err := g.Bucket.Versions(ctx, name)
		if err == nil && n != 2 {
			return broken("", "an object that was stored twice has %d versions", n)
		}
		return err
	},
}

// lockFor is how long the probe of locks locks an object.
const lockFor = 5 * time.Second

// Lock tries this: a locked object cannot be deleted before its time.
var Lock = Probe{
	Name: "lock", Says: "an object can be locked until a time, and is not deleted before it", Need: Useful,
	Lacks: "restore points are not protected from whoever has credentials that may delete",
	Try: func(ctx context.Context, g Ground) error {
		if g.Bucket == nil {
			return errNoBucket
		}
		on, _, err := g.Bucket.Locking(ctx)
		if err != nil {
			return fmt.Errorf("ask for the bucket's object lock: %w", err)
		}
		if !on {
			return broken("make a bucket with object lock, if locks are wanted", "the bucket has no object lock")
		}
		const name, clock store.Name = "points/locked/a", "leases/lock"
		if err := g.put(ctx, clock, []byte("tick")); err != nil {
			return err
		}
		now, err := g.read(ctx, clock)
		if err != nil {
			return err
		}
		if err := g.Bucket.PutLocked(ctx, name, []byte("x"), now.Now.Add(lockFor)); err != nil {
			return fmt.Errorf("store a locked object: %w", err)
		}
		_ = g.Store.Delete(ctx, name) // in which part it fails, is the service's
		n, err := g.Bucket.Versions(ctx, name)
		if err == nil && n != 1 {
			return broken("", "an object that is locked was deleted")
		}
		if err != nil {
			return err
		}
		if err := g.put(ctx, clock, []byte("tock")); err != nil {
			return err
		}
		if err := g.pass(ctx, clock, lockFor+2*time.Second); err != nil {
			return err
		}
		if err := g.Store.Delete(ctx, name); err != nil { // no list has it, now that it was deleted once
			return fmt.Errorf("delete an object whose lock has ended: %w", err)
		}
		return nil
	},
}
