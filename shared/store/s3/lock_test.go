package s3_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"ivdmover/shared/ivd"
	"ivdmover/shared/store"
	"ivdmover/shared/store/s3"
	"ivdmover/shared/store/storetest"
)

// lockedBucket is a bucket with object lock, what is in front of it, and a store that
// locks for two days.
func lockedBucket(t *testing.T) (storetest.Service, *between, *s3.Store) {
	t.Helper()
	service := storetest.S3WithVersions(t)
	must(t, buckets["lock"].make(t.Context(), owner(t, service), service.Bucket))
	b := newBetween(t, service)
	c := configOf(service)
	c.Endpoint, c.Locks = b.url, store.Locks{For: 48 * time.Hour}
	return service, b, open(t, c)
}

// What must not go is locked with the request that stores it, whichever that is, until
// the end of the generation and the time of locks; leases and the like are not.
func TestStoresLocked(t *testing.T) {
	service, _, s := lockedBucket(t)
	put := func(ctx context.Context, name store.Name) error { return s.Put(ctx, name, []byte("x")) }
	create := func(ctx context.Context, name store.Name) error {
		p, err := s.Prepare(ctx, ivd.NewLeaseID(), name, []byte("x"), time.Minute)
		if err != nil {
			return err
		}
		return p.Send(ctx)
	}
	replace := func(ctx context.Context, name store.Name) error {
		if err := put(ctx, name); err != nil {
			return err
		}
		o, err := s.Get(ctx, name, 10)
		if err != nil {
			return err
		}
		return s.Replace(ctx, o, []byte("y"))
	}
	for how, do := range map[string]func(context.Context, store.Name) error{"put": put, "created": create, "replaced": replace} {
		for _, folder := range []string{"data", "points", "leases", "collect"} {
			name := store.Name(folder + "/d/" + how)
			before := s.Properties().Locks.Until(time.Now())
			must(t, do(t.Context(), name))
			until, err := s.LockedUntil(t.Context(), name)
			after := s.Properties().Locks.Until(time.Now())
			if locked := !until.IsZero(); err != nil || locked != store.Locked(name) || locked && !until.Equal(before) && !until.Equal(after) {
				t.Errorf("%s: until %s, %v; want %s", name, until, err, after)
			}
		}
	}
	if store.Locked("leases/d/put") || store.Locked("hooks/d/put") || store.Locked("collect/d/put") || !store.Locked("data/d/put") {
		t.Error("what is locked is not what must be")
	}
	// Whoever may delete hides a locked object, and what it was can be brought back.
	const name store.Name = "data/d/put"
	must(t, owner(t, service).RemoveObject(t.Context(), service.Bucket, string(name), minio.RemoveObjectOptions{}))
	if _, err := s.Stat(t.Context(), name); ivd.KindOf(err) != ivd.NotFound {
		t.Errorf("an object that was deleted: %v", err)
	}
	for o := range owner(t, service).ListObjects(t.Context(), service.Bucket, minio.ListObjectsOptions{Prefix: string(name), Recursive: true, WithVersions: true}) {
		must(t, o.Err)
		err := owner(t, service).RemoveObject(t.Context(), service.Bucket, o.Key, minio.RemoveObjectOptions{VersionID: o.VersionID})
		if (err == nil) != o.IsDeleteMarker {
			t.Errorf("version %s, marker %t: %v", o.VersionID, o.IsDeleteMarker, err)
		}
	}
	if _, err := s.Stat(t.Context(), name); err != nil {
		t.Errorf("once the marker is gone: %v", err)
	}
}

// A lock is made longer with one request, and never shorter.
func TestLockGrows(t *testing.T) {
	_, b, s := lockedBucket(t)
	const name store.Name = "data/d/a"
	must(t, s.Put(t.Context(), name, []byte("x")))
	was, err := s.LockedUntil(t.Context(), name)
	must(t, err)
	requests := 0
	b.mu.Lock()
	b.fault = func(http.ResponseWriter, *http.Request, http.Handler) bool { requests++; return false }
	b.mu.Unlock()
	must(t, s.Lock(t.Context(), name, was.Add(72*time.Hour)))
	if requests != 1 {
		t.Errorf("a lock was made longer with %d requests", requests)
	}
	must(t, s.Lock(t.Context(), name, was)) // it is locked for longer
	if until, err := s.LockedUntil(t.Context(), name); err != nil || !until.Equal(was.Add(72*time.Hour)) {
		t.Errorf("locked until %s, want %s: %v", until, was.Add(72*time.Hour), err)
	}
	if err := s.Lock(t.Context(), "data/d/none", was); ivd.KindOf(err) != ivd.NotFound {
		t.Errorf("an absent object is locked: %v", err)
	}
}

// A bucket that cannot lock, and one that locks everything, are refused where locks are
// wanted; and a bucket that locks nothing is asked for a lock once.
func TestLocksRefused(t *testing.T) {
	service := storetest.S3WithVersions(t)
	c := configOf(service)
	plain := open(t, c)
	must(t, plain.Put(t.Context(), "data/d/a", []byte("x")))
	if until, err := plain.LockedUntil(t.Context(), "data/d/a"); !until.IsZero() || err != nil || plain.Properties().MayLock {
		t.Errorf("a bucket without locks: %s, %v, may lock %t", until, err, plain.Properties().MayLock)
	}
	must(t, plain.Delete(t.Context(), "data/d/a"))
	c.Locks = store.Locks{For: 48 * time.Hour, Compliance: true}
	if _, err := s3.Open(t.Context(), c); ivd.KindOf(err) != ivd.Unmet || !strings.Contains(ivd.RemedyOf(err), "object lock") {
		t.Errorf("a bucket without locks is opened for locking: %v", err)
	}
	must(t, buckets["lock"].make(t.Context(), owner(t, service), service.Bucket))
	must(t, open(t, c).Put(t.Context(), "leases/a", nil))
	mode, days, unit := minio.Governance, uint(1), minio.Days
	must(t, owner(t, service).SetObjectLockConfig(t.Context(), service.Bucket, &mode, &days, &unit))
	if _, err := s3.Open(t.Context(), c); ivd.KindOf(err) != ivd.Unmet || !strings.Contains(ivd.RemedyOf(err), "default retention") {
		t.Errorf("a bucket that locks everything: %v", err)
	}
}
