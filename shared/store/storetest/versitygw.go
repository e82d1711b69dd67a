package storetest

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"ivdmover/shared/ivd"
)

// Service is a running S3 service with one empty bucket.
type Service struct {
	Endpoint  string // http://127.0.0.1:port
	Bucket    string
	AccessKey ivd.Secret
	SecretKey ivd.Secret
	Folder    string // where the service keeps buckets, each a folder
}

// S3 starts versitygw on loopback, over a temporary folder, and stops it when the
// test ends. With -short it skips the test: see `make quick`.
func S3(t testing.TB) Service { return service(t) }

// S3WithVersions is S3, of a service whose buckets can keep versions. The bucket is not
// told to yet.
func S3WithVersions(t testing.TB) Service { return service(t, "--versioning-dir", t.TempDir()) }

// service starts the service with more arguments.
func service(t testing.TB, more ...string) Service {
	t.Helper()
	if testing.Short() {
		t.Skip("-short starts no S3 server")
	}
	s := Service{Bucket: "backups", AccessKey: "storetest", SecretKey: "storetest-secret", Folder: t.TempDir()}
	if err := os.Mkdir(filepath.Join(s.Folder, s.Bucket), 0o755); err != nil {
		t.Fatal(err)
	}
	program := versitygw(t)
	var log logBuffer
	for range 5 { // another process may take the port that was free
		address := freePort(t)
		if startService(t, program, address, s, &log, more...) {
			s.Endpoint = "http://" + address
			return s
		}
	}
	t.Fatalf("versitygw does not start:\n%s", log.String())
	return s
}

// versitygw finds the program as `make tools` leaves it.
func versitygw(t testing.TB) string {
	t.Helper()
	var tried []string
	if dir := os.Getenv("IVD_TOOLS"); dir != "" {
		tried = append(tried, filepath.Join(dir, "versitygw"))
	}
	if root := moduleRoot(); root != "" {
		tried = append(tried, filepath.Join(root, ".tools", "bin", "versitygw"))
	}
	for _, p := range tried {
		if info, err := os.Stat(p); err == nil && info.Mode().IsRegular() {
			return p
		}
	}
	p, err := exec.LookPath("versitygw")
	if err != nil {
		t.Fatalf("no versitygw in %v nor in PATH: run `make tools`", tried)
	}
	return p
}

// moduleRoot is the folder of go.mod at or above the test's own.
func moduleRoot() string {
	dir, err := os.Getwd()
	for err == nil {
		if _, missing := os.Stat(filepath.Join(dir, "go.mod")); missing == nil {
			return dir
		}
		if parent := filepath.Dir(dir); parent != dir {
			dir = parent
			continue
		}
		break
	}
	return ""
}

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// startService starts one and waits until it answers; false when it ended before.
func startService(t testing.TB, program, address string, s Service, log *logBuffer, more ...string) bool {
	args := append([]string{"--port", address, "--quiet", "--keep-alive", "--health", "/health", "posix"}, more...)
	cmd := exec.Command(program, append(args, s.Folder)...)
	cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+s.AccessKey.Reveal(), "ROOT_SECRET_KEY="+s.SecretKey.Reveal())
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // killed below, or it could not listen: the log says why
		close(ended)
	}()
	stop := func() {
		_ = cmd.Process.Kill()
		<-ended
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if !answers(ctx, "http://"+address+"/health", ended) {
		stop()
		return false
	}
	t.Cleanup(stop)
	return true
}

func answers(ctx context.Context, url string, ended <-chan struct{}) bool {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return false
		}
		if resp, err := http.DefaultClient.Do(r); err == nil {
			if err := resp.Body.Close(); err == nil && resp.StatusCode == http.StatusOK {
				return true
			}
		}
		select {
		case <-tick.C:
		case <-ended:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// logBuffer is what the service says, for a test that fails.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
