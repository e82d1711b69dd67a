package s3

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"

	"github.com/minio/minio-go/v7"

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
	options := minio.PutObjectOptions{
		DisableMultipart:     true,
		DisableContentSha256: true,
		UserMetadata:         map[string]string{checksumHeader: checksum(body)},
	}
	return s.do(ctx, op, func() error {
		_, err := s.core.Client.PutObject(ctx, s.bucket, s.key(name), bytes.NewReader(body), int64(len(body)), options)
		return err
	})
}

// address is an object for people.
func (s *Store) address(name store.Name) string {
	return "s3://" + s.bucket + "/" + s.key(name)
}
