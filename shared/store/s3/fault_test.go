package s3_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/store"
	"ivdmover/shared/store/s3"
	"ivdmover/shared/store/storetest"
)

// between is a proxy before a real service, where faults are made.
type between struct {
	url string

	mu       sync.Mutex
	fault    func(w http.ResponseWriter, r *http.Request, pass http.Handler) bool // true: it has answered
	requests []string
}

func newBetween(t *testing.T, service storetest.Service) *between {
	t.Helper()
	target, err := url.Parse(service.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	pass := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host // it is signed
	}}
	b := &between{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.mu.Lock()
		b.requests = append(b.requests, r.Method+" "+r.URL.Path)
		fault := b.fault
		b.mu.Unlock()
		if fault == nil || !fault(w, r, pass) {
			pass.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	b.url = server.URL
	return b
}

// set makes the next n requests of a method meet a fault.
func (b *between) set(method string, n int, fault func(http.ResponseWriter, *http.Request, http.Handler)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.requests = nil
	var mu sync.Mutex
	b.fault = func(w http.ResponseWriter, r *http.Request, pass http.Handler) bool {
		mu.Lock()
		hit := r.Method == method && n > 0
		if hit {
			n--
		}
		mu.Unlock()
		if hit {
			fault(w, r, pass)
		}
		return hit
	}
}

func (b *between) count(method string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, r := range b.requests {
		if strings.HasPrefix(r, method+" ") {
			n++
		}
	}
	return n
}

// answer is an answer of S3, made up.
func answer(status int, code string) func(http.ResponseWriter, *http.Request, http.Handler) {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "<?xml version=\"1.0\"?><Error><Code>"+code+"</Code><Message>made up</Message></Error>")
	}
}

func drop(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) }

// lose lets the request happen and loses its answer.
func lose(_ http.ResponseWriter, r *http.Request, pass http.Handler) {
	pass.ServeHTTP(httptest.NewRecorder(), r)
	panic(http.ErrAbortHandler)
}

// damage changes a byte of the body on its way.
func damage(w http.ResponseWriter, r *http.Request, pass http.Handler) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	body[len(body)/2] ^= 1
	r.Body = io.NopCloser(bytes.NewReader(body))
	pass.ServeHTTP(w, r)
}

func opened(t *testing.T) (*s3.Store, *between, storetest.Service) {
	t.Helper()
	service := storetest.S3(t)
	b := newBetween(t, service)
	c := configOf(service)
	c.Endpoint = b.url
	s := open(t, c)
	s3.Hurry(s)
	return s, b, service
}

func wantKind(t *testing.T, what string, err error, want ivd.Kind) {
	t.Helper()
	if err == nil || ivd.KindOf(err) != want {
		t.Fatalf("%s: %v (kind %q), want kind %q", what, err, ivd.KindOf(err), want)
	}
}

// TestPassingFaults: what passes is not seen by the caller.
func TestPassingFaults(t *testing.T) {
	s, b, _ := opened(t)
	body := bytes.Repeat([]byte("body"), 10_000)
	for _, c := range []struct {
		name  string
		fault func(http.ResponseWriter, *http.Request, http.Handler)
	}{
		{"slow down", answer(503, "SlowDown")},
		{"internal error", answer(500, "InternalError")},
		{"bad gateway without a body", func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { w.WriteHeader(502) }},
		{"connection dropped", drop},
		{"answer lost", lose},
	} {
		t.Run(c.name, func(t *testing.T) {
			name := store.Name("data/ab/" + strings.ReplaceAll(c.name, " ", "-"))
			b.set(http.MethodPut, 2, c.fault)
			if err := s.Put(t.Context(), name, body); err != nil {
				t.Fatal(err)
			}
			if n := b.count(http.MethodPut); n != 3 {
				t.Errorf("%d requests, want 3", n)
			}
			b.set(http.MethodGet, 1, c.fault)
			o, err := s.Get(t.Context(), name, 1<<20)
			if err != nil || !bytes.Equal(o.Body, body) {
				t.Fatalf("get: %d bytes, %v", len(o.Body), err)
			}
			b.set(http.MethodGet, 1, c.fault)
			p := make([]byte, 1000)
			if err := s.ReadAt(t.Context(), name, p, 4000); err != nil || !bytes.Equal(p, body[4000:5000]) {
				t.Fatalf("read: %v", err)
			}
			b.set(http.MethodHead, 1, c.fault)
			if info, err := s.Stat(t.Context(), name); err != nil || info.Size != int64(len(body)) {
				t.Fatalf("stat: %+v, %v", info, err)
			}
			b.set(http.MethodDelete, 1, c.fault)
			if err := s.Delete(t.Context(), name); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestDamagedOnItsWay: the service checks what it gets.
func TestDamagedOnItsWay(t *testing.T) {
	s, b, _ := opened(t)
	body := bytes.Repeat([]byte("body"), 1000)
	b.set(http.MethodPut, 1, damage)
	if err := s.Put(t.Context(), "data/ab/x", body); err != nil {
		t.Fatal(err)
	}
	if o, err := s.Get(t.Context(), "data/ab/x", 1<<20); err != nil || !bytes.Equal(o.Body, body) {
		t.Fatalf("stored: %v", err)
	}
	if n := b.count(http.MethodPut); n != 2 {
		t.Errorf("%d requests, want 2", n)
	}
	b.set(http.MethodPut, 1, damage)
	p := prepared(t, s, "points/d/p", body)
	if err := p.Send(t.Context()); err == nil || ivd.KindOf(err) == ivd.Exists {
		t.Fatalf("send of a damaged body: %v", err)
	}
	_, err := s.Stat(t.Context(), "points/d/p")
	wantKind(t, "stat", err, ivd.NotFound)
}

func prepared(t *testing.T, s store.Store, name store.Name, body []byte) store.Pending {
	t.Helper()
	p, err := s.Prepare(t.Context(), "lease", name, body, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Discard)
	return p
}

// TestSendIsSentOnce: no fault makes a second request of a commit.
func TestSendIsSentOnce(t *testing.T) {
	s, b, _ := opened(t)
	for _, c := range []struct {
		name    string
		fault   func(http.ResponseWriter, *http.Request, http.Handler)
		kind    ivd.Kind
		created bool
	}{
		{"slow-down", answer(503, "SlowDown"), ivd.Transient, false},
		{"internal-error", answer(500, "InternalError"), ivd.Transient, false},
		{"dropped", drop, ivd.Transient, false},
		{"answer-lost", lose, ivd.Transient, true},
		{"no-rights", answer(403, "AccessDenied"), ivd.Denied, false},
		{"quota", answer(403, "QuotaExceeded"), ivd.Full, false},
		{"expired", answer(403, "ExpiredPresignRequest"), ivd.Expired, false},
		{"conflict", answer(409, "ConditionalRequestConflict"), ivd.Conflict, false},
		{"taken", answer(412, "PreconditionFailed"), ivd.Exists, false},
		{"no-conditions", answer(501, "NotImplemented"), ivd.Unsupported, false},
		{"disk-full", answer(507, "XMinioStorageFull"), ivd.Full, false},
		{"redirected", func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		}, ivd.Invalid, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			name := store.Name("points/d/" + c.name)
			p := prepared(t, s, name, []byte("body"))
			b.set(http.MethodPut, 1, c.fault)
			err := p.Send(t.Context())
			wantKind(t, "send", err, c.kind)
			if doubt := store.InDoubt(err); doubt != (c.kind == ivd.Transient) {
				t.Errorf("in doubt: %t", doubt)
			}
			if n := b.count(http.MethodPut); n != 1 {
				t.Fatalf("%d requests, want 1", n)
			}
			if strings.Contains(err.Error(), "Signature") || strings.Contains(err.Error(), "X-Amz") {
				t.Errorf("a signed URL in %q", err)
			}
			_, err = s.Stat(t.Context(), name)
			if created := err == nil; created != c.created {
				t.Errorf("created %t, want %t", created, c.created)
			}
		})
	}
}

// TestChecksumsRefused: a service that takes no headers with checksums is told from
// others, with the switch that helps, and used with that.
func TestChecksumsRefused(t *testing.T) {
	service := storetest.S3(t)
	b := newBetween(t, service)
	b.set(http.MethodPut, 1000, func(w http.ResponseWriter, r *http.Request, pass http.Handler) {
		for name := range r.Header {
			if strings.Contains(strings.ToLower(name), "checksum") || strings.EqualFold(name, "X-Amz-Trailer") {
				w.WriteHeader(http.StatusBadRequest)
				_, _ = io.WriteString(w, "<Error><Code>InvalidArgument</Code><Message>Unsupported header '"+strings.ToLower(name)+"' received for this API call.</Message></Error>")
				return
			}
		}
		pass.ServeHTTP(w, r)
	})
	c := configOf(service)
	c.Endpoint = b.url
	s := open(t, c)
	for what, err := range map[string]error{
		"put": s.Put(t.Context(), "a", []byte("x")), "send": prepared(t, s, "b", []byte("x")).Send(t.Context()),
	} {
		wantKind(t, what, err, ivd.Unsupported)
		if !strings.Contains(ivd.RemedyOf(err), "repository.checksum") {
			t.Errorf("%s: remedy %q", what, ivd.RemedyOf(err))
		}
	}
	if n := b.count(http.MethodPut); n != 2 {
		t.Errorf("%d requests, want 2: it refuses the next too", n)
	}
	c.ContentMD5 = true
	s = open(t, c)
	if err := s.Put(t.Context(), "a", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := prepared(t, s, "b", []byte("x")).Send(t.Context()); err != nil {
		t.Fatal(err)
	}
	o, err := s.Get(t.Context(), "a", 10)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Replace(t.Context(), o, []byte("y")); err != nil {
		t.Fatal(err)
	}
	damaged := prepared(t, s, "c", []byte("body"))
	b.set(http.MethodPut, 2, damage)
	if err := s.Put(t.Context(), "d", []byte("body")); err != nil {
		t.Fatal(err)
	}
	if err := damaged.Send(t.Context()); err != nil {
		t.Fatal(err) // the damage was two puts'
	}
	if n := b.count(http.MethodPut); n != 4 {
		t.Errorf("%d requests, want 4: two of them damaged on their way", n)
	}
}

// TestNotFoundIsOneThing: nothing but the service's word that the key is absent
// is taken for absence.
func TestNotFoundIsOneThing(t *testing.T) {
	s, b, service := opened(t)
	page := func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		http.Error(w, "<html>no such site</html>", http.StatusNotFound)
	}
	ask := func(what string) {
		t.Helper()
		_, err := s.Get(t.Context(), "leases/a", 10)
		if err == nil || ivd.KindOf(err) == ivd.NotFound {
			t.Errorf("%s: get: %v", what, err)
		}
		_, err = s.Stat(t.Context(), "leases/a")
		if err == nil || ivd.KindOf(err) == ivd.NotFound {
			t.Errorf("%s: stat: %v", what, err)
		}
		if err := s.ReadAt(t.Context(), "leases/a", make([]byte, 1), 0); err == nil || ivd.KindOf(err) == ivd.NotFound {
			t.Errorf("%s: read: %v", what, err)
		}
	}
	always := func(fault func(http.ResponseWriter, *http.Request, http.Handler)) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.fault = func(w http.ResponseWriter, r *http.Request, pass http.Handler) bool {
			fault(w, r, pass)
			return true
		}
	}
	always(page)
	ask("a proxy's page")
	always(answer(404, "NoSuchBucket"))
	ask("no bucket, made up")
	always(answer(403, "AccessDenied"))
	ask("no rights")
	always(drop)
	ask("dropped")
	always(func(w http.ResponseWriter, r *http.Request, pass http.Handler) { pass.ServeHTTP(w, r) })
	if err := os.RemoveAll(filepath.Join(service.Folder, service.Bucket)); err != nil {
		t.Fatal(err)
	}
	ask("the bucket has been removed")
	wantKind(t, "put", s.Put(t.Context(), "a", nil), ivd.Unmet)
	for _, err := range s.List(t.Context(), "") {
		wantKind(t, "list", err, ivd.Unmet)
	}
}

// TestRangeIgnored: an answer with another part of the object is not taken.
func TestRangeIgnored(t *testing.T) {
	s, b, _ := opened(t)
	if err := s.Put(t.Context(), "data/ab/x", []byte("0123456789")); err != nil {
		t.Fatal(err)
	}
	b.set(http.MethodGet, 1, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
		_, _ = io.WriteString(w, "0123456789")
	})
	wantKind(t, "read", s.ReadAt(t.Context(), "data/ab/x", make([]byte, 2), 4), ivd.Unsupported)
}

// TestNoDate: without the store's clock no lease can be judged.
func TestNoDate(t *testing.T) {
	s, b, _ := opened(t)
	b.set(http.MethodGet, 1, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header()["Date"] = nil
		w.Header().Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
		w.Header().Set("Content-Length", "1")
		_, _ = io.WriteString(w, "x")
	})
	_, err := s.Get(t.Context(), "leases/a", 10)
	wantKind(t, "get", err, ivd.Unsupported)
}

// TestListGoesOn: a fault in the middle neither repeats nor skips an object.
func TestListGoesOn(t *testing.T) {
	s, b, _ := opened(t)
	const objects = 1020 // two pages
	for i := range objects {
		if err := s.Put(t.Context(), store.Name("a/"+string(rune('a'+i/100))+"/"+strings.Repeat("x", i%100+1)), nil); err != nil {
			t.Fatal(err)
		}
	}
	b.set(http.MethodGet, 0, nil)
	pages := 0
	b.mu.Lock()
	b.fault = func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		pages++
		if pages == 2 || pages == 3 {
			answer(503, "SlowDown")(w, r, nil)
			return true
		}
		return false
	}
	b.mu.Unlock()
	seen := map[store.Name]bool{}
	for info, err := range s.List(t.Context(), "a/") {
		if err != nil {
			t.Fatal(err)
		}
		if seen[info.Name] {
			t.Fatalf("%s came twice", info.Name)
		}
		seen[info.Name] = true
	}
	if len(seen) != objects || pages != 4 {
		t.Errorf("%d objects in %d requests, want %d in 4", len(seen), pages, objects)
	}
}

// TestLongOutage: in the end the caller is told, with the kind that it can wait.
func TestLongOutage(t *testing.T) {
	s, b, _ := opened(t)
	b.set(http.MethodPut, 1000, answer(503, "SlowDown"))
	wantKind(t, "put", s.Put(t.Context(), "a", nil), ivd.Transient)
	if n := b.count(http.MethodPut); n != 8 {
		t.Errorf("%d attempts, want 8", n)
	}
	b.set(http.MethodPut, 1000, answer(507, "InsufficientStorage"))
	wantKind(t, "put", s.Put(t.Context(), "a", nil), ivd.Full)
	if n := b.count(http.MethodPut); n != 1 {
		t.Errorf("%d attempts of what does not pass, want 1", n)
	}
}

// TestSlowDownAsksForTime: a service that says when it may be asked again is not
// asked before, however short the waits otherwise are.
func TestSlowDownAsksForTime(t *testing.T) {
	s, b, _ := opened(t)
	b.set(http.MethodPut, 1, func(w http.ResponseWriter, r *http.Request, pass http.Handler) {
		w.Header().Set("Retry-After", "1")
		answer(503, "SlowDown")(w, r, pass)
	})
	begun := time.Now()
	if err := s.Put(t.Context(), "a", nil); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begun); took < time.Second || b.count(http.MethodPut) != 2 {
		t.Errorf("%d attempts in %s, want 2 with a second between", b.count(http.MethodPut), took)
	}
}
