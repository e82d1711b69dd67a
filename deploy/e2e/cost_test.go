package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"

	costs "ivdmover/coordinator/cost"
	"ivdmover/deploy/lab"
	"ivdmover/shared/ivd"
)

// countRequests stands before an S3 server and counts what it is asked, as services charge.
func countRequests(t testing.TB, target string) (address string, asked func() costs.Requests) {
	t.Helper()
	u, err := url.Parse(target)
	must(t, err)
	var mu sync.Mutex
	var n costs.Requests // guarded by mu
	count := func(r *http.Request) *int64 {
		q := r.URL.Query()
		switch {
		case r.Method == http.MethodPut:
			return &n.Put
		case r.Method == http.MethodHead:
			return &n.Head
		case r.Method == http.MethodDelete || q.Has("delete"):
			return &n.Delete
		case q.Has("list-type"):
			return &n.List
		}
		return &n.Get
	}
	forward := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(u)
			r.Out.Host = r.In.Host // it is signed
		},
		Transport: &http.Transport{MaxIdleConnsPerHost: keptConnections},
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		*count(r)++
		mu.Unlock()
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	return srv.URL, func() costs.Requests {
		mu.Lock()
		defer mu.Unlock()
		return n
	}
}

// What `ivd repo cost` forecasts of a policy is what an S3 server counts and stores then:
// of many small disks and of few large ones, first and again.
func TestForecastIsWhatTheStoreCounts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		disks        int
		mib, content int64 // of each
		changed      int64 // in each, between the runs
	}{{24, 2, 1 << 20, 256 << 10}, {2, 160, 120 << 20, 24 << 20}} {
		t.Run(fmt.Sprintf("%d disks of %d MiB", c.disks, c.mib), func(t *testing.T) {
			ctx := t.Context()
			s := newStage(t)
			for i := range c.disks {
				d, err := s.Owner.Create(ctx, "datastore1", fmt.Sprintf("disk-%04d", i), c.mib)
				must(t, err)
				_, err = lab.Write(ctx, s.Path("lab"), d.Ref.ID(), 0, lab.Random(uint64(i), c.content))
				must(t, err)
			}
			_, err := s.StartS3(ctx)
			must(t, err)
			var asked func() costs.Requests
			s.Config.Endpoint, asked = countRequests(t, s.Config.Endpoint)
			s.Config.Memory = "512MiB"
			coordinator, _ := serve(t, s, "m1")

			share := func(n, of int64) string { return fmt.Sprintf("%g%%", 100*float64(n)/float64(of)) }
			var f costs.Forecast
			must(t, s.Ask(ctx, &f, "repo", "cost", "--config", s.ConfigFile(), "--policy", "all",
				"--used", share(c.content, c.mib<<20), "--stored", "100%", "--change", share(c.changed, c.content)))
			stored := func() int64 {
				var now struct {
					Bytes int64 `json:"bytes"`
				}
				must(t, s.Ask(ctx, &now, "repo", "cost", "--config", s.ConfigFile()))
				return now.Bytes
			}
			for _, forecast := range []costs.Run{f.First, f.Next} {
				before, earlier := stored(), asked()
				id, err := s.Backup(ctx)
				must(t, err)
				r, err := s.Ended(ctx, coordinator, id, limit)
				must(t, err)
				later, added := asked(), stored()-before
				t.Logf("of %d disks: asked for %+v before and %+v after, forecast %+v; stored %d bytes, forecast %d", len(r.Disks), earlier, later, forecast.Requests, added, forecast.Stored)
				for kind, of := range map[string]func(costs.Requests) int64{
					"PUT": func(r costs.Requests) int64 { return r.Put }, "GET and HEAD": func(r costs.Requests) int64 { return r.Get + r.Head },
					"LIST": func(r costs.Requests) int64 { return r.List }, "all": costs.Requests.All,
				} {
					if got, want := of(later)-of(earlier), of(forecast.Requests); got > want*3/2 || got < want/2 {
						t.Errorf("%s requests: %d, forecast %d", kind, got, want)
					}
				}
				if added > forecast.Stored*11/10+64<<10 || added < forecast.Stored*9/10 {
					t.Errorf("%d bytes are stored, forecast %d", added, forecast.Stored)
				}
				for i, d := range r.Disks {
					_, err := lab.Write(ctx, s.Path("lab"), ivd.DiskID(d.ID), 0, lab.Random(uint64(1000+i), c.changed))
					must(t, err)
				}
			}
			if f.Disks != c.disks {
				t.Errorf("the forecast is of %d disks", f.Disks)
			}
		})
	}
}
