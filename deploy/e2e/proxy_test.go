package e2e

import (
	"crypto/sha1" //nolint:gosec // what VDDK's thumbprints are
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// proxy stands before the vCenter, counts the calls of the vSphere API, and kills a
// process after a given one was answered, before the answer arrives.
type proxy struct {
	url, thumbprint string

	mu    sync.Mutex
	calls int
	after int         // kill after this many calls; 0: never
	when  func() bool // or after the first for which this is so; nil: never
	pid   int
}

// keptConnections are those that what stands before a server keeps, so that it does not
// cost more than the server.
const keptConnections = 64

func newProxy(t testing.TB, target string) *proxy {
	t.Helper()
	u, err := url.Parse(target)
	must(t, err)
	path := u.Path
	u.Path = ""
	p := &proxy{}
	forward := &httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(u) },
		Transport:      &http.Transport{MaxIdleConnsPerHost: keptConnections, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, // loopback, the laboratory's own certificate
		ModifyResponse: p.answered,
	}
	srv := httptest.NewTLSServer(forward)
	t.Cleanup(srv.Close)
	sum := sha1.Sum(srv.Certificate().Raw)
	parts := make([]string, len(sum))
	for i, b := range sum {
		parts[i] = fmt.Sprintf("%02X", b)
	}
	p.url, p.thumbprint = srv.URL+path, strings.Join(parts, ":")
	return p
}

func (p *proxy) answered(r *http.Response) error {
	if !strings.HasPrefix(r.Request.URL.Path, "/sdk") {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls++
	if p.after > 0 && p.calls == p.after || p.when != nil && p.when() {
		p.when = nil
		return syscall.Kill(p.pid, syscall.SIGKILL)
	}
	return nil
}

// arm counts from 0 again, to kill pid after the n-th call; n 0 only counts.
func (p *proxy) arm(pid, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls, p.pid, p.after, p.when = 0, pid, n, nil
}

// killWhen kills pid after the first call for which so is true. It is asked after
// each call, by one at a time.
func (p *proxy) killWhen(pid int, so func() bool) {
	p.arm(pid, 0)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.when = so
}

func (p *proxy) counted() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls
}
