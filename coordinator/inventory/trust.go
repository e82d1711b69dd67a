package inventory

import (
	"context"
	"crypto/sha1" // VDDK knows servers by SHA-1 thumbprints
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"ivdmover/shared/ivd"
)

const dialTimeout = 15 * time.Second

// trust decides whether a server is the vCenter, and remembers its thumbprint,
// which VDDK needs even where an authority vouches for the server.
type trust struct {
	want []byte // SHA-1 of the certificate; nil: the system's authorities decide

	mu   sync.Mutex
	seen string
}

func newTrust(thumbprint string) (*trust, error) {
	if thumbprint == "" {
		return &trust{}, nil
	}
	sum, err := hex.DecodeString(strings.NewReplacer(":", "", " ", "").Replace(thumbprint))
	if err == nil && len(sum) != sha1.Size {
		err = fmt.Errorf("%d bytes, want %d", len(sum), sha1.Size)
	}
	if err != nil {
		return nil, &ivd.Error{
			Kind: ivd.Invalid, Op: fmt.Sprintf("thumbprint %q", thumbprint), Err: err,
			Remedy: "give the SHA-1 thumbprint of the vCenter's certificate, 20 bytes as AA:BB:…",
		}
	}
	return &trust{want: sum}, nil
}

// untrusted is a server that is not who it should be.
type untrusted struct {
	want, got string
	cause     error // of the authorities; nil where a thumbprint was wanted
}

func (e *untrusted) Error() string {
	if e.cause != nil {
		return fmt.Sprintf("the certificate with thumbprint %s is not trusted: %v", e.got, e.cause)
	}
	return fmt.Sprintf("the certificate has thumbprint %s, not %s", e.got, e.want)
}

// dial opens TLS. Go's own check is replaced by verify, which needs the leaf in
// both cases.
func (t *trust) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	d := tls.Dialer{
		NetDialer: &net.Dialer{Timeout: dialTimeout},
		Config: &tls.Config{
			ServerName: host,
			MinVersion: tls.VersionTLS12,
			// verify is the check: by thumbprint, or by the authorities.
			InsecureSkipVerify: true,
			VerifyConnection:   func(s tls.ConnectionState) error { return t.verify(host, s.PeerCertificates) },
		},
	}
	return d.DialContext(ctx, network, addr)
}

func (t *trust) verify(host string, chain []*x509.Certificate) error {
	if len(chain) == 0 {
		return errors.New("the server has no certificate")
	}
	leaf := chain[0]
	sum := sha1.Sum(leaf.Raw)
	got := thumbprint(sum[:])
	if t.want != nil {
		if string(t.want) != string(sum[:]) {
			return &untrusted{want: thumbprint(t.want), got: got}
		}
	} else {
		between := x509.NewCertPool()
		for _, c := range chain[1:] {
			between.AddCert(c)
		}
		if _, err := leaf.Verify(x509.VerifyOptions{DNSName: host, Intermediates: between}); err != nil {
			return &untrusted{got: got, cause: err}
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seen = got
	return nil
}

// thumbprint as VDDK wants it.
func (t *trust) thumbprint() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.seen
}

func thumbprint(sum []byte) string {
	pairs := make([]string, len(sum))
	for i, b := range sum {
		pairs[i] = fmt.Sprintf("%02X", b)
	}
	return strings.Join(pairs, ":")
}
