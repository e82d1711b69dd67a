package run

import (
	"bytes"
	"context"
	"crypto/sha1" //nolint:gosec // what thumbprints of vSphere are
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"ivdmover/coordinator/admit"
	"ivdmover/coordinator/broker"
	"ivdmover/coordinator/inventory"
	"ivdmover/deploy/lab"
	"ivdmover/deploy/lab/owner"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/queue"
	"ivdmover/shared/repo"
	"ivdmover/shared/store/dir"
)

// bench is a laboratory, a queue and a repository, all real.
type bench struct {
	*testing.T
	labDir string
	owner  *owner.Owner
	vc     *inventory.VCenter
	wire   *wire
	broker *broker.Server
	queue  *queue.Queue
	repo   *repo.Repository
	folder string // of the repository
}

var startLab sync.Mutex

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{T: t, labDir: t.TempDir(), folder: t.TempDir()}
	startLab.Lock() // the simulator's models are shared by all of a process
	l, err := lab.Start(t.Context(), lab.Options{Dir: b.labDir})
	startLab.Unlock()
	b.must(err)
	t.Cleanup(func() { _ = l.Close() })
	r := l.Ready()
	b.owner, err = owner.Connect(t.Context(), r.URL, r.Username, r.Password, r.Thumbprint)
	b.must(err)
	b.wire = newWire(t, r.URL)
	b.vc, err = inventory.Connect(t.Context(), inventory.Config{
		Name: "lab", URL: b.wire.url, Username: r.Username, Password: ivd.Secret(r.Password), Thumbprint: b.wire.thumbprint, Log: slog.New(slog.DiscardHandler),
	})
	b.must(err)
	t.Cleanup(func() { _ = b.vc.Close() })
	b.broker, err = broker.Start(t.Context(), broker.Options{Dir: t.TempDir()})
	b.must(err)
	t.Cleanup(b.broker.Close)
	b.queue = b.connect()
	b.must(b.queue.Setup(t.Context()))
	st, err := dir.Open(b.folder)
	b.must(err)
	b.repo, err = repo.Init(t.Context(), st, repo.InitOptions{})
	b.must(err)
	return b
}

func (b *bench) connect() *queue.Queue {
	b.Helper()
	q, err := queue.Connect(b.Context(), queue.Options{InProcess: b.broker, Name: "test", AckWait: 2 * time.Second, Patience: 2 * time.Second})
	b.must(err)
	b.Cleanup(q.Close)
	return q
}

func (b *bench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// disk makes an IVD with something on it.
func (b *bench) disk(name string, mib int64) owner.Disk {
	b.Helper()
	d, err := b.owner.Create(b.Context(), "datastore1", name, mib)
	b.must(err)
	b.write(d, 0, 64<<10)
	return d
}

func (b *bench) write(d owner.Disk, offset, n int64) {
	b.Helper()
	_, err := lab.Write(b.Context(), b.labDir, d.Ref.ID(), offset, lab.Random(uint64(offset+n), n))
	b.must(err)
}

// service is a coordinator of its own connection that does not serve yet.
func (b *bench) service(instance string) *Service {
	b.Helper()
	return New(Deps{
		Queue: b.connect(), Repo: b.repo, VCenters: map[ivd.SourceID]*inventory.VCenter{b.vc.Source(): b.vc},
		Limits: admit.Limits{}, Instance: instance, Log: slog.New(slog.NewTextHandler(b.Output(), nil)),
	})
}

// serving is a service that is at work until stop, which the test's end calls too.
func (b *bench) serving(instance string) (s *Service, stop func()) {
	b.Helper()
	s = b.service(instance)
	return s, b.serve(s)
}

func (b *bench) serve(s *Service) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := s.Serve(ctx); err != nil {
			b.Error(err)
		}
	}()
	stop = sync.OnceFunc(func() { cancel(); <-ended })
	b.Cleanup(stop)
	b.must(s.Serving(b.Context()))
	return stop
}

func (b *bench) backup(s *Service, q BackupRequest) View {
	b.Helper()
	v, err := s.StartBackup(b.Context(), q)
	b.must(err)
	return v
}

// until waits for a run to be as wanted, and fails the test when it is not after a
// long time.
func (b *bench) until(s *Service, id ivd.RunID, want func(View) bool) View {
	b.Helper()
	ctx, stop := context.WithTimeout(b.Context(), time.Minute)
	defer stop()
	var v View
	var err error
	for v, err = range s.Watch(ctx, id) {
		if err != nil || want(v) {
			break
		}
	}
	b.must(err)
	if !want(v) {
		b.Fatalf("the run is %s: %+v", v.State, v.Disks)
	}
	return v
}

func ended(v View) bool { return v.State.Ended() }

func atStep(s Step) func(View) bool {
	return func(v View) bool { return len(v.Disks) > 0 && v.Disks[0].Step == s }
}

// nothingLeft fails for snapshots of the disk.
func (b *bench) nothingLeft(d owner.Disk) {
	b.Helper()
	if n := b.snapshots(d); n != 0 {
		b.Errorf("disk %s has %d snapshots", d.Name, n)
	}
}

func (b *bench) snapshots(d owner.Disk) int {
	b.Helper()
	list, err := b.owner.Snapshots(b.Context(), d.Ref)
	b.must(err)
	return len(list)
}

func (b *bench) points(d ivd.DiskID) []ivd.PointID {
	b.Helper()
	var ids []ivd.PointID
	for p, err := range b.repo.Points(b.Context(), d) {
		b.must(err)
		ids = append(ids, p.ID)
	}
	return ids
}

func (b *bench) leases() int {
	b.Helper()
	n := 0
	for _, err := range b.repo.Leases(b.Context()) {
		b.must(err)
		n++
	}
	return n
}

// job waits for the one job of a run to be done.
func (b *bench) job(id ivd.RunID) job.Record {
	b.Helper()
	ctx, stop := context.WithTimeout(b.Context(), time.Minute)
	defer stop()
	for rec, err := range b.queue.WatchJobs(ctx, id) {
		b.must(err)
		if rec.State == job.Done {
			return rec
		}
	}
	b.Fatal("the job is not done")
	return job.Record{}
}

func (b *bench) geometry(s *Service, id ivd.RunID) ivd.Geometry {
	b.Helper()
	disks, err := s.listDisks(b.Context(), id)
	b.must(err)
	return disks[0].Geometry
}

// leaseFor is a lease that ends after a while.
func leaseFor(life time.Duration) repo.Lease {
	return repo.Lease{ID: "l", Deadline: time.Now().Add(life)}
}

// condemn publishes a collector's list.
func (b *bench) condemn(packs ...ivd.PackID) {
	b.Helper()
	body, err := format.Condemned{Version: format.RecordVersion, Repository: b.repo.ID(), ID: "one", Packs: packs}.Encode()
	b.must(err)
	b.must(b.repo.Store().Put(b.Context(), "collect/one/condemned", body))
}

// wire stands before the vCenter. What hook answers for a method of the API is done
// instead of asking: an error is an outage.
type wire struct {
	url, thumbprint string

	mu   sync.Mutex
	hook func(method, body string) error // guarded by mu
	lose map[string]func() error         // guarded by mu: after the answer, instead of it
}

var soapMethod = regexp.MustCompile(`<(?:\w+:)?Body[^>]*><(?:\w+:)?(\w+)`)

func newWire(t *testing.T, target string) *wire {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{}
	path := u.Path
	u.Path = ""
	forward := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(u) },
		Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, // loopback, the laboratory's own certificate
		ModifyResponse: func(r *http.Response) error {
			if lose, ok := r.Request.Context().Value(loseKey{}).(func() error); ok {
				return lose()
			}
			return nil
		},
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo),
	}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		if m := soapMethod.FindSubmatch(body); m != nil {
			w.mu.Lock()
			hook, lose := w.hook, w.lose[string(m[1])]
			w.mu.Unlock()
			if lose != nil {
				r = r.WithContext(context.WithValue(r.Context(), loseKey{}, lose))
			}
			if hook != nil {
				if err := hook(string(m[1]), string(body)); err != nil {
					http.Error(rw, err.Error(), http.StatusServiceUnavailable)
					return
				}
			}
		}
		forward.ServeHTTP(rw, r)
	}))
	srv.Config.ErrorLog = forward.ErrorLog
	srv.StartTLS()
	t.Cleanup(srv.Close)
	sum := sha1.Sum(srv.Certificate().Raw)
	parts := make([]string, len(sum))
	for i, x := range sum {
		parts[i] = fmt.Sprintf("%02X", x)
	}
	w.url, w.thumbprint = srv.URL+path, strings.Join(parts, ":")
	return w
}

func (w *wire) intercept(hook func(method, body string) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hook = hook
}

// after has f decide, once a method was answered, whether the answer is lost.
func (w *wire) after(method string, f func() error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lose = map[string]func() error{method: f}
}

type loseKey struct{}
