package vddk_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"io"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// port is a vCenter that gives tickets and a host that takes them, with one disk
// in memory: the laboratory's protocol from the other side, made to misbehave.
type port struct {
	thumbprint string
	https      net.Listener
	data       net.Listener
	vcenter    *http.Server
	certs      *tls.Config
	conns      sync.WaitGroup

	mu       sync.Mutex
	disk     []byte
	ticket   string // the next one to be taken
	forms    []map[string]string
	access   []string       // "prepare identity", "end identity"
	open     int            // connections that have the disk open
	fail     map[int]uint32 // op → code
	cut      int            // break the connection after so many requests
	mute     bool           // answer nothing
	latency  time.Duration  // of each read
	shuffled int            // responses that were sent before an older one's
}

func startPort(t testing.TB, disk []byte) *port {
	t.Helper()
	cert := certificate(t)
	sum := sha1.Sum(cert.Certificate[0])
	p := &port{
		thumbprint: strings.ReplaceAll(fmt.Sprintf("% X", sum[:]), " ", ":"),
		certs:      &tls.Config{Certificates: []tls.Certificate{cert}},
		disk:       disk, fail: map[int]uint32{},
	}
	p.https, p.data = listen(t, p.certs), listen(t, p.certs)
	p.vcenter = &http.Server{Handler: http.HandlerFunc(p.serveTicket)}
	var group sync.WaitGroup
	group.Go(func() { _ = p.vcenter.Serve(p.https) })
	group.Go(p.serveData)
	t.Cleanup(func() {
		_ = p.vcenter.Close()
		_ = p.data.Close()
		group.Wait()
		p.conns.Wait()
	})
	return p
}

func certificate(t testing.TB) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func listen(t testing.TB, c *tls.Config) net.Listener {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", c)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// set changes how the port behaves.
func (p *port) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
}

func portOf(l net.Listener) uint32 { return uint32(l.Addr().(*net.TCPAddr).Port) }

func (p *port) serveTicket(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil || r.URL.Path != "/lab/nfc" || r.Method != http.MethodPost {
		http.Error(w, "not here", http.StatusNotFound)
		return
	}
	form := map[string]string{}
	for key := range r.PostForm {
		form[key] = r.PostForm.Get(key)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forms = append(p.forms, form)
	if form["password"] != "se cret&=%+ü" && form["cookie"] != "live" {
		fmt.Fprint(w, "code=3014\nmessage=wrong user or password\n")
		return
	}
	p.ticket = rand.Text()
	fmt.Fprintf(w, "code=0\nhost=127.0.0.1\nport=%d\nthumbprint=%s\nticket=%s\n", portOf(p.data), p.thumbprint, p.ticket)
}

func (p *port) serveData() {
	for {
		c, err := p.data.Accept()
		if err != nil {
			return
		}
		p.conns.Go(func() {
			defer c.Close()
			p.serve(c)
		})
	}
}

type frame struct {
	op              int
	id, sector, len uint64
	payload         []byte
}

func readFrame(c net.Conn) (frame, error) {
	var h [40]byte
	if _, err := io.ReadFull(c, h[:]); err != nil {
		return frame{}, err
	}
	le := binary.LittleEndian
	if string(h[:4]) != "LNFQ" || le.Uint16(h[4:]) != 1 || le.Uint32(h[36:]) != 0 {
		return frame{}, fmt.Errorf("bad frame % x", h)
	}
	f := frame{op: int(le.Uint16(h[6:])), id: le.Uint64(h[8:]), sector: le.Uint64(h[16:]), len: le.Uint64(h[24:])}
	f.payload = make([]byte, le.Uint32(h[32:]))
	_, err := io.ReadFull(c, f.payload)
	return f, err
}

func respond(c net.Conn, f frame, code uint32, payload []byte) error {
	var h [24]byte
	le := binary.LittleEndian
	copy(h[:], "LNFR")
	le.PutUint16(h[4:], 1)
	le.PutUint16(h[6:], uint16(f.op))
	le.PutUint64(h[8:], f.id)
	le.PutUint32(h[16:], code)
	le.PutUint32(h[20:], uint32(len(payload)))
	_, err := c.Write(append(h[:], payload...))
	return err
}

// serve answers a connection. Reads and writes that have come together are
// answered in a random order.
func (p *port) serve(c net.Conn) {
	frames := make(chan frame, 64)
	p.conns.Go(func() {
		defer close(frames)
		for {
			f, err := readFrame(c)
			if err != nil {
				return
			}
			frames <- f
		}
	})
	defer func() {
		c.Close()
		for range frames {
		}
	}()
	var sending sync.Mutex
	var waiting []frame
	for served := 0; ; served++ {
		if len(waiting) == 0 {
			f, ok := <-frames
			if !ok {
				return
			}
			waiting = append(waiting, f)
		}
		for more := true; more; {
			select {
			case f, ok := <-frames:
				if more = ok; ok {
					waiting = append(waiting, f)
				}
			default:
				more = false
			}
		}
		i := mathrand.IntN(len(waiting))
		f := waiting[i]
		waiting = append(waiting[:i], waiting[i+1:]...)
		p.mu.Lock()
		if i > 0 {
			p.shuffled++
		}
		over := p.cut > 0 && served >= p.cut
		mute := p.mute && f.op == 2
		latency := p.latency
		code, payload := p.answer(f)
		p.mu.Unlock()
		if over {
			return
		}
		if mute {
			continue
		}
		if latency > 0 && f.op == 2 { // each on its own, so that several wait at once
			p.conns.Go(func() {
				<-time.After(latency)
				sending.Lock()
				defer sending.Unlock()
				_ = respond(c, f, code, payload) // or the connection is gone, and everybody knows
			})
			continue
		}
		sending.Lock()
		err := respond(c, f, code, payload)
		sending.Unlock()
		if err != nil || f.op == 6 {
			return
		}
	}
}

func (p *port) answer(f frame) (uint32, []byte) {
	if code := p.fail[f.op]; code != 0 {
		return code, []byte("as the test wants it")
	}
	from, to := f.sector*512, (f.sector+f.len)*512
	switch f.op {
	case 1, 7, 8:
		return p.answerTicket(f)
	case 2:
		return 0, bytes.Clone(p.disk[from:to])
	case 3:
		copy(p.disk[from:to], f.payload)
	case 4:
		chunk := binary.LittleEndian.Uint64(f.payload) * 512
		var pairs []byte
		for at := from; at < to; at += chunk {
			if !bytes.Equal(p.disk[at:at+chunk], make([]byte, chunk)) {
				pairs = binary.LittleEndian.AppendUint64(pairs, at/512)
				pairs = binary.LittleEndian.AppendUint64(pairs, chunk/512)
			}
		}
		return 0, pairs
	case 6:
		p.open--
	}
	return 0, nil
}

func (p *port) answerTicket(f frame) (uint32, []byte) {
	ticket, rest, _ := strings.Cut(strings.TrimPrefix(string(f.payload), "ticket="), "\n")
	if ticket != p.ticket {
		return 3047, []byte("a ticket is taken once")
	}
	p.ticket = ""
	switch f.op {
	case 7:
		p.access = append(p.access, "prepare "+strings.TrimSpace(rest))
	case 8:
		p.access = append(p.access, "end "+strings.TrimSpace(rest))
	default:
		p.open++
		return 0, fmt.Appendf(nil, "capacity=%d\nuuid=6f 9e\nadapter=ide\nlinks=2\n", len(p.disk)/512)
	}
	return 0, nil
}
