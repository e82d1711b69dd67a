package s3_test

import (
	"crypto/tls"
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"ivdmover/shared/ivd"
	"ivdmover/shared/store/s3"
	"ivdmover/shared/store/storetest"
)

// TestOpenRefuses: what is wrong with a configuration is said when it is opened,
// in one line and with what to do.
func TestOpenRefuses(t *testing.T) {
	service := storetest.S3(t)
	secure := secureProxy(t, service)
	empty := t.TempDir()
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY", "AWS_PROFILE"} {
		t.Setenv(name, "")
	}
	t.Setenv("HOME", empty)
	for _, c := range []struct {
		name         string
		change       func(*s3.Config)
		kind         ivd.Kind
		says, remedy string
	}{
		{"no bucket", func(c *s3.Config) { c.Bucket = "absent" }, ivd.Unmet, "bucket absent does not exist", "create it"},
		{"odd bucket", func(c *s3.Config) { c.Bucket = "a_B" }, ivd.Invalid, "", ""},
		{"access key", func(c *s3.Config) { c.AccessKey = "nobody" }, ivd.Denied, "access key", "correct the access key"},
		{"secret key", func(c *s3.Config) { c.SecretKey = "wrong" }, ivd.Denied, "SignatureDoesNotMatch", "correct the secret key"},
		{"no keys", func(c *s3.Config) { c.AccessKey, c.SecretKey = "", "" }, ivd.Denied, "no credentials found", "access_key_file"},
		{"no file", func(c *s3.Config) { c.AccessKey, c.CredentialsFile = "", filepath.Join(empty, "none") }, ivd.Denied, "none", "credentials_file"},
		{"no service", func(c *s3.Config) { c.Endpoint = "http://127.0.0.1:1" }, ivd.Transient, "connection refused", "127.0.0.1:1 runs"},
		{"no URL", func(c *s3.Config) { c.Endpoint = "127.0.0.1:9000" }, ivd.Invalid, "want https://", ""},
		{"a path", func(c *s3.Config) { c.Endpoint += "/s3" }, ivd.Invalid, "want https://", ""},
		{"TLS at a plain port", func(c *s3.Config) { c.Endpoint = strings.Replace(c.Endpoint, "http:", "https:", 1) }, ivd.Invalid, "", "begin repository.endpoint with http://"},
		{"plain at a TLS port", func(c *s3.Config) { c.Endpoint = strings.Replace(secure.URL, "https:", "http:", 1) }, ivd.Invalid, "", "https://"},
		{"unknown CA", func(c *s3.Config) { c.Endpoint = secure.URL }, ivd.Invalid, "certificate", "repository.ca_file"},
		{"no CA file", func(c *s3.Config) { c.CAFile = filepath.Join(empty, "ca") }, ivd.Invalid, "ca_file", "PEM"},
		{"no CA in the file", func(c *s3.Config) { c.CAFile = "s3.go" }, ivd.Invalid, "no PEM certificate", ""},
		{"another host's certificate", func(c *s3.Config) {
			c.Endpoint, c.CAFile = strings.Replace(secure.URL, "127.0.0.1", "localhost", 1), caOf(t, secure)
		}, ivd.Invalid, "localhost", "name the host"},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := configOf(service)
			c.change(&config)
			s, err := s3.Open(t.Context(), config)
			wantKind(t, "open", err, c.kind)
			if s != nil {
				t.Error("a store beside the error")
			}
			text := err.Error()
			if !strings.Contains(text, c.says) || strings.Contains(text, "\n") || !strings.HasPrefix(text, "open s3://") {
				t.Errorf("says %q, want one line with %q", text, c.says)
			}
			if !strings.Contains(ivd.RemedyOf(err), c.remedy) {
				t.Errorf("remedy %q, want %q", ivd.RemedyOf(err), c.remedy)
			}
			if strings.Contains(text+ivd.RemedyOf(err), service.SecretKey.Reveal()) {
				t.Errorf("a secret in %q", text)
			}
		})
	}
}

func TestTLS(t *testing.T) {
	service := storetest.S3(t)
	secure := secureProxy(t, service)
	c := configOf(service)
	c.Endpoint, c.CAFile = secure.URL, caOf(t, secure)
	s := open(t, c)
	if err := s.Put(t.Context(), "a", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := prepared(t, s, "points/d/p", []byte("x")).Send(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// secureProxy puts TLS before a service.
func secureProxy(t *testing.T, service storetest.Service) *httptest.Server {
	t.Helper()
	target, err := url.Parse(service.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host
	}})
	if err := server.Listener.Close(); err != nil {
		t.Fatal(err)
	}
	server.Listener = l
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	server.Config.ErrorLog = nil
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

func caOf(t *testing.T, server *httptest.Server) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(path, block, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A check of a configuration asks nobody: neither the service nor whoever gives a role's
// key.
func TestCheckAsksNobody(t *testing.T) {
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY", "AWS_SECRET_KEY", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"} {
		t.Setenv(name, "")
	}
	t.Setenv("HOME", t.TempDir())
	var asked atomic.Int64
	nobody := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.WriteHeader(http.StatusNotFound)
	}))
	t.Cleanup(nobody.Close)
	t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", nobody.URL)
	if err := s3.Check(s3.Config{Endpoint: nobody.URL, Bucket: "backups"}); err != nil || asked.Load() != 0 {
		t.Errorf("%v, %d requests", err, asked.Load())
	}
	for _, c := range []s3.Config{
		{Endpoint: nobody.URL, Bucket: "backups", CredentialsFile: "/nowhere/at/all"},
		{Endpoint: nobody.URL, Bucket: "backups", CAFile: "/nowhere/at/all"},
	} {
		if err := s3.Check(c); err == nil || asked.Load() != 0 {
			t.Errorf("%+v: %v, %d requests", c, err, asked.Load())
		}
	}
}
