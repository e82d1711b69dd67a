package inventory

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"ivdmover/shared/ivd"
)

// session is a login with the vCenter, renewed when a call is answered that it is
// none. It is the soap.RoundTripper of its client.
type session struct {
	cfg    Config
	secret *password // which sessions share
	url    *url.URL
	trust  *trust
	soap   *soap.Client
	client *vim25.Client // nil until open

	opening sync.Mutex // held while client is made

	mu     sync.Mutex
	logins int  // counts up with every login; guarded by mu, like closed
	closed bool // no login any more
}

// keptConnections are those that wait for the next call: as many as calls are under way
// at once in a busy run. A connection costs both sides more than a call does.
const keptConnections = 64

func newSession(cfg Config, secret *password) (*session, error) {
	u, err := soap.ParseURL(cfg.URL)
	switch {
	case err != nil:
	case u == nil || u.Hostname() == "":
		err = errors.New("no host")
	case u.Scheme != "https":
		err = fmt.Errorf("scheme %q", u.Scheme)
	}
	if err != nil {
		return nil, &ivd.Error{
			Kind: ivd.Invalid, Op: fmt.Sprintf("vCenter %s: url %q", cfg.Name, cfg.URL), Err: err,
			Remedy: "write it as https://HOST/sdk",
		}
	}
	t, err := newTrust(cfg.Thumbprint)
	if err != nil {
		return nil, fmt.Errorf("vCenter %s: %w", cfg.Name, err)
	}
	c := soap.NewClient(u, false)
	transport := c.DefaultTransport()
	transport.DialTLSContext = t.dial
	transport.MaxIdleConnsPerHost = keptConnections
	transport.Proxy = nil // VDDK goes straight to the vCenter too, and a proxy has another certificate
	c.UserAgent = "ivdmover"
	return &session{cfg: cfg, secret: secret, url: u, trust: t, soap: c}, nil
}

// open looks whether a vCenter answers, and logs in, once.
func (s *session) open(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, loginTimeout)
	defer cancel()
	s.opening.Lock()
	defer s.opening.Unlock()
	if s.client == nil {
		c, err := vim25.NewClient(ctx, s.soap)
		if err != nil {
			return s.fail(ctx, "connect", err)
		}
		if err := s.usable(c); err != nil {
			return err
		}
		c.RoundTripper = s
		s.client = c
	}
	return s.login(ctx, 0)
}

// hostAgent is what a standalone ESXi host calls its API.
const hostAgent = "HostAgent"

// usable reports whether what answers is a vCenter or an ESXi host with IVDs.
func (s *session) usable(c *vim25.Client) error {
	about := c.ServiceContent.About
	switch {
	case !c.IsVC() && about.ApiType != hostAgent:
		return &ivd.Error{
			Kind: ivd.Unsupported, Op: "vCenter " + s.cfg.Name, Err: fmt.Errorf("%s is %s, neither a vCenter nor an ESXi host", s.url.Host, about.FullName),
			Remedy: "give the url of a vCenter",
		}
	case c.ServiceContent.VStorageObjectManager == nil:
		return &ivd.Error{
			Kind: ivd.Unsupported, Op: "vCenter " + s.cfg.Name, Err: fmt.Errorf("%s has no manager of first class disks", about.FullName),
			Remedy: "use vCenter 6.7 U2 or ESXi 6.7 or later",
		}
	}
	return nil
}

// login renews the session unless somebody else has done so since `seen` logins.
func (s *session) login(ctx context.Context, seen int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ivd.Errorf(ivd.Cancelled, "vCenter %s: logged out", s.cfg.Name)
	}
	if s.logins != seen {
		return nil
	}
	err := s.secret.use(ctx, func(p ivd.Secret) error {
		// A login beside an old cookie is answered as if the password were wrong.
		s.soap.Jar.SetCookies(s.soap.URL(), []*http.Cookie{{Name: soap.SessionCookieName, Path: "/", MaxAge: -1}})
		_, err := methods.Login(ctx, s.soap, &types.Login{
			This:     *s.client.ServiceContent.SessionManager,
			UserName: s.cfg.Username, Password: p.Reveal(), Locale: "en_US",
		})
		return s.fail(ctx, "log in as "+s.cfg.Username, err)
	})
	if err == nil {
		s.logins++
	}
	return err
}

// RoundTrip makes a call, once more after a new login where the vCenter says that
// there is none: it has done nothing then.
func (s *session) RoundTrip(ctx context.Context, req, res soap.HasFault) error {
	return s.through(ctx, s.soap, req, res)
}

// through makes a call at one of the vCenter's endpoints, as RoundTrip does.
func (s *session) through(ctx context.Context, calls soap.RoundTripper, req, res soap.HasFault) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	s.mu.Lock()
	seen := s.logins
	s.mu.Unlock()
	err := calls.RoundTrip(ctx, req, res)
	if !unauthenticated(res, err) {
		return err
	}
	if err := s.login(ctx, seen); err != nil {
		return err
	}
	reflect.ValueOf(res).Elem().SetZero() // holds the fault of the first answer
	return calls.RoundTrip(ctx, req, res)
}

// unauthenticated reports whether a call was refused for want of a session. A
// property collector says so beside each property instead.
func unauthenticated(res soap.HasFault, err error) bool {
	var objects []types.ObjectContent
	switch body := res.(type) {
	case *methods.RetrievePropertiesBody:
		if body.Res != nil {
			objects = body.Res.Returnval
		}
	case *methods.RetrievePropertiesExBody:
		if body.Res != nil && body.Res.Returnval != nil {
			objects = body.Res.Returnval.Objects
		}
	}
	for _, o := range objects {
		for _, missing := range o.MissingSet {
			if typeName(value(missing.Fault.Fault)) == "NotAuthenticated" {
				return true
			}
		}
	}
	return faultName(err) == "NotAuthenticated"
}

// alive uses the session, which keeps it from idling away, and renews it where it
// has ended.
func (s *session) alive(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, loginTimeout)
	defer cancel()
	s.mu.Lock()
	seen := s.logins
	s.mu.Unlock()
	if seen == 0 {
		return s.open(ctx)
	}
	var m mo.SessionManager
	pc := property.DefaultCollector(s.client)
	if err := pc.RetrieveOne(ctx, *s.client.ServiceContent.SessionManager, []string{"currentSession"}, &m); err != nil {
		return s.fail(ctx, "look at the session", err)
	}
	if m.CurrentSession == nil {
		return s.login(ctx, seen)
	}
	return nil
}

// keep keeps the session alive until ctx ends. One that was never logged in is
// left alone.
func (s *session) keep(ctx context.Context, log *slog.Logger) {
	tick := time.NewTicker(keepAlive)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		s.mu.Lock()
		idle := s.logins == 0
		s.mu.Unlock()
		if idle {
			continue
		}
		if err := s.alive(ctx); err != nil && ctx.Err() == nil && ivd.KindOf(err) != ivd.Withheld { // of which the log has one line
			log.Warn("keeping the session alive failed", "err", err)
		}
	}
}

// cookie is the session's secret.
func (s *session) cookie() string {
	if c := s.soap.SessionCookie(); c != nil {
		return strings.Trim(c.Value, `"`)
	}
	return ""
}

func (s *session) close(ctx context.Context) error {
	s.mu.Lock()
	open := s.logins > 0 && !s.closed
	s.closed = true
	s.mu.Unlock()
	defer s.drop()
	if !open {
		return nil
	}
	_, err := methods.Logout(ctx, s.soap, &types.Logout{This: *s.client.ServiceContent.SessionManager})
	if err == nil || faultName(err) == "NotAuthenticated" {
		return nil
	}
	return s.fail(ctx, "log out", err)
}

func (s *session) drop() { s.soap.CloseIdleConnections() }

func (s *session) fail(ctx context.Context, doing string, err error) error {
	return fail(ctx, "vCenter "+s.cfg.Name+": "+doing, err)
}
