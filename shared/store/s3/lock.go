package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/minio/minio-go/v7"

	"ivdmover/shared/ivd"
	"ivdmover/shared/store"
)

// mode is the retention mode of the store's locks.
func (s *Store) mode() minio.RetentionMode {
	if s.locks.Compliance {
		return minio.Compliance
	}
	return minio.Governance
}

// locking are the options of a PUT that locks what it stores, where its name asks for it.
func (s *Store) locking(name store.Name, o minio.PutObjectOptions) minio.PutObjectOptions {
	if s.locks.On() && store.Locked(name) {
		o.Mode, o.RetainUntilDate = s.mode(), s.locks.Until(s.clock.now())
	}
	return o
}

// lockable refuses a bucket in which nothing can be locked, or in which everything is
// locked by itself, leases among it. Who may not ask for it finds out when it stores.
func (s *Store) lockable(ctx context.Context) error {
	if !s.locks.On() {
		return nil
	}
	on, retention, err := s.Locking(ctx)
	switch {
	case ivd.KindOf(err) == ivd.Denied:
		return nil
	case err != nil:
		return err
	case !on:
		return &ivd.Error{
			Kind: ivd.Unmet, Op: "open " + s.String(), Err: errors.New("repository.lock is set, and the bucket has no object lock"),
			Remedy: "make a bucket with object lock, or remove repository.lock",
		}
	case retention != "":
		return &ivd.Error{
			Kind: ivd.Unmet, Op: "open " + s.String(), Err: fmt.Errorf("the bucket locks each new object by itself (%s), leases and the records of collections with them", retention),
			Remedy: "remove the bucket's default retention: with repository.lock what must be locked is locked object by object",
		}
	}
	return nil
}

// Lock sets the retention of an object's newest version, with one request.
func (s *Store) Lock(ctx context.Context, name store.Name, until time.Time) error {
	op := "lock " + s.address(name)
	if err := name.Validate(); err != nil {
		return s.failed(op, err)
	}
	mode := s.mode()
	o := minio.PutObjectRetentionOptions{Mode: &mode, RetainUntilDate: &until}
	err := s.do(ctx, op, func() error { return s.core.PutObjectRetention(ctx, s.bucket, s.key(name), o) })
	switch ivd.KindOf(err) {
	case ivd.Denied, ivd.Invalid: // perhaps since it is locked for longer, or in the stricter mode
		if locked, askErr := s.LockedUntil(ctx, name); askErr == nil && !locked.Before(until) {
			return nil
		}
	}
	return err
}

// LockedUntil asks for an object's newest version. A bucket without object lock is asked
// about that once, and about no object.
func (s *Store) LockedUntil(ctx context.Context, name store.Name) (until time.Time, err error) {
	op := "ask for the lock of " + s.address(name)
	if err := name.Validate(); err != nil {
		return until, s.failed(op, err)
	}
	s.askedLock.Do(func() {
		if on, _, err := s.Locking(ctx); err == nil && !on {
			s.lockless.Store(true)
		}
	})
	if s.lockless.Load() {
		return until, ctx.Err()
	}
	err = s.do(ctx, op, func() error {
		o, err := s.core.StatObject(ctx, s.bucket, s.key(name), minio.StatObjectOptions{})
		if status := minio.ToErrorResponse(err).StatusCode; status == http.StatusNotFound || status == http.StatusForbidden {
			o, err = s.head(ctx, name) // as Stat does
		}
		if err != nil {
			return err
		}
		until, err = retention(o.Metadata)
		return err
	})
	return until, err
}

// retention is until when the answer to a HEAD says that an object is locked. It says
// nothing to who may not know.
func retention(h http.Header) (until time.Time, err error) {
	const header = "X-Amz-Object-Lock-Retain-Until-Date"
	text := h.Get(header)
	if text == "" {
		return until, nil
	}
	if until, err = time.Parse(time.RFC3339Nano, text); err != nil {
		return until, ivd.Errorf(ivd.Unsupported, "the answer's header %s is %q, which is no time", header, text)
	}
	return until.UTC(), nil
}
