package dataport

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"ivdmover/shared/ivd"
)

// Path is where the vCenter's port hands out tickets.
const Path = "/lab/nfc"

const (
	ticketLife  = 30 * time.Second
	maxQuestion = 64 << 10
)

// ticket is what its bearer may do, once.
type ticket struct {
	op        uint16
	datastore string // its name
	disk      ivd.DiskID
	snapshot  ivd.SnapshotID
	write     bool
	expires   time.Time
}

type tickets struct {
	mu   sync.Mutex
	live map[string]ticket
}

func (t *tickets) issue(k ticket, now time.Time) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	for name, old := range t.live {
		if now.After(old.expires) {
			delete(t.live, name)
		}
	}
	k.expires = now.Add(ticketLife)
	name := rand.Text()
	t.live[name] = k
	return name
}

// take redeems a ticket for an operation.
func (t *tickets) take(name string, op uint16, now time.Time) (ticket, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	k, ok := t.live[name]
	delete(t.live, name)
	if !ok || k.op != op || now.After(k.expires) {
		return ticket{}, refuse(denied, "the ticket is unknown, used, too old or for something else")
	}
	return k, nil
}

// ServeHTTP answers a request for a ticket: lines of key=value, a code other than 0
// being a refusal.
func (p *Port) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if r.Method != http.MethodPost {
		http.Error(w, "POST only", http.StatusMethodNotAllowed)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxQuestion)
	if err := r.ParseForm(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	k, err := p.admit(r.PostForm)
	if err != nil {
		fmt.Fprintf(w, "code=%d\nmessage=%s\n", codeOf(err), strings.ReplaceAll(err.Error(), "\n", "; "))
		return
	}
	host, port := p.address(r.Host)
	fmt.Fprintf(w, "code=0\nmessage=\nhost=%s\nport=%d\nthumbprint=%s\nticket=%s\n", host, port, p.o.Thumbprint, p.tickets.issue(k, time.Now()))
}

// admit checks who asks, and that what is asked for is there.
func (p *Port) admit(q url.Values) (ticket, error) {
	if err := p.authenticate(q); err != nil {
		return ticket{}, err
	}
	ops := map[string]uint16{"open": opOpen, "prepare": opPrepare, "end": opEnd}
	k := ticket{op: ops[q.Get("op")], snapshot: ivd.SnapshotID(q.Get("snapshot")), write: q.Get("write") == "1"}
	if k.op == 0 {
		return k, refuse(invalidArg, fmt.Sprintf("op %q: want open, prepare or end", q.Get("op")))
	}
	if mode := q.Get("mode"); mode != "" && mode != "nbdssl" && mode != "nbd" {
		return k, refuse(notSupported, fmt.Sprintf("mode %q: want nbdssl or nbd", mode))
	}
	var known bool
	if k.datastore, known = p.o.Front.Datastore(q.Get("datastore")); !known {
		return k, refuse(badDisk, fmt.Sprintf("no datastore %q", q.Get("datastore")))
	}
	id, err := ivd.ParseDiskID(q.Get("id"))
	if err != nil {
		return k, err
	}
	k.disk = id
	if k.op == opEnd {
		return k, nil // also for a disk that is gone
	}
	if _, err := p.o.Estate.Disk(k.datastore, k.disk); err != nil || k.op == opPrepare {
		return k, err
	}
	return k, p.o.Estate.CanOpen(k.datastore, k.disk, k.snapshot, k.write)
}

func (p *Port) authenticate(q url.Values) error {
	if cookie := q.Get("cookie"); cookie != "" {
		if !p.o.Front.Live(cookieValue(cookie)) {
			return refuse(loginEnded, "the cookie is not that of a live session")
		}
		return nil
	}
	if !p.o.Front.Authenticate(q.Get("user"), q.Get("password")) {
		return refuse(denied, "wrong user name or password")
	}
	return nil
}

// cookieValue takes a cookie as a header has it, `vmware_soap_session="…"; Path=/`,
// or its value alone.
func cookieValue(s string) string {
	s, _, _ = strings.Cut(s, ";")
	if _, value, ok := strings.Cut(s, "="); ok {
		s = value
	}
	return strings.Trim(strings.TrimSpace(s), `"`)
}
