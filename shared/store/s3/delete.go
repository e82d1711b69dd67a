package s3

import (
	"context"

	"github.com/minio/minio-go/v7"

	"ivdmover/shared/ivd"
	"ivdmover/shared/store"
)

// Delete removes an object; some services say that it was absent, which is no
// error here.
func (s *Store) Delete(ctx context.Context, name store.Name) error {
	op := "delete " + s.address(name)
	if err := name.Validate(); err != nil {
		return s.failed(op, err)
	}
	err := s.do(ctx, op, func() error {
		return s.core.RemoveObject(ctx, s.bucket, s.key(name), minio.RemoveObjectOptions{})
	})
	if ivd.KindOf(err) == ivd.NotFound {
		return nil
	}
	return err
}
