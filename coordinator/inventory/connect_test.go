package inventory

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	vcsession "github.com/vmware/govmomi/session"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/soap"
	"go.uber.org/goleak"

	"ivdmover/shared/ivd"
)

func TestWhoIsNotLetIn(t *testing.T) {
	cfg := vcsim(t, simulator.VPX())
	right := cfg.Thumbprint

	bad := cfg
	bad.Password = "wrong"
	_, err := Connect(t.Context(), bad)
	wantKind(t, "wrong password", err, ivd.Denied, "vCenter vc", "backup@vsphere.local", "password_file")
	if strings.Contains(err.Error(), "wrong") {
		t.Errorf("the password is in the error: %v", err)
	}

	bad = cfg
	bad.Thumbprint = strings.Repeat("AB:", 19) + "AB"
	_, err = Connect(t.Context(), bad)
	wantKind(t, "wrong thumbprint", err, ivd.Invalid, right, "AB:AB", "thumbprint to")

	bad.Thumbprint = ""
	_, err = Connect(t.Context(), bad)
	wantKind(t, "no authority knows it", err, ivd.Invalid, right, "not trusted")

	bad.Thumbprint = "AB:CD"
	_, err = Connect(t.Context(), bad)
	wantKind(t, "half a thumbprint", err, ivd.Invalid, "20 bytes")

	cfg.Thumbprint = strings.ToLower(strings.ReplaceAll(right, ":", ""))
	connect(t, cfg) // another spelling of the right one
}

func TestWhatIsNoVCenter(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"a page": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte("<html><body>hello</body></html>"))
		},
		"text":      func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello & goodbye")) },
		"not there": http.NotFound,
	} {
		server := httptest.NewTLSServer(handler)
		defer server.Close()
		_, err := Connect(t.Context(), Config{Name: "vc", URL: server.URL, Username: "u", Thumbprint: soap.ThumbprintSHA1(server.Certificate())})
		wantKind(t, name, err, ivd.Invalid, "no vSphere API", "url")
	}
	starting := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }))
	defer starting.Close()
	_, err := Connect(t.Context(), Config{Name: "vc", URL: starting.URL, Thumbprint: soap.ThumbprintSHA1(starting.Certificate())})
	wantKind(t, "a vCenter that starts", err, ivd.Transient, "503")

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	_, err = Connect(t.Context(), Config{Name: "vc", URL: "https://" + addr})
	wantKind(t, "nobody", err, ivd.Transient, "vCenter vc", addr, "refused", "url")

	for _, u := range []string{"", "http://vc/sdk", "https://", "://"} {
		_, err = Connect(t.Context(), Config{Name: "vc", URL: u})
		wantKind(t, u, err, ivd.Invalid, "https://HOST/sdk")
	}
}

// endSessions ends every session of the vCenter but the one it does it with.
func endSessions(t *testing.T, v *VCenter, others ...*session) {
	t.Helper()
	ctx := t.Context()
	s, err := newSession(v.cfg, newPassword(v.cfg))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.open(ctx); err != nil {
		t.Fatal(err)
	}
	defer s.close(ctx)
	for _, o := range others {
		if err := vcsession.NewManager(s.client).TerminateSession(ctx, []string{o.cookie()}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSessionsComeBack(t *testing.T) {
	v := connect(t, vcsim(t, simulator.VPX()))
	first, err := v.Login(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if first.Cookie.Reveal() == v.own.cookie() {
		t.Error("movers share our own session")
	}
	ours := v.own.cookie()
	endSessions(t, v, v.own, v.movers)

	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if _, err := v.Datastores(context.Background()); err != nil {
				t.Errorf("after the session ended: %v", err)
			}
		})
	}
	all.Wait()
	if v.own.cookie() == ours || v.own.logins != 2 {
		t.Errorf("%d logins, the cookie changed: %v", v.own.logins, v.own.cookie() != ours)
	}
	second, err := v.Login(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if second.Cookie.Reveal() == first.Cookie.Reveal() {
		t.Error("a login with a dead cookie was handed out")
	}
	again, err := v.Login(t.Context())
	if err != nil || again.Cookie != second.Cookie {
		t.Errorf("a live session was not shared: %v", err)
	}
}

func TestLoginIsWhatVDDKNeeds(t *testing.T) {
	cfg := vcsim(t, simulator.VPX())
	cfg.NFCPort = 9902
	v := connect(t, cfg)
	l, err := v.Login(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if l.Server != "127.0.0.1" || !strings.HasSuffix(cfg.URL, ":"+itoa(l.Port)) || l.NFCPort != 9902 || l.Thumbprint != cfg.Thumbprint || l.User != cfg.Username || l.Password != "" {
		t.Errorf("%+v", l)
	}
	// Whoever has the cookie is logged in.
	c := soap.NewClient(v.own.url, true)
	c.Jar.SetCookies(v.own.url, cookies(l.Cookie.Reveal()))
	vc, err := vim25.NewClient(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	user, err := vcsession.NewManager(vc).UserSession(t.Context())
	if err != nil || user == nil || user.UserName != cfg.Username {
		t.Errorf("%v, %v", user, err)
	}
}

func TestCloseLogsOut(t *testing.T) {
	cfg := vcsim(t, simulator.VPX())
	quiet := goleak.IgnoreCurrent()
	v, err := Connect(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	l, err := v.Login(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	c := soap.NewClient(v.own.url, true)
	c.Jar.SetCookies(v.own.url, cookies(l.Cookie.Reveal()))
	vc, err := vim25.NewClient(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if user, err := vcsession.NewManager(vc).UserSession(t.Context()); err != nil || user != nil {
		t.Errorf("the movers' session outlives Close: %v, %v", user, err)
	}
	_, err = v.Datastores(t.Context())
	wantKind(t, "a call after Close", err, ivd.Cancelled)
	_, err = v.Login(t.Context())
	wantKind(t, "a login after Close", err, ivd.Cancelled)
	c.CloseIdleConnections()
	v.own.drop()
	v.movers.drop()
	goleak.VerifyNone(t, quiet, goleak.IgnoreAnyFunction("net/http.(*conn).serve"))
}
