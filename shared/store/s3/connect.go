package s3

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"ivdmover/shared/ivd"
)

const (
	amazon = "https://s3.amazonaws.com"

	// stall is how long a connection may neither take nor bring a byte.
	stall = 60 * time.Second
)

// connect makes the clients; it sends nothing.
func (s *Store) connect(c Config) error {
	endpoint := c.Endpoint
	if endpoint == "" {
		endpoint = amazon
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || strings.Trim(u.Path, "/") != "" {
		return ivd.Errorf(ivd.Invalid, "endpoint %q: want https://HOST:PORT", endpoint)
	}
	transport, err := newTransport(c.CAFile, stall)
	if err != nil {
		return err
	}
	s.keys = newKeyring(c, u.Hostname())
	watched := &watcher{next: transport, clock: s.clock, plea: s.plea}
	core, err := minio.NewCore(u.Host, &minio.Options{
		Creds:           credentials.New(s.keys),
		Secure:          u.Scheme == "https",
		Transport:       watched,
		Region:          region(c),
		BucketLookup:    lookup(c.PathStyle),
		TrailingHeaders: !c.ContentMD5, // without it the library sends no CRC at all, and with it more than MD5's header
		MaxRetries:      1,
	})
	if err != nil {
		return &ivd.Error{Kind: ivd.Invalid, Err: err, Remedy: "correct repository.endpoint"}
	}
	s.core = *core
	s.plain = &http.Client{
		Transport:     watched,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return nil
}

func lookup(pathStyle *bool) minio.BucketLookupType {
	switch {
	case pathStyle == nil:
		return minio.BucketLookupAuto
	case *pathStyle:
		return minio.BucketLookupPath
	}
	return minio.BucketLookupDNS
}

func region(c Config) string {
	for _, r := range []string{c.Region, os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION")} {
		if r != "" {
			return r
		}
	}
	return ""
}

// credentialsFound tells "none" from "wrong ones": without any, the library asks
// anonymously and is told only that access is denied.
func (s *Store) credentialsFound(c Config) error {
	const remedy = "set repository.access_key_file and secret_key_file, or credentials_file, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
	value, err := s.core.GetCreds()
	switch {
	case err != nil && c.CredentialsFile != "":
		return &ivd.Error{Kind: ivd.Denied, Err: fmt.Errorf("credentials of %s: %w", c.CredentialsFile, err), Remedy: remedy}
	case err != nil:
		return &ivd.Error{Kind: ivd.Denied, Err: err, Remedy: remedy}
	case value.AccessKeyID == "" || value.SecretAccessKey == "":
		return &ivd.Error{Kind: ivd.Denied, Err: errNoKey, Remedy: remedy}
	}
	return nil
}

var errNoKey = errors.New("no credentials found")

// newTransport is HTTP/1.1 with one connection for each request under way, cut
// when it stalls.
func newTransport(caFile string, stall time.Duration) (*http.Transport, error) {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 15 * time.Second}
	t := &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &watchedConn{Conn: c, stall: stall}, nil
		},
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: time.Second,
		IdleConnTimeout:       30 * time.Second,
		MaxIdleConnsPerHost:   connections * 2,
		WriteBufferSize:       64 << 10,
		ReadBufferSize:        64 << 10,
		DisableCompression:    true, // what is stored is what is read
	}
	if caFile == "" {
		return t, nil
	}
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, &ivd.Error{Kind: ivd.Invalid, Op: "read repository.ca_file", Err: err, Remedy: "name a PEM file that exists"}
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, ivd.Errorf(ivd.Invalid, "repository.ca_file %s: no PEM certificate in it", caFile)
	}
	t.TLSClientConfig.RootCAs = pool
	return t, nil
}

// watchedConn fails when no byte moves for a while, either way, so that a service
// that went silent costs a minute and not a day.
type watchedConn struct {
	net.Conn
	stall time.Duration
}

func (c *watchedConn) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(c.stall)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func (c *watchedConn) Write(p []byte) (int, error) {
	// A read waits for the answer meanwhile: what is written counts for it too.
	if err := c.SetDeadline(time.Now().Add(c.stall)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}
