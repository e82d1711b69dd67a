package lab_test

import (
	"bytes"
	"crypto/sha1"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vmware/govmomi/vim25/types"

	"ivdmover/deploy/lab"
	"ivdmover/shared/ivd"
)

// vixError is a refusal with VDDK's number.
type vixError struct {
	code int
	text string
}

func (e *vixError) Error() string { return fmt.Sprintf("%d: %s", e.code, e.text) }

func wantCode(t *testing.T, err error, code int) {
	t.Helper()
	var v *vixError
	if !errors.As(err, &v) || v.code != code {
		t.Fatalf("got %v, want code %d", err, code)
	}
}

// port is a client of the data port as the C library is one.
type port struct {
	c  *tls.Conn
	id uint64
}

func pinned(thumbprint string) *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, VerifyConnection: func(s tls.ConnectionState) error {
		sum := sha1.Sum(s.PeerCertificates[0].Raw)
		if got := strings.ToUpper(strings.ReplaceAll(fmt.Sprintf("% x", sum), " ", ":")); got != thumbprint {
			return fmt.Errorf("thumbprint %s", got)
		}
		return nil
	}}
}

func ticket(r lab.Ready, q url.Values) (map[string]string, error) {
	u, err := url.Parse(r.URL)
	if err != nil {
		return nil, err
	}
	u.Path = "/lab/nfc"
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: pinned(r.Thumbprint), DisableKeepAlives: true}}
	res, err := c.PostForm(u.String(), q)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	m := lines(string(body))
	if code, _ := strconv.Atoi(m["code"]); code != 0 {
		return nil, &vixError{code, m["message"]}
	}
	return m, nil
}

func lines(s string) map[string]string {
	m := map[string]string{}
	for l := range strings.Lines(s) {
		k, v, _ := strings.Cut(strings.TrimSpace(l), "=")
		m[k] = v
	}
	return m
}

func (w *world) question(store string, id ivd.DiskID, snapshot, op string) url.Values {
	return url.Values{
		"user": {w.ready.Username}, "password": {w.ready.Password}, "id": {string(id)}, "datastore": {w.ds[store].Value},
		"snapshot": {snapshot}, "mode": {"nbdssl"}, "op": {op},
	}
}

func dial(m map[string]string) (*port, error) {
	c, err := tls.Dial("tcp", net.JoinHostPort(m["host"], m["port"]), pinned(m["thumbprint"]))
	if err != nil {
		return nil, err
	}
	return &port{c: c}, nil
}

// open opens a disk as the library does; q may have been changed.
func open(r lab.Ready, q url.Values) (*port, map[string]string, error) {
	m, err := ticket(r, q)
	if err != nil {
		return nil, nil, err
	}
	p, err := dial(m)
	if err != nil {
		return nil, nil, err
	}
	answer, err := p.call(1, 0, 0, []byte("ticket="+m["ticket"]+"\n"))
	if err != nil {
		return nil, nil, errors.Join(err, p.c.Close())
	}
	return p, lines(string(answer)), nil
}

func (p *port) call(op uint16, start, count uint64, payload []byte) ([]byte, error) {
	if err := p.send(op, start, count, payload); err != nil {
		return nil, err
	}
	_, answer, err := p.receive()
	return answer, err
}

func (p *port) send(op uint16, start, count uint64, payload []byte) error {
	p.id++
	h := []byte("LNFQ")
	le := binary.LittleEndian
	h = le.AppendUint16(h, 1)
	h = le.AppendUint16(h, op)
	h = le.AppendUint64(h, p.id)
	h = le.AppendUint64(h, start)
	h = le.AppendUint64(h, count)
	h = le.AppendUint32(h, uint32(len(payload)))
	h = le.AppendUint32(h, 0)
	_, err := p.c.Write(append(h, payload...))
	return err
}

func (p *port) receive() (id uint64, answer []byte, err error) {
	var h [24]byte
	if _, err := io.ReadFull(p.c, h[:]); err != nil {
		return 0, nil, err
	}
	le := binary.LittleEndian
	answer = make([]byte, le.Uint32(h[20:]))
	if _, err := io.ReadFull(p.c, answer); err != nil {
		return 0, nil, err
	}
	if !bytes.HasPrefix(h[:], []byte("LNFR")) {
		return 0, nil, fmt.Errorf("frame %x", h)
	}
	if code := le.Uint32(h[16:]); code != 0 {
		return 0, nil, &vixError{int(code), string(answer)}
	}
	return le.Uint64(h[8:]), answer, nil
}

// read is a disk's or a snapshot's whole content.
func (w *world) read(store string, id ivd.DiskID, snapshot string) []byte {
	w.t.Helper()
	p, info, err := open(w.ready, w.question(store, id, snapshot, "open"))
	must(w.t, err)
	defer func() { _ = p.c.Close() }()
	sectors, err := strconv.ParseUint(info["capacity"], 10, 64)
	must(w.t, err)
	var all []byte
	for at := uint64(0); at < sectors; at += 2048 {
		part, err := p.call(2, at, min(2048, sectors-at), nil)
		must(w.t, err)
		all = append(all, part...)
	}
	_, err = p.call(6, 0, 0, nil)
	must(w.t, err)
	return all
}

func TestDataPort(t *testing.T) {
	w := newWorld(t, lab.Options{})
	const store = "datastore2"
	content := bytes.Repeat([]byte("an odd image. "), 20000)
	size := int64(len(content))/512*512 + 512
	id := w.register(store, "odd", content, size)
	snapshot := w.snapshot(store, id, "now")

	q := w.question(store, id, "", "open")
	q.Set("write", "1")
	p, info, err := open(w.ready, q)
	must(t, err)
	if info["capacity"] != strconv.FormatInt(size/512, 10) || info["uuid"] != string(id) {
		t.Fatalf("opened %v", info)
	}
	written := bytes.Repeat([]byte{7}, 1024)
	_, err = p.call(3, 10, 2, written)
	must(t, err)
	_, err = p.call(5, 0, 0, nil)
	must(t, err)
	got, err := p.call(2, 10, 2, nil)
	must(t, err)
	if !bytes.Equal(got, written) {
		t.Fatal("what was written is not what is read")
	}
	_, err = p.call(2, uint64(size)/512-1, 2, nil)
	wantCode(t, err, 16007)
	_, err = p.call(3, uint64(size)/512, 1, written[:512])
	wantCode(t, err, 16007)
	_, err = p.call(2, 1<<62, 1<<62, nil)
	wantCode(t, err, 16007)
	_, err = p.call(3, 0, 2, written[:512])
	wantCode(t, err, 3)
	_, _, err = open(w.ready, q)
	wantCode(t, err, 15)
	must(t, p.c.Close())

	old := w.read(store, id, snapshot)
	want := append(bytes.Clone(content), make([]byte, size-int64(len(content)))...)
	if !bytes.Equal(old, want) {
		t.Fatal("the snapshot changed")
	}
	q.Set("snapshot", snapshot)
	_, _, err = open(w.ready, q)
	wantCode(t, err, 11)
	if got := w.lab.Report().Traffic[id]; got.Read != size+1024 || got.Written != 1024 {
		t.Fatalf("traffic %+v", got)
	}
}

func TestTickets(t *testing.T) {
	w := newWorld(t, lab.Options{})
	const store = "datastore1"
	id := w.create(store, "a", 1)
	for _, c := range []struct {
		key, value string
		code       int
	}{
		{"password", "wrong", 3014},
		{"cookie", "wrong", 3046},
		{"datastore", "datastore-0", 16000},
		{"id", "52dfd9ca-0000-0000-0000-000000000000", 4},
		{"snapshot", "absent", 16008},
		{"op", "format", 3},
		{"mode", "carrier", 6},
	} {
		q := w.question(store, id, "", "open")
		q.Set(c.key, c.value)
		_, err := ticket(w.ready, q)
		wantCode(t, err, c.code)
	}
	m, err := ticket(w.ready, w.question(store, id, "", "open"))
	must(t, err)
	for i, want := range []int{0, 3014} { // a ticket is good once
		p, err := dial(m)
		must(t, err)
		_, err = p.call(1, 0, 0, []byte("ticket="+m["ticket"]+"\n"))
		if want == 0 {
			must(t, err)
		} else {
			wantCode(t, err, want)
		}
		_, err = p.call(2, 0, 1, nil)
		if i == 1 {
			wantCode(t, err, 3)
		}
		must(t, p.c.Close())
	}

	// A login's cookie opens until the login ends.
	second, err := login(t.Context(), w.ready, w.ready.Password)
	must(t, err)
	defer second.CloseIdleConnections()
	us, err := second.SessionManager.UserSession(t.Context())
	must(t, err)
	q := w.question(store, id, "", "open")
	q.Del("password")
	q.Set("cookie", `vmware_soap_session="`+us.Key+`"; Path=/; HttpOnly`)
	_, err = ticket(w.ready, q)
	must(t, err)
	must(t, second.Logout(t.Context()))
	_, err = ticket(w.ready, q)
	wantCode(t, err, 3046)
}

func TestRequestsInFlight(t *testing.T) {
	w := newWorld(t, lab.Options{Disks: 1, DiskSize: 16 << 20})
	ids, err := w.m.List(t.Context(), w.ds["datastore1"])
	must(t, err)
	disk := ivd.DiskID(ids[0].Id)
	all := w.read("datastore1", disk, "")
	p, _, err := open(w.ready, w.question("datastore1", disk, "", "open"))
	must(t, err)
	defer func() { _ = p.c.Close() }()
	starts := map[uint64]int{}
	for i := range 16 {
		must(t, p.send(2, uint64(i)*2048, 2048, nil))
		starts[p.id] = i << 20
	}
	for range 16 {
		id, data, err := p.receive()
		must(t, err)
		if !bytes.Equal(data, all[starts[id]:starts[id]+1<<20]) {
			t.Fatalf("request %d got other data", id)
		}
		delete(starts, id)
	}
	areas, err := p.call(4, 0, 16<<11, binary.LittleEndian.AppendUint64(nil, 2048))
	must(t, err)
	if len(areas) != 4*16 { // of every 4 MiB, the first two are written
		t.Fatalf("%d bytes of areas", len(areas))
	}
	for i := range 4 {
		from, n := binary.LittleEndian.Uint64(areas[i*16:]), binary.LittleEndian.Uint64(areas[i*16+8:])
		if from != uint64(i)*8192 || n != 4096 {
			t.Fatalf("area %d is %d sectors at %d", i, n, from)
		}
	}
}

func TestAnOpenDiskIsInUse(t *testing.T) {
	w := newWorld(t, lab.Options{})
	const store = "datastore1"
	id := w.create(store, "a", 1)
	snapshot := w.snapshot(store, id, "open")
	p, _, err := open(w.ready, w.question(store, id, snapshot, "open"))
	must(t, err)
	if h := w.lab.Report().Handles; len(h) != 1 || h[0].Disk != id || string(h[0].Snapshot) != snapshot {
		t.Fatalf("handles %+v", h)
	}
	task, err := w.m.DeleteSnapshot(t.Context(), w.ds[store], string(id), snapshot)
	w.fails(&types.InvalidState{}, task, err)
	task, err = w.m.Delete(t.Context(), w.ds[store], string(id))
	w.fails(&types.InvalidState{}, task, err)
	must(t, p.c.Close()) // as the end of a process does
	for len(w.lab.Report().Handles) > 0 {
		<-time.After(time.Millisecond)
	}
	task, err = w.m.DeleteSnapshot(t.Context(), w.ds[store], string(id), snapshot)
	w.do(task, err)
}

func TestPortsOnEveryAddress(t *testing.T) {
	w := newWorld(t, lab.Options{Listen: "0.0.0.0:0"})
	id := w.create("datastore1", "a", 1)
	called := w.ready
	called.URL = strings.Replace(called.URL, "127.0.0.1", "localhost", 1)
	m, err := ticket(called, w.question("datastore1", id, "", "open"))
	must(t, err)
	if m["host"] != "localhost" {
		t.Fatalf("sent to %q", m["host"])
	}
}

func TestFramesThatLie(t *testing.T) {
	w := newWorld(t, lab.Options{})
	id := w.create("datastore1", "a", 1)
	for _, frame := range [][]byte{
		bytes.Repeat([]byte{0xff}, 40),
		append(append([]byte("LNFQ\x01\x00\x02\x00"), make([]byte, 24)...), 0xff, 0xff, 0xff, 0x7f, 0, 0, 0, 0),
		append([]byte("LNFQ\x02\x00\x02\x00"), make([]byte, 32)...),
	} {
		p, _, err := open(w.ready, w.question("datastore1", id, "", "open"))
		must(t, err)
		_, err = p.c.Write(frame)
		must(t, err)
		if _, err := io.ReadAll(p.c); err != nil {
			t.Fatalf("want the connection closed: %v", err)
		}
		must(t, p.c.Close())
	}
	for len(w.lab.Report().Handles) > 0 {
		<-time.After(time.Millisecond)
	}
}
