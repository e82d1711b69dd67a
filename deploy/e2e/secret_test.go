package e2e

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"ivdmover/deploy/stage"
)

// counted stands before the stage's S3 server and counts what that refuses.
func counted(t *testing.T, s *stage.Stage) *atomic.Int64 {
	t.Helper()
	target, err := url.Parse(s.Config.Endpoint)
	must(t, err)
	refused := &atomic.Int64{}
	front := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = target.Scheme, target.Host // the host that was signed stays
		},
		ModifyResponse: func(r *http.Response) error {
			if r.StatusCode == http.StatusForbidden {
				refused.Add(1)
			}
			return nil
		},
	})
	t.Cleanup(front.Close)
	s.Config.Endpoint = front.URL
	return refused
}

// The store's key changes in the middle of a backup, and again in the middle of a
// restore: the disks wait, the log of each program says so once, the old key is not sent
// again and again, and all go on when the file has the new one.
func TestStoreKeyChangesInARun(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.Config.KeyFiles = true
	store, err := s.StartS3(t.Context())
	must(t, err)
	direct := s.Config.Endpoint
	refused := counted(t, s)
	front := s.Config.Endpoint
	d := filled(t, s, "disk-1", 48, 40)
	filled(t, s, "disk-2", 48, 40)
	coordinator, _ := serve(t, s, "m1")
	want := copied(t, s, d, "want")

	// through waits for a run whose store takes another key in the middle.
	through := func(id string) stage.Run {
		t.Helper()
		before, lines := refused.Load(), errorLines(t, s)
		must(t, store.Stop())
		s.NewS3Key()
		s.Config.Endpoint = direct
		store, err = s.RestartS3(t.Context())
		must(t, err)
		s.Config.Endpoint = front
		seen(t, s, coordinator, id, "a disk waits", func(r stage.Run) bool {
			if r.State != "running" {
				t.Fatalf("the run is %s: %+v", r.State, r.Disks)
			}
			return slices.ContainsFunc(r.Disks, func(d stage.RunDisk) bool {
				return strings.Contains(recordOf(t, s, id, d.Name).Retried, "refuses the key")
			})
		})
		_ = s.Quietly(t.Context(), nil, "points") // the coordinator finds out, too
		must(t, coordinator.Await(t.Context(), "each program knows that the key is refused", limit, func() bool {
			now := errorLines(t, s)
			return now["coordinator"] > lines["coordinator"] && now["m1"] > lines["m1"]
		}))
		known := refused.Load()
		for range 5 {
			oneLine(t, s, 1, []string{"refuses the key", s.SecretKeyFile()}, "points")
		}
		if n := refused.Load(); n > known || n-before > 2*inFlight {
			t.Errorf("the refused key was sent %d times, %d of them when that was known", n-before, n-known)
		}
		must(t, s.WriteS3Key())
		r, err := s.Ended(t.Context(), coordinator, id, limit)
		must(t, err)
		for program, n := range errorLines(t, s) {
			if n -= lines[program]; n != 1 {
				t.Errorf("the log of %s has %d lines of level ERROR", program, n)
			}
		}
		return r
	}
	fast := slow(t, s)
	id, err := s.Backup(t.Context(), "--full")
	must(t, err)
	seen(t, s, coordinator, id, "the disk is read", moving("disk-1"))
	fast()
	point := through(id).Disk("disk-1").Point

	fast = slow(t, s)
	id, err = s.Restore(t.Context(), point, "back")
	must(t, err)
	seen(t, s, coordinator, id, "the disk is written", func(r stage.Run) bool {
		return len(r.Disks) > 0 && r.Disks[0].Stats.WrittenBytes > 0
	})
	fast()
	through(id)
	back, err := s.ByName(t.Context(), "back")
	must(t, err)
	flat, err := s.Flat(back)
	must(t, err)
	if _, err := stage.Compare(want, flat); err != nil {
		t.Error(err)
	}
	nothingLeft(t, s)
}

// inFlight is how many requests a program may have sent before the first is refused.
const inFlight = 16

// errorLines counts the lines of level ERROR of each program.
func errorLines(t *testing.T, s *stage.Stage) map[string]int {
	t.Helper()
	n := map[string]int{}
	for _, program := range []string{"coordinator", "m1"} {
		log, err := os.ReadFile(s.Path("logs", program+".log"))
		must(t, err)
		n[program] = strings.Count(string(log), "level=ERROR")
	}
	return n
}
