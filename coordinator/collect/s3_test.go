package collect_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"ivdmover/coordinator/collect"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/repo/repotest"
	"ivdmover/shared/store/s3"
	"ivdmover/shared/store/storetest"
)

// Over S3 everybody but the collector works without the right to delete anything but the
// leases: backups, who gives points up, readers; and a collection leaves what points need.
func TestOnlyTheCollectorDeletes(t *testing.T) {
	service := storetest.S3(t)
	target, err := url.Parse(service.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	pass := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host // it is signed
	}}
	guard := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodDelete && !strings.Contains(r.URL.Path, "/leases/") {
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte("<Error><Code>AccessDenied</Code><Message>no right to delete</Message></Error>"))
			return
		}
		pass.ServeHTTP(w, r)
	}))
	t.Cleanup(guard.Close)
	open := func(endpoint string) *s3.Store {
		s, err := s3.Open(t.Context(), s3.Config{Endpoint: endpoint, Bucket: service.Bucket, Region: "us-east-1", PathStyle: new(true), AccessKey: service.AccessKey, SecretKey: service.SecretKey})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
	with, without := open(service.Endpoint), open(guard.URL)
	r := repotest.On(t, without, repo.InitOptions{})
	d := repotest.NewDisk(ivd.Geometry{Capacity: 4 * ivd.MinChunkSize, ChunkSize: ivd.MinChunkSize})
	save := func(v byte) repotest.Point {
		if _, err := d.WriteAt([]byte{v}, 0); err != nil {
			t.Fatal(err)
		}
		return r.Save(d, repotest.Layout{})
	}
	first := save(1)
	second := save(2)
	if err := r.Forget(t.Context(), format.Forgotten{Point: first.ID, Reason: "a test"}); err != nil {
		t.Fatal(err)
	}
	o := collect.Options{MinAge: -time.Hour, MaxShare: 1} // what is stored this second goes
	if _, err := collect.New(r.Repository, o).Collect(t.Context()); ivd.KindOf(err) != ivd.Denied {
		t.Errorf("a collection without the right: %v", err)
	}
	for range with.List(t.Context(), "collect/") {
		t.Error("something is condemned")
	}
	collector, err := repo.Open(t.Context(), with)
	if err != nil {
		t.Fatal(err)
	}
	rep, err := collect.New(collector, o).Collect(t.Context())
	if err != nil || rep.Condemned.Points != 1 || rep.Deleted.Points != 1 || rep.Deleted.Packs == 0 {
		t.Fatalf("%+v, %v", rep, err)
	}
	if err := collect.Readable(t.Context(), r.Repository, first.ID); ivd.KindOf(err) != ivd.NotFound {
		t.Errorf("what was given up: %v", err)
	}
	if err := collect.Readable(t.Context(), r.Repository, second.ID); err != nil {
		t.Errorf("what was not: %v", err)
	}
	if damage, err := r.CheckPack(t.Context(), format.IndexPack, second.Pages[0].Place.Pack, nil); damage != nil || err != nil {
		t.Errorf("its pack: %v, %v", damage, err)
	}
	third := save(3)
	if err := collect.Readable(t.Context(), r.Repository, third.ID); err != nil {
		t.Errorf("a backup afterwards: %v", err)
	}
}
