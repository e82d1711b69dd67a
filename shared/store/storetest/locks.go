package storetest

import (
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"ivdmover/shared/store"
)

// S3WithLocks is S3, of a service whose bucket has object lock.
func S3WithLocks(t testing.TB) Service {
	t.Helper()
	s := S3WithVersions(t)
	owner := s.owner(t)
	if err := owner.RemoveBucket(t.Context(), s.Bucket); err != nil {
		t.Fatal(err)
	}
	if err := owner.MakeBucket(t.Context(), s.Bucket, minio.MakeBucketOptions{ObjectLocking: true}); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s Service) owner(t testing.TB) *minio.Client {
	t.Helper()
	c, err := minio.New(strings.TrimPrefix(s.Endpoint, "http://"), &minio.Options{Creds: credentials.NewStaticV4(s.AccessKey.Reveal(), s.SecretKey.Reveal(), "")})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Version is a version of an object, or a marker of its deletion.
type Version struct {
	Key, ID string
	Marker  bool
}

// Versions are all of the bucket.
func (s Service) Versions(t testing.TB) []Version {
	t.Helper()
	var all []Version
	for o := range s.owner(t).ListObjectsIter(t.Context(), s.Bucket, minio.ListObjectsOptions{Recursive: true, WithVersions: true}) {
		if o.Err != nil {
			t.Fatal(o.Err)
		}
		all = append(all, Version{o.Key, o.VersionID, o.IsDeleteMarker})
	}
	return all
}

// EndLocks has the locks of all versions end within two seconds, as the owner may with
// those of governance, and returns when they have.
func (s Service) EndLocks(t testing.TB) {
	t.Helper()
	owner, mode := s.owner(t), minio.Governance
	end := time.Now().Add(2 * time.Second).Truncate(time.Second)
	for _, v := range s.Versions(t) {
		if v.Marker || !store.Locked(store.Name(v.Key)) {
			continue
		}
		if time.Until(end) < time.Second { // versitygw takes no time that is over
			end = time.Now().Add(2 * time.Second).Truncate(time.Second)
		}
		o := minio.PutObjectRetentionOptions{Mode: &mode, RetainUntilDate: &end, VersionID: v.ID, GovernanceBypass: true}
		if err := owner.PutObjectRetention(t.Context(), s.Bucket, v.Key, o); err != nil {
			t.Fatalf("end the lock of %s: %v", v.Key, err)
		}
	}
	<-time.After(time.Until(end) + time.Second)
}
