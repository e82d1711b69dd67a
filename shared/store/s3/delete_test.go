package s3_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"ivdmover/shared/ivd"
	"ivdmover/shared/store"
	"ivdmover/shared/store/s3"
	"ivdmover/shared/store/storetest"
)

// A request to delete says until when it may be obeyed, and the service does not obey
// it afterwards, whoever has kept it on its way.
func TestDeleteExpires(t *testing.T) {
	s, b, _ := opened(t)
	if err := s.Put(t.Context(), "data/x", []byte("x")); err != nil {
		t.Fatal(err)
	}
	var seen url.Values
	b.set(http.MethodDelete, 1, func(w http.ResponseWriter, r *http.Request, pass http.Handler) {
		seen = r.URL.Query()
		pass.ServeHTTP(w, r)
	})
	if err := s.Delete(t.Context(), "data/x"); err != nil {
		t.Fatal(err)
	}
	life, err := time.ParseDuration(seen.Get("X-Amz-Expires") + "s")
	if err != nil || life <= 0 || life > store.DeleteLife {
		t.Errorf("a request that lives %q: %v", seen.Get("X-Amz-Expires"), err)
	}
	// That the service counts the time is shown by one that is signed for a second.
	client := minioClient(t, b.url, storetest.Service{AccessKey: "storetest", SecretKey: "storetest-secret"})
	if err := s.Put(t.Context(), "data/late", []byte("x")); err != nil {
		t.Fatal(err)
	}
	u, err := client.Presign(t.Context(), http.MethodDelete, "backups", "data/late", time.Second, nil)
	if err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for begun := time.Now(); time.Since(begun) < 3*time.Second; {
		<-tick.C
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, u.String(), http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := s.Stat(t.Context(), "data/late"); err != nil || resp.StatusCode != http.StatusForbidden {
		t.Errorf("a late request: status %d, and the object: %v", resp.StatusCode, err)
	}
}

func minioClient(t *testing.T, endpoint string, service storetest.Service) *minio.Client {
	t.Helper()
	u, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	client, err := minio.New(u.Host, &minio.Options{Creds: credentials.NewStaticV4(service.AccessKey.Reveal(), service.SecretKey.Reveal(), ""), Region: "us-east-1"})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// In a bucket that keeps versions nothing is left of what is deleted, and where the
// versions cannot be removed, that is said.
func TestDeleteVersions(t *testing.T) {
	service := storetest.S3WithVersions(t)
	b := newBetween(t, service)
	client := minioClient(t, service.Endpoint, service)
	if err := client.EnableVersioning(t.Context(), service.Bucket); err != nil {
		t.Fatal(err)
	}
	c := configOf(service)
	c.Endpoint = b.url
	s := open(t, c)
	versions := func() (keys []string) {
		t.Helper()
		for o := range client.ListObjectsIter(t.Context(), service.Bucket, minio.ListObjectsOptions{Recursive: true, WithVersions: true}) {
			if o.Err != nil {
				t.Fatal(o.Err)
			}
			keys = append(keys, o.Key)
		}
		return keys
	}
	for _, name := range []store.Name{"data/a", "data/a", "data/ab"} {
		if err := s.Put(t.Context(), name, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	if got := versions(); len(got) != 3 {
		t.Fatalf("versions: %v", got)
	}
	if err := s.Delete(t.Context(), "data/a"); err != nil {
		t.Fatal(err)
	}
	if got := versions(); len(got) != 1 || got[0] != "data/ab" {
		t.Errorf("left: %v", got)
	}
	// Without the right to them the object is gone all the same.
	refuse := func(w http.ResponseWriter, r *http.Request, pass http.Handler) bool {
		if r.Method == http.MethodDelete && strings.Contains(r.URL.RawQuery, "versionId") {
			answer(http.StatusForbidden, "AccessDenied")(w, r, pass)
			return true
		}
		return false
	}
	b.mu.Lock()
	b.fault = refuse
	b.mu.Unlock()
	err := s.Delete(t.Context(), "data/ab")
	if !errors.Is(err, store.ErrVersionsKept) || ivd.KindOf(err) != ivd.Denied || !strings.Contains(ivd.RemedyOf(err), "s3:DeleteObjectVersion") {
		t.Errorf("versions that are kept: %v", err)
	}
	if _, err := s.Stat(t.Context(), "data/ab"); ivd.KindOf(err) != ivd.NotFound {
		t.Errorf("the object: %v", err)
	}
	b.mu.Lock()
	b.fault = nil
	b.mu.Unlock()
	if err := s.Delete(t.Context(), "data/ab"); err != nil || len(versions()) != 0 {
		t.Errorf("once it is allowed: %v, left %v", err, versions())
	}
}

// A host that is suspended between two attempts sends no second one afterwards: what was
// decided before no longer holds. And all attempts are signed for the life of the first.
func TestDeleteAfterASuspension(t *testing.T) {
	s, b, _ := opened(t)
	s3.Hurry(s)
	if err := s.Put(t.Context(), "data/x", []byte("x")); err != nil {
		t.Fatal(err)
	}
	ctx := &storetest.Suspended{Context: t.Context()}
	asked := 0
	b.set(http.MethodDelete, 8, func(w http.ResponseWriter, r *http.Request, pass http.Handler) {
		asked++
		ctx.Wake()
		answer(http.StatusServiceUnavailable, "SlowDown")(w, r, pass)
	})
	if err := s.Delete(ctx, "data/x"); !errors.Is(err, context.DeadlineExceeded) || asked != 1 {
		t.Errorf("%d requests: %v", asked, err)
	}
	if _, err := s.Stat(t.Context(), "data/x"); err != nil {
		t.Errorf("the object: %v", err)
	}
}

// What is signed is dead by the time that the deletion's context says, however late it is
// signed.
func TestDeleteIsSignedForTheFirstAttempt(t *testing.T) {
	s, b, _ := opened(t)
	var seen url.Values
	b.set(http.MethodDelete, 1, func(w http.ResponseWriter, r *http.Request, pass http.Handler) {
		seen = r.URL.Query()
		pass.ServeHTTP(w, r)
	})
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(100*time.Second))
	defer cancel()
	if err := s.Delete(ctx, "data/x"); err != nil {
		t.Fatal(err)
	}
	if life, err := time.ParseDuration(seen.Get("X-Amz-Expires") + "s"); err != nil || life > 100*time.Second || life < 50*time.Second {
		t.Errorf("a request that lives %s: %v", life, err)
	}
}
