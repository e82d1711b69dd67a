package coordtest

import (
	"bytes"
	"context"
	"crypto/sha1" //nolint:gosec // what thumbprints of vSphere are
	"crypto/tls"
	"errors"
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
)

// Status is an error that a hook answers with an HTTP status of its own: 404 is a
// refusal.
type Status int

func (s Status) Error() string { return http.StatusText(int(s)) }

// Wire stands before the vCenter. What hook answers for a method of the API is done
// instead of asking: an error is an outage.
type Wire struct {
	url, thumbprint string

	mu    sync.Mutex
	calls int                             // guarded by mu
	hook  func(method, body string) error // guarded by mu
	lose  map[string]func() error         // guarded by mu: after the answer, instead of it
}

var soapMethod = regexp.MustCompile(`<(?:\w+:)?Body[^>]*><(?:\w+:)?(\w+)`)

func newWire(t *testing.T, target string) *Wire {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	w := &Wire{}
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
			w.calls++
			hook, lose := w.hook, w.lose[string(m[1])]
			w.mu.Unlock()
			if lose != nil {
				r = r.WithContext(context.WithValue(r.Context(), loseKey{}, lose))
			}
			if hook != nil {
				if err := hook(string(m[1]), string(body)); err != nil {
					status := Status(http.StatusServiceUnavailable)
					errors.As(err, &status)
					http.Error(rw, err.Error(), int(status))
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

// Intercept has a hook see every call.
func (w *Wire) Intercept(hook func(method, body string) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hook = hook
}

// After has f decide, once a method was answered, whether the answer is lost.
func (w *Wire) After(method string, f func() error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lose = map[string]func() error{method: f}
}

type loseKey struct{}

// HoldAt holds the first call of a method up: it says so, and goes on when told, or
// ends with an error.
func (w *Wire) HoldAt(method string, reached, goOn chan struct{}, then error) {
	first := true
	w.Intercept(func(m, _ string) error {
		if m == method && first {
			first = false
			close(reached)
			<-goOn
			return then
		}
		return nil
	})
}
