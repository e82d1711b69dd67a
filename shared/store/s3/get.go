package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/minio/minio-go/v7"

	"ivdmover/shared/ivd"
	"ivdmover/shared/store"
)

// Get reads a whole object and the time of the answer.
func (s *Store) Get(ctx context.Context, name store.Name, limit int64) (store.Object, error) {
	op := "get " + s.address(name)
	if err := name.Validate(); err != nil {
		return store.Object{}, s.failed(op, err)
	}
	var object store.Object
	err := s.do(ctx, op, func() (err error) {
		object, err = s.get(ctx, name, limit)
		return err
	})
	return object, err
}

func (s *Store) get(ctx context.Context, name store.Name, limit int64) (store.Object, error) {
	body, info, header, err := s.core.GetObject(ctx, s.bucket, s.key(name), minio.GetObjectOptions{})
	if err != nil {
		return store.Object{}, err
	}
	defer body.Close()
	if info.Size < 0 {
		return store.Object{}, ivd.Errorf(ivd.Unsupported, "the answer has no Content-Length")
	}
	if info.Size > limit {
		return store.Object{}, store.TooLarge(info.Size, limit)
	}
	now, err := dateOf(header)
	if err != nil {
		return store.Object{}, err
	}
	content := make([]byte, info.Size)
	if _, err := io.ReadFull(body, content); err != nil {
		return store.Object{}, cut(err)
	}
	return store.Object{Info: infoOf(name, info), Body: content, Version: info.ETag, Now: now}, nil
}

// cut says of a body that ended before its announced length that the connection
// is to blame: the object is as long as its header says.
func cut(err error) error {
	return &ivd.Error{Kind: ivd.Transient, Err: fmt.Errorf("connection lost in the middle of an answer: %w", err)}
}

// errEnds is what package store promises of a read past the end.
var errEnds = &ivd.Error{Kind: ivd.Corrupt, Err: io.ErrUnexpectedEOF}

// ReadAt reads a part of an object with one ranged request.
func (s *Store) ReadAt(ctx context.Context, name store.Name, p []byte, offset int64) error {
	op := fmt.Sprintf("read %d bytes at %d of %s", len(p), offset, s.address(name))
	if err := name.Validate(); err != nil {
		return s.failed(op, err)
	}
	if offset < 0 {
		return s.failed(op, ivd.Errorf(ivd.Invalid, "negative offset"))
	}
	if len(p) == 0 { // no range can say this
		_, err := s.Stat(ctx, name)
		return err
	}
	return s.do(ctx, op, func() error { return s.readAt(ctx, name, p, offset) })
}

func (s *Store) readAt(ctx context.Context, name store.Name, p []byte, offset int64) error {
	var options minio.GetObjectOptions
	if err := options.SetRange(offset, offset+int64(len(p))-1); err != nil {
		return &ivd.Error{Kind: ivd.Invalid, Err: err}
	}
	body, info, header, err := s.core.GetObject(ctx, s.bucket, s.key(name), options)
	if minio.ToErrorResponse(err).StatusCode == http.StatusRequestedRangeNotSatisfiable {
		return errEnds
	}
	if err != nil {
		return err
	}
	defer body.Close()
	if err := rangeAnswered(header, offset); err != nil {
		return err
	}
	if info.Size >= 0 && info.Size < int64(len(p)) {
		return errEnds
	}
	if _, err := io.ReadFull(body, p); err != nil {
		return cut(err)
	}
	return nil
}

// rangeAnswered refuses the answer of a service, or of something between, that
// ignores ranges: it would be read as another part of the object.
func rangeAnswered(h http.Header, offset int64) error {
	var first, last int64
	if _, err := fmt.Sscanf(h.Get("Content-Range"), "bytes %d-%d", &first, &last); err == nil && first == offset {
		return nil
	}
	return &ivd.Error{Kind: ivd.Unsupported, Err: errors.New("the service did not answer with the range that was asked for")}
}

func infoOf(name store.Name, info minio.ObjectInfo) store.Info {
	return store.Info{Name: name, Size: info.Size, Modified: info.LastModified}
}
