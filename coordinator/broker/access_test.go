package broker_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ivdmover/coordinator/broker"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/queue"
	"ivdmover/shared/sealed"
)

// ways are the ways into a server from outside, with the rights of a mover.
func ways(t *testing.T, s *broker.Server, o broker.Options, mover string) map[string]queue.Options {
	t.Helper()
	return map[string]queue.Options{
		"listener": {URL: s.ClientURL(), CredsFile: creds(t, s, mover)},
		"socket":   {URL: queue.SocketURL(o.Socket)},
	}
}

// creds is the file with a mover's credentials.
func creds(t *testing.T, s *broker.Server, mover string) string {
	t.Helper()
	file, err := s.MoverCreds(mover)
	must(t, err)
	return file
}

// Nobody gets in unknown, nor as another mover than the one that he is.
func TestStrangersAreRefused(t *testing.T) {
	dir, other := t.TempDir(), start(t, broker.Options{Dir: t.TempDir()})
	o := broker.Options{Dir: dir, Socket: filepath.Join(dir, "socket"), Listen: "127.0.0.1:0"}
	s := start(t, o)
	for name, o := range map[string]queue.Options{
		"without credentials":           {URL: s.ClientURL(), Mover: "m"},
		"another server's credentials":  {URL: s.ClientURL(), Mover: "m", CredsFile: creds(t, other, "m")},
		"a coordinator without a word":  {URL: s.ClientURL()},
		"a guessed token":               {URL: strings.Replace(s.ClientURL(), "nats://", "nats://"+url.QueryEscape("token")+"@", 1)},
		"another mover's credentials":   {URL: s.ClientURL(), Mover: "m", CredsFile: creds(t, s, "n")},
		"as a part of another mover":    {URL: s.ClientURL(), Mover: "m/2", CredsFile: creds(t, s, "n")},
		"a mover that nobody has added": {URL: s.ClientURL(), Mover: "nobody", CredsFile: creds(t, s, "n")},
		"no mover's name":               {URL: s.ClientURL(), CredsFile: creds(t, s, "m"), Name: "somebody"},
		"no mover's name, by socket":    {URL: queue.SocketURL(o.Socket), Name: "ivd-mover a/b"},
	} {
		q, err := queue.Connect(t.Context(), o)
		for err != nil && ivd.KindOf(err) == ivd.Transient { // it was shut while the client still wrote
			q, err = queue.Connect(t.Context(), o)
		}
		if err == nil {
			q.Close()
			t.Errorf("%s: let in", name)
		} else if ivd.KindOf(err) != ivd.Denied {
			t.Errorf("%s: %v (kind %q)", name, err, ivd.KindOf(err))
		}
	}
	for _, file := range []string{creds(t, s, "m"), s.CoordinatorCreds()} {
		info, err := os.Stat(file)
		must(t, err)
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v", file, info.Mode())
		}
	}
	connect(t, queue.Options{URL: queue.SocketURL(o.Socket), CredsFile: s.CoordinatorCreds()}) // another coordinator
}

// Copies of the credentials on other hosts stay good when the server is started again.
func TestCredentialsAreKept(t *testing.T) {
	o := broker.Options{Dir: t.TempDir(), Creds: t.TempDir(), Listen: "127.0.0.1:0"}
	s := start(t, o)
	file := creds(t, s, "proxy.1")
	seed, err := os.ReadFile(file)
	must(t, err)
	if want := filepath.Join(o.Creds, "movers", "proxy.1.creds"); file != want {
		t.Errorf("it is %s, not %s", file, want)
	}
	s.Close()
	s = start(t, o)
	at := queue.Options{URL: s.ClientURL(), Mover: "proxy.1", CredsFile: file}
	gets := func() {
		t.Helper()
		q, err := queue.Connect(t.Context(), at)
		must(t, err)
		q.Close()
	}
	gets()
	again, err := os.ReadFile(creds(t, s, "proxy.1"))
	must(t, err)
	if string(again) != string(seed) {
		t.Error("the mover's credentials have changed")
	}
	// One whose file is removed is not let in any more, with its copy.
	at.CredsFile = filepath.Join(t.TempDir(), "copy")
	must(t, os.WriteFile(at.CredsFile, seed, 0o600))
	gets()
	must(t, os.Remove(file))
	if q, err := queue.Connect(t.Context(), at); ivd.KindOf(err) != ivd.Denied {
		closeIf(q)
		t.Errorf("after its file was removed: %v", err)
	}
	for _, name := range []string{"", "a/b", "../x", "a b", ".."} {
		if file, err := s.MoverCreds(name); ivd.KindOf(err) != ivd.Invalid {
			t.Errorf("a mover %q: %q, %v", name, file, err)
		}
	}
	broken := broker.Options{Dir: t.TempDir()}
	must(t, os.WriteFile(filepath.Join(broken.Dir, "coordinator.creds"), []byte("garbage\n"), 0o600))
	refused(t, broken, ivd.Permanent, "coordinator.creds", "holds no key")
}

// A mover may do its work, and nothing in another's name.
func TestMoverRights(t *testing.T) {
	dir := t.TempDir()
	o := broker.Options{Dir: dir, Socket: filepath.Join(dir, "socket"), Listen: "127.0.0.1:0"}
	s := start(t, o)
	coordinator := connect(t, queue.Options{InProcess: s})
	ctx := t.Context()
	key, err := sealed.NewKey()
	must(t, err)
	must(t, coordinator.Beat(ctx, job.Mover{Version: job.Version, Name: "other", Process: "its own", PublicKey: key.Public()}))
	_, err = coordinator.ServeGrants(ctx, "repository-1", func(context.Context, job.GrantRequest, job.Mover) ([]byte, error) { return []byte("keys"), nil })
	must(t, err)
	_, err = coordinator.State().Create(ctx, "run.r", 1)
	must(t, err)
	var tries sync.WaitGroup
	for way, options := range ways(t, s, o, "proxy.1") {
		options.Mover, options.Patience = "proxy.1", time.Millisecond
		q, err := queue.Connect(ctx, options)
		must(t, err)
		t.Cleanup(q.Close)
		must(t, q.Beat(ctx, job.Mover{Version: job.Version, Name: "proxy.1"}))
		for what, try := range map[string]func() error{
			"another's heartbeat": func() error {
				return q.Beat(ctx, job.Mover{Version: job.Version, Name: "other", Process: "mine"})
			},
			"the heartbeat of another's part": func() error {
				return q.Beat(ctx, job.Mover{Version: job.Version, Name: queue.PartName("other", "x")})
			},
			"withdrawing another's heartbeat": func() error { return q.Leave(ctx, "other") },
			"publishing a job":                func() error { return q.Publish(ctx, testJob("1")) },
			"changing a run": func() error {
				_, err := q.State().Put(ctx, "run.r", 2)
				return err
			},
			"reading a run": func() error {
				_, _, err := queue.Get[int](ctx, q.State(), "run.r")
				return err
			},
			"setting the queue up":  func() error { return q.Setup(ctx) },
			"deleting a run's jobs": func() error { return q.DeleteRun(ctx, "r") },
			"asking another mover": func() error {
				short, cancel := context.WithTimeout(ctx, 5*time.Second)
				defer cancel()
				_, err := q.Ask(short, "other", job.Request{Version: job.Version, Op: job.Inspect})
				return err
			},
			"asking for keys in another's name": func() error {
				short, cancel := context.WithTimeout(ctx, 5*time.Second)
				defer cancel()
				_, err := q.AskGrant(short, job.GrantRequest{Version: job.Version, Mover: "other", Process: "its own", Repository: "repository-1"}, key)
				return err
			},
			"answering for another": func() error {
				_, err := q.ServeRequests(ctx, "other", func(context.Context, job.Request) job.Reply { return job.Reply{Capacity: 7} })
				must(t, err) // that it is refused is told later
				_, err = coordinator.Ask(ctx, "other", job.Request{Version: job.Version, Op: job.Inspect})
				return err
			},
		} {
			tries.Go(func() {
				if try() == nil {
					t.Errorf("%s: a mover may do this: %s", way, what)
				}
			})
		}
	}
	tries.Wait()
	m, err := coordinator.Mover(ctx, "other")
	must(t, err)
	if m.Process != "its own" {
		t.Errorf("the heartbeat is now that of process %q", m.Process)
	}
	n, _, err := queue.Get[int](ctx, coordinator.State(), "run.r")
	must(t, err)
	if n != 1 {
		t.Errorf("the run's state is %d", n)
	}
}

// certificate makes a certificate for 127.0.0.1 that signs itself, and its key.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	must(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	must(t, err)
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	must(t, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	must(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
	return cert, key
}

// With a certificate the listener speaks TLS only; the socket needs none.
func TestListenerWithTLS(t *testing.T) {
	cert, key := certificate(t)
	dir := t.TempDir()
	o := broker.Options{Dir: dir, Socket: filepath.Join(dir, "socket"), Listen: "127.0.0.1:0", CertFile: cert, KeyFile: key}
	s := start(t, o)
	address := s.ClientURL()[strings.LastIndex(s.ClientURL(), "/")+1:]
	connect(t, queue.Options{InProcess: s})
	for name, c := range map[string]struct {
		options queue.Options
		want    ivd.Kind
	}{
		"with its authority":      {queue.Options{URL: "tls://" + address, CAFile: cert, CredsFile: creds(t, s, "m")}, ""},
		"by the socket":           {queue.Options{URL: queue.SocketURL(o.Socket)}, ""},
		"with another authority":  {queue.Options{URL: "tls://" + address, CredsFile: creds(t, s, "m")}, ivd.Denied},
		"without its credentials": {queue.Options{URL: "tls://" + address, CAFile: cert}, ivd.Denied},
	} {
		c.options.Mover = "m"
		q, err := queue.Connect(t.Context(), c.options)
		if ivd.KindOf(err) != c.want {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			t.Cleanup(q.Close)
			must(t, q.Beat(t.Context(), job.Mover{Version: job.Version, Name: "m"}))
		}
	}
	refused(t, broker.Options{Dir: t.TempDir(), Listen: "127.0.0.1:0", CertFile: cert, KeyFile: cert}, ivd.Invalid, "queue.tls")
}
