package s3

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // what services check a body by
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"net/http"
	"strings"

	"github.com/minio/minio-go/v7"

	"ivdmover/shared/ivd"
	"ivdmover/shared/store"
)

// checksumHeader is what the service checks a body by. CRC-32C is the checksum
// that the most services know, and costs nothing.
const checksumHeader = "X-Amz-Checksum-Crc32c"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum is a header by which the service checks a body before it stores it, and
// its value.
func (s *Store) checksum(body []byte) (header, value string) {
	if s.contentMD5 {
		sum := md5.Sum(body) // against damage on the way, not against people
		return "Content-Md5", base64.StdEncoding.EncodeToString(sum[:])
	}
	sum := binary.BigEndian.AppendUint32(nil, crc32.Checksum(body, castagnoli))
	return checksumHeader, base64.StdEncoding.EncodeToString(sum)
}

// refusesChecksum tells a service that does not take the header with the checksum.
func (s *Store) refusesChecksum(a minio.ErrorResponse) bool {
	if s.contentMD5 || a.StatusCode != http.StatusBadRequest && a.StatusCode != http.StatusNotImplemented {
		return false
	}
	switch a.Code {
	case "BadDigest", "InvalidDigest", "XAmzContentChecksumMismatch": // it has looked at it
		return false
	}
	return strings.Contains(strings.ToLower(a.Message), "checksum")
}

// Put stores an object with one request.
func (s *Store) Put(ctx context.Context, name store.Name, body []byte) error {
	op := "put " + s.address(name)
	if err := name.Validate(); err != nil {
		return s.failed(op, err)
	}
	return s.do(ctx, op, func() error { return s.put(ctx, name, body, s.locking(name, s.putOptions(body))) })
}

func (s *Store) putOptions(body []byte) minio.PutObjectOptions {
	o := minio.PutObjectOptions{DisableMultipart: true, DisableContentSha256: true, SendContentMd5: s.contentMD5}
	if !s.contentMD5 { // the library knows no header of this kind but MD5's
		header, value := s.checksum(body)
		o.UserMetadata = map[string]string{header: value}
	}
	return o
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
	o := s.locking(was.Name, s.putOptions(body))
	o.SetMatchETag(was.Version)
	key, err := s.keys.use(ctx)
	if err != nil {
		return s.failed(op, err)
	}
	raw := s.put(ctx, was.Name, body, o)
	_, err = s.keys.learn(key, raw, s.replaced(ctx, op, raw)) // it is not sent a second time
	return err
}

// replaced is the error of a Replace whose request came to err.
func (s *Store) replaced(ctx context.Context, op string, err error) error {
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
