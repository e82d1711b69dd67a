// Package store is the small face of an object store that a repository needs,
// and what every implementation of it promises. Packages s3 and dir implement
// it; package storetest is the suite that both pass.
//
// Promises: strongly consistent for one object; a LIST is not one moment. When
// Put or Send returns nil the object is durable and whole: no reader ever sees
// half of one. A request that was answered with an error may still happen.
// Not-found is an error of kind ivd.NotFound and nothing else is: an outage is
// never taken for absence. All methods are safe for concurrent use; a cancelled
// context ends them with its error. Implementations retry transient faults
// within a call by themselves, but never Replace and Pending.Send.
package store

import (
	"context"
	"errors"
	"iter"
	"time"

	"ivdmover/shared/ivd"
)

// Name is an object's name within the repository: "data/ab/…", segments of
// lower-case letters, digits, '.', '-', '_' and upper-case T and Z of times,
// separated by '/', never beginning with '.' or '/'.
type Name string

// Info tells of an object without its content.
type Info struct {
	Name     Name
	Size     int64
	Modified time.Time // by the store's clock
}

// Object is a small object read whole.
type Object struct {
	Info
	Body []byte
	// Version names this content among all that the name ever had, for Replace. It
	// means nothing else, and is empty where the store needs none.
	Version string
	Now     time.Time // the store's clock when it answered (its Date header); zero where it was opened for reading only and tells none
}

// Store is one repository's objects.
type Store interface {
	// Put stores body under name, whatever was there. The caller keeps body and
	// does not change it until Put returns. Names of packs are made with a nonce and of
	// leases random, so an overwrite happens only by repeating the same request.
	Put(ctx context.Context, name Name, body []byte) error

	// Get reads a whole object; it refuses one larger than limit bytes.
	Get(ctx context.Context, name Name, limit int64) (Object, error)

	// ReadAt fills p from offset and fails with io.ErrUnexpectedEOF (kind
	// Corrupt) when the object ends before p is full. One ranged GET.
	ReadAt(ctx context.Context, name Name, p []byte, offset int64) error

	// Stat asks whether the object exists, without its content.
	Stat(ctx context.Context, name Name) (Info, error)

	// List yields the objects whose names begin with prefix, in no promised
	// order. The first error ends it.
	List(ctx context.Context, prefix string) iter.Seq2[Info, error]

	// Replace stores body under the name of an object that was read (Get), once and
	// without any retry, on the condition that it is still what was read. Kind
	// Conflict: it is not, and was not replaced. Kind Unsupported: this store cannot
	// do so. Any other error: it may or may not have happened, or may still.
	Replace(ctx context.Context, was Object, body []byte) error

	// Delete removes an object; removing an absent one is no error. Nil: it is gone,
	// and does not come back with a crash. No request of it is obeyed that is older than
	// DeleteLife: what is decided before Delete is called holds for that long. Where the
	// store keeps older versions of objects, they are removed too; ErrVersionsKept is in
	// the error's chain where the object is gone and they are not.
	Delete(ctx context.Context, name Name) error

	// Prepare makes everything ready for creating name once, on behalf of a
	// lease, so that only Send remains. The caller then checks its lease, and then
	// calls Send. The prepared request is dead after expiry at the latest, by the
	// store's clock.
	Prepare(ctx context.Context, lease ivd.LeaseID, name Name, body []byte, expiry time.Duration) (Pending, error)

	// Revoke ends what was prepared on behalf of a lease whose deadline has passed:
	// nothing of it is created any more once Revoke has returned nil, and what was
	// prepared by then has expired.
	Revoke(ctx context.Context, lease ivd.LeaseID) error

	// Lock keeps an object from deletion, and its content from being replaced for good,
	// until a time; a lock that ends later stays as it is. Kind NotFound: there is no such
	// object. Kind Unsupported: this store locks nothing.
	Lock(ctx context.Context, name Name, until time.Time) error

	// LockedUntil says until when an object is locked; zero: it is not, or this store locks
	// nothing.
	LockedUntil(ctx context.Context, name Name) (time.Time, error)

	// Properties say what this store can do.
	Properties() Properties

	// String is the store's address for people, without secrets.
	String() string
}

// Pending is a creation that is prepared and not yet sent.
type Pending interface {
	// Send creates the object, once, without any retry. Kind Exists: the name was
	// taken before. Kind Expired: the request was too late. Kind Unsupported: this
	// store cannot create on condition. InDoubt tells whether the object may have been
	// created in spite of the error.
	Send(ctx context.Context) error

	// Discard gives up a request that was not sent. It is safe after Send.
	Discard()
}

// InDoubt reports whether a request that was answered with err may have happened, or
// may still. A store's definite answer is not in doubt, whatever it refuses for.
func InDoubt(err error) bool {
	switch ivd.KindOf(err) {
	case ivd.Unknown, ivd.Transient, ivd.Cancelled:
		return err != nil
	}
	return false
}

// DeleteLife is how long a request to delete may be under way.
const DeleteLife = 15 * time.Minute

// ErrVersionsKept says that an object is gone, and that older versions of it are kept
// and take their space.
var ErrVersionsKept = errors.New("older versions of it are kept")

// Properties of a store, as data.
type Properties struct {
	ConditionalCreate bool  // Send never replaces an object
	Connections       int   // how many requests at once are worth while
	ListPage          int   // how many objects one request of a listing tells of; 0: to list costs no less than to ask for each
	ReadOnly          bool  // it was opened for reading only, and refuses whatever writes
	Locks             Locks // how objects are locked that are stored here, as the configuration says
	MayLock           bool  // an object may be locked, whatever the configuration says: it is asked before one is deleted
}
