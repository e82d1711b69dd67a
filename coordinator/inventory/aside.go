package inventory

import (
	"context"
	"encoding/xml"
	"fmt"
	"net/http"
	"path"
	"sync"
	"time"

	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/soap"

	"ivdmover/shared/ivd"
	"ivdmover/shared/pause"
)

// Fact is something that vSphere does not keep with a disk itself: another of its
// objects or services tells it, and may want a privilege of its own.
type Fact string

// The facts.
const (
	AttachmentFacts Fact = "virtual machines"
	TagFacts        Fact = "tags"
	PolicyFacts     Fact = "storage policy"
	LabelFacts      Fact = "Kubernetes labels"
)

// Untold is a fact that a vCenter was asked for and did not tell.
type Untold struct {
	Fact Fact
	Err  error
}

// aside asks for facts without which a disk is described all the same: not for long,
// and less patiently while a service has just failed to answer.
type aside struct {
	again       pause.Backoff
	whole, once time.Duration // for a fact of a disk; for the one try after a failure
	rest        time.Duration // how long a failure counts

	mu     sync.Mutex
	failed map[Fact]time.Time // guarded by mu: when a fact could not be had for a passing reason
}

func newAside() *aside {
	return &aside{
		again: pause.Backoff{First: time.Second / 2, Cap: 4 * time.Second, Attempts: 4},
		whole: 20 * time.Second, once: 5 * time.Second, rest: time.Minute,
		failed: map[Fact]time.Time{},
	}
}

// ask calls f until it has an answer, or for as long as the fact is worth.
func (a *aside) ask(ctx context.Context, fact Fact, f func(context.Context) error) error {
	again, limit := a.again, a.whole
	a.mu.Lock()
	if time.Since(a.failed[fact]) < a.rest {
		again.Attempts, limit = 1, a.once
	}
	a.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var last error
	_ = again.Do(ctx, func(ctx context.Context) error { // it returns last, or that the time is over
		last = f(ctx)
		return last
	})
	a.mu.Lock()
	defer a.mu.Unlock()
	if ivd.KindOf(last).Retry() && last != nil {
		a.failed[fact] = time.Now()
	} else {
		delete(a.failed, fact)
	}
	return last
}

// endpoint is a service of the vCenter that has a path of its own and takes the
// session's cookie.
type endpoint struct {
	session *session
	soap    *soap.Client
}

// newEndpoint makes one that is not asked anything yet. It shares the session's
// cookies, so that it has those of a later login too.
func newEndpoint(s *session, path, namespace string) *endpoint {
	c := s.soap.NewServiceClient(path, namespace)
	c.Jar = s.soap.Jar
	return &endpoint{session: s, soap: c}
}

// RoundTrip makes a call, once more after a new login where there is no session.
func (e *endpoint) RoundTrip(ctx context.Context, req, res soap.HasFault) error {
	return e.session.through(ctx, e.soap, req, res)
}

// version asks for the newest version of a namespace that the vCenter speaks.
func (e *endpoint) version(ctx context.Context, namespace string) (string, error) {
	u := e.soap.URL()
	u.Path = path.Join(vim25.Path, namespace+"ServiceVersions.xml")
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), http.NoBody)
	if err != nil {
		return "", err
	}
	var doc struct {
		Version string `xml:"namespace>version"`
	}
	err = e.soap.Do(ctx, req, func(res *http.Response) error {
		if res.StatusCode != http.StatusOK {
			return status(res.StatusCode)
		}
		return xml.NewDecoder(res.Body).Decode(&doc)
	})
	return doc.Version, err
}

// status is an answer of HTTP that is no success.
type status int

func (s status) Error() string { return fmt.Sprintf("%d %s", int(s), http.StatusText(int(s))) }

// Temporary reports whether the same request may succeed later, as govmomi's errors
// of this kind do.
func (s status) Temporary() bool { return s == http.StatusBadGateway }
