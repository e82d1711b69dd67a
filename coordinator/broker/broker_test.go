package broker_test

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"ivdmover/coordinator/broker"
	"ivdmover/shared/ivd"
	"ivdmover/shared/queue"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func start(t *testing.T, o broker.Options) *broker.Server {
	t.Helper()
	s, err := broker.Start(t.Context(), o)
	must(t, err)
	t.Cleanup(s.Close)
	return s
}

func connect(t *testing.T, o queue.Options) *queue.Queue {
	t.Helper()
	q, err := queue.Connect(t.Context(), o)
	must(t, err)
	t.Cleanup(q.Close)
	must(t, q.Setup(t.Context()))
	return q
}

// refused starts a server that must not start.
func refused(t *testing.T, o broker.Options, kind ivd.Kind, says ...string) {
	t.Helper()
	s, err := broker.Start(t.Context(), o)
	if err == nil {
		s.Close()
		t.Fatal("it started")
	}
	text := err.Error() + "; " + ivd.RemedyOf(err)
	if ivd.KindOf(err) != kind {
		t.Errorf("%s: kind %q, want %q", text, ivd.KindOf(err), kind)
	}
	if ivd.RemedyOf(err) == "" {
		t.Errorf("%s: no remedy", text)
	}
	for _, s := range says {
		if !strings.Contains(text, s) {
			t.Errorf("%q does not say %q", text, s)
		}
	}
}

func TestWithoutListenerOnlyThisProcessGetsIn(t *testing.T) {
	s := start(t, broker.Options{Dir: t.TempDir()})
	if url := s.ClientURL(); url != "" {
		t.Fatalf("it listens on %s", url)
	}
	q := connect(t, queue.Options{InProcess: s})
	_, err := q.State().Create(t.Context(), "k", 1)
	must(t, err)
}

// listeners are the inodes of the TCP sockets that this process listens on.
func listeners(t *testing.T) int {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	ours := map[string]bool{}
	for _, f := range open {
		if to, err := os.Readlink("/proc/self/fd/" + f.Name()); err == nil {
			ours[to] = true
		}
	}
	n := 0
	for _, file := range []string{"/proc/self/net/tcp", "/proc/self/net/tcp6"} {
		table, err := os.ReadFile(file)
		must(t, err)
		for line := range strings.Lines(string(table)) {
			if f := strings.Fields(line); len(f) > 9 && f[3] == "0A" && ours["socket:["+f[9]+"]"] {
				n++
			}
		}
	}
	return n
}

// Where no address is named there is no port. Who may open the socket gets in, and
// again after the server was away.
func TestSocket(t *testing.T) {
	dir, before := t.TempDir(), listeners(t)
	o := broker.Options{Dir: dir, Socket: filepath.Join(dir, "socket")}
	s := start(t, o)
	if n := listeners(t); n != before || s.ClientURL() != "" {
		t.Fatalf("it listens on %d ports, on %s", n-before, s.ClientURL())
	}
	outside := connect(t, queue.Options{URL: queue.SocketURL(o.Socket), CredsFile: s.CoordinatorCreds()})
	_, err := outside.State().Create(t.Context(), "k", 1)
	must(t, err)
	back := outside.Returned()
	s.Close()
	if _, err := os.Stat(o.Socket); err == nil {
		t.Error("the socket is left behind")
	}
	start(t, o)
	<-back
	n, _, err := queue.Get[int](t.Context(), outside.State(), "k")
	must(t, err)
	if n != 1 {
		t.Fatalf("read %d", n)
	}
	info, err := os.Stat(dir)
	must(t, err)
	if info.Mode().Perm() != 0o700 {
		t.Errorf("others may enter the socket's folder: %v", info.Mode())
	}
}

// A folder in which there can be no socket.
func TestSocketThatCannotBe(t *testing.T) {
	dir := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(dir, "socket", "full"), 0o700))
	refused(t, broker.Options{Dir: dir, Socket: filepath.Join(dir, "socket")}, ivd.Permanent, "state_dir", filepath.Join(dir, "socket"))
	start(t, broker.Options{Dir: dir}) // the refusal left no lock
}

func TestListenerOnLoopback(t *testing.T) {
	for _, listen := range []string{"127.0.0.1:0", "localhost:0", "127.0.0.2:0"} {
		s := start(t, broker.Options{Dir: t.TempDir(), Listen: listen})
		if strings.HasSuffix(s.ClientURL(), ":0") || strings.HasSuffix(s.ClientURL(), ":4222") {
			t.Fatalf("listening on %s picked no port: %s", listen, s.ClientURL())
		}
		inside, outside := connect(t, queue.Options{InProcess: s}), connect(t, queue.Options{URL: s.ClientURL(), CredsFile: s.CoordinatorCreds()})
		_, err := inside.State().Create(t.Context(), "k", 7)
		must(t, err)
		n, _, err := queue.Get[int](t.Context(), outside.State(), "k")
		must(t, err)
		if n != 7 {
			t.Fatalf("read %d", n)
		}
	}
}

func TestListenerElsewhereIsRefused(t *testing.T) {
	for _, listen := range []string{"0.0.0.0:0", ":0", "[::]:0", "192.0.2.1:4222", "queue.example.net:4222"} {
		refused(t, broker.Options{Dir: t.TempDir(), Listen: listen}, ivd.Invalid, "no TLS", "queue.tls")
	}
	for _, listen := range []string{"127.0.0.1", "127.0.0.1:x", "127.0.0.1:70000", "127.0.0.1:-1"} {
		refused(t, broker.Options{Dir: t.TempDir(), Listen: listen}, ivd.Invalid, "queue.listen")
	}
}

func TestPortInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	refused(t, broker.Options{Dir: t.TempDir(), Listen: l.Addr().String()}, ivd.Permanent, "in use", "queue.listen")
}

func TestOneServerForAFolder(t *testing.T) {
	dir := t.TempDir()
	first := start(t, broker.Options{Dir: dir})
	refused(t, broker.Options{Dir: dir}, ivd.Locked, "another `ivd serve` uses this state folder", dir)
	q := connect(t, queue.Options{InProcess: first}) // the refusal did it no harm
	_, err := q.State().Create(t.Context(), "k", 1)
	must(t, err)
	q.Close()
	first.Close()
	start(t, broker.Options{Dir: dir})
}

func TestFolderThatCannotBe(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	refused(t, broker.Options{Dir: filepath.Join(file, "sub")}, ivd.Permanent, file)
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "jetstream"), nil, 0o600)) // where the server's folder belongs
	refused(t, broker.Options{Dir: dir}, ivd.Permanent, dir)
	must(t, os.Remove(filepath.Join(dir, "jetstream")))
	start(t, broker.Options{Dir: dir}) // the refusal left no lock
}

func TestEndedContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if s, err := broker.Start(ctx, broker.Options{Dir: t.TempDir()}); err == nil {
		s.Close()
		t.Fatal("it started")
	}
}

// levels counts what is logged by level.
type levels struct {
	slog.Handler
	mu    *sync.Mutex
	lines *[]string
}

func (l levels) Enabled(context.Context, slog.Level) bool { return true }
func (l levels) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l levels) Handle(_ context.Context, r slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	*l.lines = append(*l.lines, r.Level.String()+" "+r.Message)
	return nil
}

func TestQuietInAGoodNight(t *testing.T) {
	h := levels{mu: new(sync.Mutex), lines: new([]string)}
	s := start(t, broker.Options{Dir: t.TempDir(), Listen: "127.0.0.1:0", Logger: slog.New(h)})
	q := connect(t, queue.Options{URL: s.ClientURL(), CredsFile: s.CoordinatorCreds()})
	_, err := q.State().Create(t.Context(), "k", 1)
	must(t, err)
	q.Close()
	s.Close()
	s.Close()
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(*h.lines) == 0 {
		t.Fatal("nothing is logged at all")
	}
	for _, line := range *h.lines {
		if !strings.HasPrefix(line, "DEBUG ") {
			t.Errorf("logged: %s", line)
		}
	}
}
