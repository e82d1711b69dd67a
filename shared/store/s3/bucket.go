package s3

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"ivdmover/shared/ivd"
	"ivdmover/shared/store"
	"ivdmover/shared/store/probe"
)

var _ probe.Bucket = (*Store)(nil)

// Versioned is probe.Bucket's.
func (s *Store) Versioned(ctx context.Context) (on bool, err error) {
	err = s.do(ctx, "ask for the versioning of "+s.String(), func() error {
		v, err := s.core.GetBucketVersioning(ctx, s.bucket)
		on = v.Enabled()
		return err
	})
	return on, err
}

// Locking is probe.Bucket's.
func (s *Store) Locking(ctx context.Context) (on bool, retention string, err error) {
	err = s.do(ctx, "ask for the object lock of "+s.String(), func() error {
		state, mode, n, unit, err := s.core.GetObjectLockConfig(ctx, s.bucket)
		if code := minio.ToErrorResponse(err).Code; code == "ObjectLockConfigurationNotFoundError" || code == "NoSuchObjectLockConfiguration" {
			return nil
		}
		if on = state == "Enabled"; mode != nil && n != nil && unit != nil {
			retention = fmt.Sprintf("%s, %d %s", *mode, *n, strings.ToLower(string(*unit)))
		}
		return err
	})
	return on, retention, err
}

// PutDamaged is probe.Bucket's.
func (s *Store) PutDamaged(ctx context.Context, name store.Name, body []byte) error {
	o := s.putOptions(append(bytes.Clone(body), 'x'))
	if s.contentMD5 { // which the library computes of what it sends
		return ivd.Errorf(ivd.Unsupported, "the checksum of a body that is not sent cannot be sent with repository.checksum: md5")
	}
	return s.failed("put "+s.address(name)+" with the checksum of another body", s.put(ctx, name, body, o))
}

// DeleteMany is probe.Bucket's.
func (s *Store) DeleteMany(ctx context.Context, names []store.Name) error {
	op := fmt.Sprintf("delete %d objects of %s", len(names), s)
	objects := make([]minio.ObjectInfo, len(names))
	for i, name := range names {
		if err := name.Validate(); err != nil {
			return s.failed(op, err)
		}
		objects[i].Key = s.key(name)
	}
	return s.do(ctx, op, func() error { return s.deleteMany(ctx, objects) })
}

// deleteMany deletes versions of objects; it tries all, and returns the first failure.
func (s *Store) deleteMany(ctx context.Context, objects []minio.ObjectInfo) error {
	results, err := s.core.RemoveObjectsWithIter(ctx, s.bucket, slices.Values(objects), minio.RemoveObjectsOptions{})
	if err != nil {
		return err
	}
	for r := range results {
		if r.Err != nil && err == nil {
			err = r.Err
		}
	}
	return err
}

// PutLocked is probe.Bucket's.
func (s *Store) PutLocked(ctx context.Context, name store.Name, body []byte, until time.Time) error {
	if err := name.Validate(); err != nil {
		return s.failed("lock", err)
	}
	o := s.putOptions(body)
	o.Mode, o.RetainUntilDate = minio.Compliance, until
	return s.do(ctx, "put "+s.address(name)+", locked", func() error { return s.put(ctx, name, body, o) })
}

// Versions is probe.Bucket's.
func (s *Store) Versions(ctx context.Context, name store.Name) (n int, err error) {
	err = s.do(ctx, "list the versions of "+s.address(name), func() error {
		n = 0
		options := minio.ListObjectsOptions{Prefix: s.key(name), Recursive: true, WithVersions: true}
		for o := range s.core.ListObjectsIter(ctx, s.bucket, options) {
			if o.Err != nil {
				return o.Err
			}
			if o.Key == s.key(name) && !o.IsDeleteMarker {
				n++
			}
		}
		return ctx.Err() // the library ends quietly then
	})
	return n, err
}
