package s3

import (
	"context"
	"net/http"

	"github.com/minio/minio-go/v7"

	"ivdmover/shared/store"
)

// Stat asks whether an object exists. The answer to a HEAD has no body to tell
// a missing object from a missing bucket, or a right that is missing from a key that is
// wrong, so "no" is asked for again with a GET.
func (s *Store) Stat(ctx context.Context, name store.Name) (store.Info, error) {
	op := "stat " + s.address(name)
	if err := name.Validate(); err != nil {
		return store.Info{}, s.failed(op, err)
	}
	var info store.Info
	err := s.do(ctx, op, func() error {
		object, err := s.core.StatObject(ctx, s.bucket, s.key(name), minio.StatObjectOptions{})
		if status := minio.ToErrorResponse(err).StatusCode; status == http.StatusNotFound || status == http.StatusForbidden {
			object, err = s.head(ctx, name)
		}
		info = infoOf(name, object)
		return err
	})
	return info, err
}

// head is a GET whose body is not read.
func (s *Store) head(ctx context.Context, name store.Name) (minio.ObjectInfo, error) {
	body, info, _, err := s.core.GetObject(ctx, s.bucket, s.key(name), minio.GetObjectOptions{})
	if err != nil {
		return minio.ObjectInfo{}, err
	}
	return info, body.Close()
}
