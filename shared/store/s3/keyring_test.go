package s3_test

import (
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

	"ivdmover/shared/ivd"
	"ivdmover/shared/store/storetest"
)

// A key that the service refuses in the middle is read again from its file: while that
// holds the same one, nothing is sent with it, whoever asks; another one is used at
// once, by all. So it is with a pair of files and with a file of the AWS CLI.
func TestKeyThatIsRefusedLater(t *testing.T) {
	service := storetest.S3(t)
	for _, how := range []string{"pair", "credentials file"} {
		t.Run(how, func(t *testing.T) {
			var sent atomic.Int64
			var locked atomic.Bool
			target, err := url.Parse(configOf(service).Endpoint)
			if err != nil {
				t.Fatal(err)
			}
			proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
				r.Out.URL.Scheme, r.Out.URL.Host = target.Scheme, target.Host // the host that was signed stays
			}}
			front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				sent.Add(1)
				if locked.Load() {
					w.WriteHeader(http.StatusForbidden)
					_, _ = w.Write([]byte(`<Error><Code>InvalidAccessKeyId</Code><Message>not known</Message></Error>`))
					return
				}
				proxy.ServeHTTP(w, r)
			}))
			defer front.Close()

			c := configOf(service)
			c.Endpoint = front.URL
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
			if how == "pair" {
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
			locked.Store(true)
			wantKind(t, "refused", put(), ivd.Denied)
			before := sent.Load()
			for range 20 {
				err := put()
				wantKind(t, "refused before", err, ivd.Denied)
				if !strings.Contains(err.Error(), "not tried again before its file changes") || ivd.RemedyOf(err) == "" {
					t.Fatal(err)
				}
			}
			if n := sent.Load() - before; n != 0 {
				t.Errorf("%d requests were sent with a key that was refused", n)
			}
			locked.Store(false)
			hold("wrong") // it is another one, so it is tried: once
			before = sent.Load()
			for range 20 {
				wantKind(t, "a wrong secret", put(), ivd.Denied)
			}
			if n := sent.Load() - before; n != 1 {
				t.Errorf("%d requests were sent with a wrong secret, want 1", n)
			}
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
		})
	}
}
