package e2e

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"ivdmover/deploy/lab/script"
	"ivdmover/deploy/stage"
	"ivdmover/shared/repo"
)

// leaseLife is how long a lease of a day lasts where the store's clock is in a hurry.
const leaseLife = 16 * time.Second

// hurry stands before an S3 server and has its clock run so fast that a lease of a
// day is over after leaseLife: the time of its answers, and when its objects were
// modified.
func hurry(t *testing.T, server string) (endpoint string) {
	t.Helper()
	u, err := url.Parse(server)
	must(t, err)
	begun := time.Now().Truncate(time.Second) // as it is told
	faster := func(h http.Header, name string) {
		if at, err := http.ParseTime(h.Get(name)); err == nil {
			h.Set(name, begun.Add(at.Sub(begun)*time.Duration(repo.DefaultLife/leaseLife)).UTC().Format(http.TimeFormat))
		}
	}
	srv := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(u)
			r.Out.Host = r.In.Host // it is signed
		},
		ModifyResponse: func(r *http.Response) error {
			r.Header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
			faster(r.Header, "Date")
			faster(r.Header, "Last-Modified")
			return nil
		},
	})
	t.Cleanup(srv.Close)
	return srv.URL
}

// leases counts the leases in the S3 server's folder. They do not say in the clear whose
// they are.
func leases(t *testing.T, s *stage.Stage) int {
	t.Helper()
	files, err := filepath.Glob(s.Path("repository", "backups", "leases", "*"))
	must(t, err)
	return len(files)
}

// A backup and a restore that each last longer than several leases, with movers
// killed meanwhile, end as any other; what was sealed is not read again.
func TestRunsLongerThanTheirLeases(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := newStage(t)
	_, err := s.StartS3(ctx)
	must(t, err)
	s.Config.Endpoint = hurry(t, s.Config.Endpoint)
	s.Config.AckWait = "2s"
	s.Config.Collect = `schedule: ""` // the leases that runs leave are counted here
	disk, err := s.Owner.Create(ctx, "datastore1", "long", 96)
	must(t, err)
	must(t, s.GuestWrites(ctx, disk, 0, 96<<20, 1))
	flat, err := s.Flat(disk)
	must(t, err)
	must(t, script.WriteHosts(s.Path("lab"), script.Hosts{Bandwidth: 4 << 20}))
	coordinator, movers := serve(t, s, "m1")
	mover := movers[0]

	// over follows a run from its beginning to its end, and kills the mover twice meanwhile.
	over := func(begin func() (string, error)) stage.Run {
		before, begun, kills := leases(t, s), time.Now(), 0
		id, err := begin()
		must(t, err)
		must(t, coordinator.Await(ctx, "the run ends", limit, func() bool {
			var now stage.Run
			if s.Quietly(ctx, &now, "run", "show", id) != nil {
				return false
			}
			if kills < 2 && time.Since(begun) > time.Duration(kills+1)*leaseLife*2/3 {
				mover.Kill()
				kills++
				mover, err = s.StartMover("m1")
				must(t, err)
			}
			return now.State != "running"
		}))
		r, err := s.Ended(ctx, coordinator, id, limit)
		must(t, err)
		// But the last one, all are left to expire.
		if lasted, n := time.Since(begun), leases(t, s)-before; lasted < 3*leaseLife/2 || n < 2 {
			t.Errorf("%s lasted %s and left %d leases", id, lasted, n)
		}
		return r
	}
	r := over(func() (string, error) { return s.Backup(ctx) })
	nothingLeft(t, s)
	over(func() (string, error) { return s.Restore(ctx, r.Disk("long").Point, "back") })
	d, err := s.ByName(ctx, "back")
	must(t, err)
	restored, err := s.Flat(d)
	must(t, err)
	if _, err := stage.Compare(flat, restored); err != nil {
		t.Fatal(err)
	}
}
