package s3

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"net/http"

	"github.com/minio/minio-go/v7"

	"ivdmover/shared/ivd"
	"ivdmover/shared/store"
)

// checksumHeader is what the service checks a body by. CRC-32C is the checksum
// that the most services know, and costs nothing.
const checksumHeader = "X-Amz-Checksum-Crc32c"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum is the header's value for a body.
func checksum(body []byte) string {
	sum := binary.BigEndian.AppendUint32(nil, crc32.Checksum(body, castagnoli))
	return base64.StdEncoding.EncodeToString(sum)
}

// Put stores an object with one request.
func (s *Store) Put(ctx context.Context, name store.Name, body []byte) error {
	op := "put " + s.address(name)
	if err := name.Validate(); err != nil {
		return s.failed(op, err)
	}
	return s.do(ctx, op, func() error { return s.put(ctx, name, body, putOptions(body)) })
}

func putOptions(body []byte) minio.PutObjectOptions {
	return minio.PutObjectOptions{
		DisableMultipart:     true,
		DisableContentSha256: true,
		UserMetadata:         map[string]string{checksumHeader: checksum(body)},
	}
}

func (s *Store) put(ctx context.Context, name store.Name, body []byte, o minio.PutObjectOptions) error {
	_, err := s.core.Client.PutObject(ctx, s.bucket, s.key(name), bytes.NewReader(body), int64(len(body)), o)
	return err
}

// Replace stores an object with one request, which the service refuses where the
// object's entity tag is not the one that was read (If-Match).
func (s *Store) Replace(ctx context.Context, was store.Object, body []byte) error {
	op := "replace " + s.address(was.Name)
	if err := was.Name.Validate(); err != nil {
		return s.failed(op, err)
	}
	if was.Version == "" {
		return s.failed(op, ivd.Errorf(ivd.Unsupported, "the service gave it no entity tag when it was read"))
	}
	o := putOptions(body)
	o.SetMatchETag(was.Version)
	err := s.put(ctx, was.Name, body, o)
	switch answer := minio.ToErrorResponse(err); {
	case err == nil || ctx.Err() != nil:
		return s.failed(op, errors.Join(err, ctx.Err()))
	case answer.StatusCode == http.StatusPreconditionFailed, answer.StatusCode == http.StatusConflict, answer.Code == "NoSuchKey":
		return s.failed(op, &ivd.Error{Kind: ivd.Conflict, Err: fmt.Errorf("it is not what was read: %w", s.said(answer))})
	case answer.StatusCode == 0 || answer.StatusCode >= http.StatusInternalServerError && answer.Code != "NotImplemented":
		return s.failed(op, unsure(err))
	}
	return s.failed(op, err)
}

// address is an object for people.
func (s *Store) address(name store.Name) string {
	return "s3://" + s.bucket + "/" + s.key(name)
}
