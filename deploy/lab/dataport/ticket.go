package dataport

import (
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"ivdmover/deploy/lab/estate"
	"ivdmover/shared/ivd"
)

// Path is where the vCenter's port hands out tickets.
const Path = "/lab/nfc"

// modes are the transports that begin with a ticket.
var modes = []string{"nbdssl", "nbd", "hotadd", "san"}

const (
	ticketLife  = 30 * time.Second
	maxQuestion = 64 << 10
)

// ticket is what its bearer may do, once.
type ticket struct {
	op        uint16
	datastore string // its name
	disk      ivd.DiskID
	machine   string // its name, of access to a machine
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
	fmt.Fprintf(w, "disk=%s\nsnapshot=%s\n", k.disk, k.snapshot)
	if sharesMachine(r.RemoteAddr) {
		p.place(w, k)
	}
}

func sharesMachine(peer string) bool {
	a, err := netip.ParseAddrPort(peer)
	return err == nil && a.Addr().Unmap().IsLoopback()
}

// place tells a client of this machine where the disk's files are, and what bears on
// HotAdd and SAN: a LUN and a SCSI device need no network.
func (p *Port) place(w io.Writer, k ticket) {
	fmt.Fprintf(w, "dir=%s\n", p.o.Dir)
	d, err := p.o.Estate.Disk(k.datastore, k.disk)
	if err != nil {
		return // of EndAccess for a disk that is gone, or of Cleanup
	}
	machines := make([]string, 0, len(d.Attached))
	for _, a := range d.Attached {
		machines = append(machines, a.Machine)
	}
	fmt.Fprintf(w, "path=%s\ndatastore=%s\nlun=%s\nmachines=%s\nthick=%d\nencrypted=%d\n",
		path.Join("datastores", d.Datastore, d.Path), d.Datastore, estate.LUN(d.Datastore), strings.Join(machines, ","),
		digit(d.Provisioning != ""), digit(d.Key != ""))
}

func digit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// admit checks who asks, and that what is asked for is there.
func (p *Port) admit(q url.Values) (ticket, error) {
	if err := p.authenticate(q); err != nil {
		return ticket{}, err
	}
	if q.Get("op") == "cleanup" {
		return ticket{}, nil // good for nothing: the client looks after its own devices
	}
	ops := map[string]uint16{"open": opOpen, "prepare": opPrepare, "end": opEnd}
	k := ticket{op: ops[q.Get("op")], snapshot: ivd.SnapshotID(q.Get("snapshot")), write: q.Get("write") == "1"}
	if k.op == 0 {
		return k, refuse(invalidArg, fmt.Sprintf("op %q: want open, prepare, end or cleanup", q.Get("op")))
	}
	if mode := q.Get("mode"); mode != "" && !slices.Contains(modes, mode) {
		return k, refuse(notSupported, fmt.Sprintf("mode %q: want one of %s", mode, strings.Join(modes, ", ")))
	}
	if q.Get("vm") != "" {
		return p.admitMachine(q, k)
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
