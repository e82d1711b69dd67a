package s3_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/store"
	"ivdmover/shared/store/s3"
	"ivdmover/shared/store/storetest"
)

// front stands before a service. It counts what comes, and refuses it while locked is
// set.
type front struct {
	*httptest.Server
	sent   atomic.Int64
	locked atomic.Bool
	status int    // of a refusal
	code   string // likewise
}

func newFront(t *testing.T, service storetest.Service) *front {
	t.Helper()
	target, err := url.Parse(service.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host = target.Scheme, target.Host // the host that was signed stays
	}}
	f := &front{status: http.StatusForbidden, code: "InvalidAccessKeyId"}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.sent.Add(1)
		if f.locked.Load() {
			w.WriteHeader(f.status)
			_, _ = w.Write([]byte(`<Error><Code>` + f.code + `</Code><Message>not known</Message></Error>`))
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(f.Close)
	return f
}

// sends wants so many requests to be sent by f.
func (f *front) sends(t *testing.T, what string, want int64, do func()) {
	t.Helper()
	before := f.sent.Load()
	do()
	if n := f.sent.Load() - before; n != want {
		t.Errorf("%s: %d requests were sent, want %d", what, n, want)
	}
}

// A key that the service refuses in the middle is read again from its file: while that
// holds the same one, nothing is sent with it, whoever asks; another one is tried by one
// request, and used by all when it is taken. So it is with a pair of files and with a
// file of the AWS CLI, and where the service says with 404 that it does not know the key.
// Whoever can wait is told to, and the log has one line.
func TestKeyThatIsRefusedLater(t *testing.T) {
	service := storetest.S3(t)
	for _, how := range []string{"pair", "pair, refused with 404", "credentials file"} {
		t.Run(how, func(t *testing.T) {
			f := newFront(t, service)
			if how == "pair, refused with 404" {
				f.status, f.code = http.StatusNotFound, "XAdminUserNotFound"
			}
			c := configOf(service)
			c.Endpoint = f.URL
			var log syncBuffer
			c.Log = slog.New(slog.NewTextHandler(&log, nil))
			access, secret, file := c.AccessKey, c.SecretKey, filepath.Join(t.TempDir(), "keys")
			var mu sync.Mutex
			held := "" // the secret that the file holds
			hold := func(s string) {
				mu.Lock()
				defer mu.Unlock()
				held = s
				text := "[default]\naws_access_key_id = " + access.Reveal() + "\naws_secret_access_key = " + s + "\n"
				if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			hold(secret.Reveal())
			if how != "credentials file" {
				c.KeyFiles = file
				c.ReadKeys = func() (ivd.Secret, ivd.Secret, error) {
					mu.Lock()
					defer mu.Unlock()
					return access, ivd.Secret(held), nil
				}
			} else {
				t.Setenv("AWS_PROFILE", "")
				c.AccessKey, c.SecretKey, c.CredentialsFile = "", "", file
			}
			s := open(t, c)
			put := func() error { return s.Put(t.Context(), "a", []byte("x")) }
			if err := put(); err != nil {
				t.Fatal(err)
			}
			f.locked.Store(true)
			wantKind(t, "refused", put(), ivd.Withheld)
			f.sends(t, "with a key that was refused", 0, func() {
				for range 20 {
					err := put()
					wantKind(t, "refused before", err, ivd.Withheld)
					if !strings.Contains(err.Error(), "not tried again before its file changes") || !strings.Contains(ivd.RemedyOf(err), file) {
						t.Fatalf("%v; %s", err, ivd.RemedyOf(err))
					}
				}
			})
			if text := log.String(); strings.Count(text, "level=ERROR") != 1 || !strings.Contains(text, file) {
				t.Errorf("want one line with the file:\n%s", text)
			}
			f.locked.Store(false)
			hold("wrong") // it is another one, so it is tried: once, whoever comes
			f.sends(t, "a wrong secret", 1, func() {
				var all sync.WaitGroup
				for range 20 {
					all.Go(func() {
						if err := put(); ivd.KindOf(err) != ivd.Withheld {
							t.Errorf("a wrong secret: %v", err)
						}
					})
				}
				all.Wait()
			})
			hold(secret.Reveal())
			var all sync.WaitGroup
			for range 8 {
				all.Go(func() {
					if err := put(); err != nil {
						t.Errorf("after the file has changed: %v", err)
					}
				})
			}
			all.Wait()
			if text := log.String(); strings.Count(text, "level=ERROR") != 2 || !strings.Contains(text, "takes the key again") {
				t.Errorf("want two lines, and that it is over:\n%s", text)
			}
		})
	}
}

// A key of the environment or of a role is gated like that of a file. A role is not
// asked for another key by each request that has none.
func TestKeyWithoutFileIsRefusedLater(t *testing.T) {
	service := storetest.S3(t)
	for _, name := range []string{"AWS_ACCESS_KEY", "AWS_SECRET_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"} {
		t.Setenv(name, "")
	}
	t.Setenv("HOME", t.TempDir())
	access, secret := service.AccessKey.Reveal(), service.SecretKey.Reveal()
	var asked atomic.Int64
	role := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		_, _ = fmt.Fprintf(w, `{"Code":"Success","AccessKeyId":%q,"SecretAccessKey":%q,"Expiration":%q}`, access, secret, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	}))
	defer role.Close()
	for how, set := range map[string]map[string]string{
		"environment": {"AWS_ACCESS_KEY_ID": access, "AWS_SECRET_ACCESS_KEY": secret, "AWS_CONTAINER_CREDENTIALS_FULL_URI": ""},
		"role":        {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_CONTAINER_CREDENTIALS_FULL_URI": role.URL},
	} {
		t.Run(how, func(t *testing.T) {
			for name, value := range set {
				t.Setenv(name, value)
			}
			f := newFront(t, service)
			c := configOf(service)
			c.Endpoint, c.AccessKey, c.SecretKey = f.URL, "", ""
			var log syncBuffer
			c.Log = slog.New(slog.NewTextHandler(&log, nil))
			s := open(t, c)
			put := func() error { return s.Put(t.Context(), "a", []byte("x")) }
			if err := put(); err != nil {
				t.Fatal(err)
			}
			f.locked.Store(true)
			f.sends(t, "a refused key", 1, func() { wantKind(t, "refused", put(), ivd.Withheld) })
			before := asked.Load()
			f.sends(t, "a key that was refused", 0, func() {
				for range 20 {
					wantKind(t, "refused before", put(), ivd.Withheld)
				}
			})
			if n := asked.Load() - before; n > 1 {
				t.Errorf("the role was asked %d times for another key", n)
			}
			if text := log.String(); strings.Count(text, "level=ERROR") != 1 || how == "environment" && !strings.Contains(text, "AWS_ACCESS_KEY_ID") {
				t.Errorf("want one line:\n%s", text)
			}
			if strings.Contains(log.String(), secret) {
				t.Error("the log shows the secret")
			}
		})
	}
}

// A key that is refused at the first request of all is wrong, and not waited for: it is
// sent once.
func TestKeyThatIsRefusedAtOnce(t *testing.T) {
	service := storetest.S3(t)
	f := newFront(t, service)
	f.locked.Store(true)
	c := configOf(service)
	c.Endpoint = f.URL
	f.sends(t, "a wrong key", 1, func() {
		_, err := s3.Open(t.Context(), c)
		wantKind(t, "open", err, ivd.Denied)
	})
}

// What is asked with a HEAD is answered without a word: that the key was refused is
// found out all the same.
func TestKeyIsRefusedToHEAD(t *testing.T) {
	service := storetest.S3(t)
	f := newFront(t, service)
	c := configOf(service)
	c.Endpoint = f.URL
	s := open(t, c)
	f.locked.Store(true)
	for range 3 {
		_, err := s.Stat(t.Context(), "a")
		wantKind(t, "stat", err, ivd.Withheld)
	}
}

// What is created once, and what is replaced, is refused with the same kind, and learned
// from.
func TestKeyIsRefusedToSingleRequests(t *testing.T) {
	service := storetest.S3(t)
	for _, how := range []string{"create", "replace"} {
		t.Run(how, func(t *testing.T) {
			f := newFront(t, service)
			c := configOf(service)
			c.Endpoint = f.URL
			s := open(t, c)
			if err := s.Put(t.Context(), "was", []byte("x")); err != nil {
				t.Fatal(err)
			}
			was, err := s.Get(t.Context(), "was", 10)
			if err != nil {
				t.Fatal(err)
			}
			try := func() error {
				if how == "replace" {
					return s.Replace(t.Context(), was, []byte("y"))
				}
				p, err := s.Prepare(t.Context(), "", "once", []byte("x"), time.Minute)
				if err != nil {
					return err
				}
				defer p.Discard()
				return p.Send(t.Context())
			}
			f.locked.Store(true)
			f.sends(t, how, 1, func() {
				for range 5 {
					err := try()
					wantKind(t, how, err, ivd.Withheld)
					if store.InDoubt(err) {
						t.Error("it is in doubt")
					}
				}
			})
		})
	}
}

// syncBuffer is a log of several goroutines.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
