// Package s3 keeps a repository in a bucket of an S3 service. It is the only
// place that knows the S3 library and its errors.
//
// It promises what package store does. A Put is one request with a CRC-32C (or an
// MD5) of its body in a header, which the service checks before it stores the object:
// the body is in memory, so a trailer would only add a framing that some services
// store as content. A Get's clock is the Date header of its answer. Creating once
// is a presigned PUT with `If-None-Match: *`, sent once and never again.
//
// Requests are repeated here, with back-off, and nowhere below: the library's own
// retries are off. Objects are never parts of a multipart upload. The package
// never creates a bucket and never prints a credential or a signed URL.
package s3

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/minio/minio-go/v7"

	"ivdmover/shared/ivd"
	"ivdmover/shared/pause"
	"ivdmover/shared/store"
)

// Config says where the bucket is and who asks. Bucket is all that must be set.
type Config struct {
	Endpoint  string // "https://host:port"; empty: Amazon's
	Bucket    string
	Prefix    string // before all names, without slashes around it; may be empty
	Region    string // empty: AWS_REGION, or asked of the service
	PathStyle *bool  // bucket in the path; nil: as the endpoint is known to want it
	CAFile    string // PEM certificates beside the system's

	// ContentMD5 sends an MD5 of each body in place of a CRC-32C, for services that
	// refuse headers with checksums.
	ContentMD5 bool

	// Who asks: a key pair, or a file of the AWS CLI, or else the AWS chain.
	AccessKey, SecretKey ivd.Secret
	KeyFiles             string // where that pair stands, for people
	CredentialsFile      string
	// ReadKeys reads the key pair again, when the service has refused it. nil: the pair
	// is the same for ever.
	ReadKeys func() (access, secret ivd.Secret, err error)

	// Locks are how objects are locked that are stored (store.Locked says which). The
	// bucket must have object lock.
	Locks store.Locks

	Log *slog.Logger // nil: nothing is told
}

// connections is how many requests at once are worth while: enough to fill a fast
// link with 16 MiB objects, few enough for a service to bear many movers.
const connections = 16

// Store is a bucket, or the part of one below a prefix. It is safe for
// concurrent use.
type Store struct {
	core   minio.Core
	plain  *http.Client // for Send: no redirects, no retries
	clock  *clock
	bucket string
	prefix string // empty, or with its slash
	plea   *plea
	keys   *keyring
	retry  pause.Backoff

	contentMD5 bool
	locks      store.Locks
	askedLock  *sync.Once   // whether anything in this bucket can be locked
	lockless   *atomic.Bool // nothing can
}

var _ store.Store = (*Store)(nil)

// Check makes of the configuration what Open makes of it before it asks anybody, and
// reads the files that it names. A key that it does not name is not looked for.
func Check(c Config) error {
	s := &Store{bucket: c.Bucket, clock: &clock{}, plea: &plea{}}
	err := s.connect(c)
	if err == nil && (c.AccessKey != "" || c.CredentialsFile != "") { // else a network may have to be asked for it
		err = s.credentialsFound(c)
	}
	if err != nil {
		return s.failed("open "+s.String(), err)
	}
	return nil
}

// Open connects, and makes sure that the bucket is there and may be read.
func Open(ctx context.Context, c Config) (*Store, error) {
	s := &Store{bucket: c.Bucket, contentMD5: c.ContentMD5, locks: c.Locks, askedLock: new(sync.Once), lockless: new(atomic.Bool), clock: &clock{}, plea: &plea{}, retry: patient}
	if c.Prefix != "" {
		s.prefix = strings.Trim(c.Prefix, "/") + "/"
	}
	if err := s.connect(c); err != nil {
		return nil, s.failed("open "+s.String(), err)
	}
	if err := s.probe(ctx, c); err != nil {
		return nil, err
	}
	if err := s.lockable(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// probe reads an object that may be absent: that needs no right beyond those
// that backups need, and tells a missing bucket from a missing object.
func (s *Store) probe(ctx context.Context, c Config) error {
	op := "open " + s.String()
	if err := s.credentialsFound(c); err != nil {
		return s.failed(op, err)
	}
	first := *s
	first.retry = hasty
	err := first.do(ctx, op, func() error {
		_, err := s.head(ctx, "repo.json")
		return err
	})
	if ivd.KindOf(err) == ivd.NotFound {
		return nil
	}
	return err
}

// Close ends idle connections. A store that is used again opens new ones.
func (s *Store) Close() error {
	s.plain.CloseIdleConnections()
	return nil
}

// Properties say what S3 can do. That this service does it too is a test of its
// own.
func (s *Store) Properties() store.Properties {
	return store.Properties{ConditionalCreate: true, Connections: connections, ListPage: listPage, Locks: s.locks, MayLock: !s.lockless.Load()}
}

func (s *Store) String() string {
	return "s3://" + strings.TrimSuffix(s.bucket+"/"+s.prefix, "/")
}

// key is the object's key in the bucket.
func (s *Store) key(name store.Name) string { return s.prefix + string(name) }
