package inventory

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"ivdmover/shared/ivd"
)

// vcsim starts govmomi's simulator with its own certificate and a password.
func vcsim(t *testing.T, model *simulator.Model) Config {
	t.Helper()
	if err := model.Create(); err != nil {
		t.Fatal(err)
	}
	model.Service.TLS = new(tls.Config)
	model.Service.Listen = &url.URL{User: url.UserPassword("backup@vsphere.local", "right"), Host: "127.0.0.1:0"}
	server := model.Service.NewServer()
	t.Cleanup(func() { server.Close(); model.Remove() })
	return Config{
		Name: "vc", URL: "https://" + server.URL.Host, Username: "backup@vsphere.local", Password: "right",
		Thumbprint: soap.ThumbprintSHA1(mustCertificate(t, server.URL.Host)),
	}
}

func mustCertificate(t *testing.T, addr string) *x509.Certificate {
	t.Helper()
	conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0]
}

func connect(t *testing.T, cfg Config) *VCenter {
	t.Helper()
	v, err := Connect(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	v.beginAgain.First, v.beginAgain.Cap = time.Millisecond, time.Millisecond
	v.trackAgain.First, v.trackAgain.Cap = time.Millisecond, time.Millisecond
	v.readAgain.First, v.readAgain.Cap = time.Millisecond, time.Millisecond
	t.Cleanup(func() {
		if err := v.Close(); err != nil {
			t.Error(err)
		}
	})
	return v
}

// script answers some calls in the vCenter's place.
type script struct {
	soap.RoundTripper
	answer func(req, res soap.HasFault) (answered bool, err error)
}

func (s *script) RoundTrip(ctx context.Context, req, res soap.HasFault) error {
	if done, err := s.answer(req, res); done {
		return err
	}
	return s.RoundTripper.RoundTrip(ctx, req, res)
}

// interpose puts answers before the vCenter's own.
func interpose(v *VCenter, answer func(req, res soap.HasFault) (bool, error)) {
	v.own.client.RoundTripper = &script{v.own, answer}
}

// refuse is an answer with a fault, as it comes over the wire.
func refuse(fault types.AnyType) error {
	f := &soap.Fault{Code: "ServerFaultCode", String: "no"}
	f.Detail.Fault = fault
	return soap.WrapSoapFault(f)
}

// called is the name of the method that a request's body calls.
func called(req soap.HasFault) string {
	return strings.TrimSuffix(reflect.TypeOf(req).Elem().Name(), "Body")
}

func wantKind(t *testing.T, what string, err error, kind ivd.Kind, parts ...string) {
	t.Helper()
	if ivd.KindOf(err) != kind || err == nil {
		t.Errorf("%s: kind %q, want %q: %v", what, ivd.KindOf(err), kind, err)
		return
	}
	all := err.Error() + "; " + ivd.RemedyOf(err)
	for _, part := range parts {
		if !strings.Contains(all, part) {
			t.Errorf("%s: %q does not say %q", what, all, part)
		}
	}
	if strings.Contains(all, "\n") {
		t.Errorf("%s: more than a line: %q", what, all)
	}
}
