package s3_test

import (
	"context"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"ivdmover/shared/ivd"
	"ivdmover/shared/store/probe"
	"ivdmover/shared/store/storetest"
)

func owner(t *testing.T, s storetest.Service) *minio.Client {
	t.Helper()
	c, err := minio.New(strings.TrimPrefix(s.Endpoint, "http://"), &minio.Options{Creds: credentials.NewStaticV4(s.AccessKey.Reveal(), s.SecretKey.Reveal(), "")})
	must(t, err)
	return c
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// buckets are what owners make, with the probes that fail there and of what kind.
var buckets = map[string]struct {
	make  func(context.Context, *minio.Client, string) error
	fails map[string]ivd.Kind
}{
	"plain": {
		func(context.Context, *minio.Client, string) error { return nil },
		map[string]ivd.Kind{"versions": ivd.Unsupported, "lock": ivd.Unsupported},
	},
	"versions": {
		func(ctx context.Context, c *minio.Client, bucket string) error {
			return c.EnableVersioning(ctx, bucket)
		},
		map[string]ivd.Kind{"lock": ivd.Unsupported},
	},
	"lock": {
		func(ctx context.Context, c *minio.Client, bucket string) error {
			if err := c.RemoveBucket(ctx, bucket); err != nil {
				return err
			}
			return c.MakeBucket(ctx, bucket, minio.MakeBucketOptions{ObjectLocking: true})
		},
		map[string]ivd.Kind{},
	},
}

// What a bucket does, and does not, the probes say; nothing stays behind.
func TestBuckets(t *testing.T) {
	for name, b := range buckets {
		t.Run(name, func(t *testing.T) {
			service := storetest.S3WithVersions(t)
			must(t, b.make(t.Context(), owner(t, service), service.Bucket))
			for _, p := range probe.All {
				if p.Name == probe.LongListing.Name {
					continue // the conformance suite has it
				}
				c := configOf(service)
				c.Prefix = "estate/" + "check-store/" + strings.ReplaceAll(p.Name, "_", "-")
				s := open(t, c)
				if err := p.Try(t.Context(), probe.On(s)); ivd.KindOf(err) != b.fails[p.Name] || err == nil != (b.fails[p.Name] == "") {
					t.Errorf("%s: %v", p.Name, err)
				}
				if left, err := probe.Clean(t.Context(), s); err != nil || len(left.Names) > 0 {
					t.Errorf("%s left %+v, %v", p.Name, left, err)
				}
			}
			for o := range owner(t, service).ListObjects(t.Context(), service.Bucket, minio.ListObjectsOptions{Recursive: true, WithVersions: name != "plain"}) {
				t.Errorf("left: %s %s, %v", o.Key, o.VersionID, o.Err)
			}
		})
	}
}

// A bucket whose objects are locked by themselves is found.
func TestDefaultRetention(t *testing.T) {
	service := storetest.S3WithVersions(t)
	c := owner(t, service)
	must(t, buckets["lock"].make(t.Context(), c, service.Bucket))
	mode, days, unit := minio.Governance, uint(1), minio.Days
	must(t, c.SetObjectLockConfig(t.Context(), service.Bucket, &mode, &days, &unit))
	err := probe.DefaultRetention.Try(t.Context(), probe.On(open(t, configOf(service))))
	if ivd.KindOf(err) != ivd.Unsupported || !strings.Contains(err.Error(), "GOVERNANCE, 1 days") || !strings.Contains(ivd.RemedyOf(err), "default retention") {
		t.Errorf("%v; %s", err, ivd.RemedyOf(err))
	}
}
