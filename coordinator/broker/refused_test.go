package broker_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"

	"ivdmover/shared/ivd"
	"ivdmover/shared/queue"
)

// door is who gets into some servers, and counts those who try.
type door struct {
	mu      sync.Mutex
	known   string // guarded by mu, like all below: the JWT or the public key that is let in
	refused int
}

func (d *door) Check(c server.ClientAuthentication) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	o := c.GetOpts()
	if o.JWT+o.Nkey != d.known {
		d.refused++
		return false
	}
	c.RegisterUser(&server.User{Username: "u"})
	return true
}

func (d *door) know(key string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.known = key
}

func (d *door) times() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.refused
}

// external is a NATS server of its own.
func external(t *testing.T, change func(*server.Options)) *server.Server {
	t.Helper()
	o := &server.Options{Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true, AlwaysEnableNonce: true}
	change(o)
	s, err := server.NewServer(o)
	must(t, err)
	go s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(30 * time.Second) {
		t.Fatal("the server does not start")
	}
	return s
}

// hangUp ends all connections.
func hangUp(t *testing.T, servers ...*server.Server) {
	t.Helper()
	for _, s := range servers {
		conns, err := s.Connz(nil)
		must(t, err)
		for _, c := range conns.Conns {
			must(t, s.DisconnectClientByID(c.Cid))
		}
	}
}

// credentials writes new ones, and returns what the door knows them by.
func credentials(t *testing.T, file string, jwt bool) string {
	t.Helper()
	pair, err := nkeys.CreateUser()
	must(t, err)
	seed, err := pair.Seed()
	must(t, err)
	public, err := pair.PublicKey()
	must(t, err)
	text := string(seed) + "\n"
	if jwt {
		text = fmt.Sprintf("-----BEGIN NATS USER JWT-----\nthe.jwt.%s\n------END NATS USER JWT------\n\n-----BEGIN USER NKEY SEED-----\n%s\n------END USER NKEY SEED------\n", public, seed)
		public = "the.jwt." + public
	}
	must(t, os.WriteFile(file+".new", []byte(text), 0o600))
	must(t, os.Rename(file+".new", file))
	return public
}

// Credentials that the server refuses later are sent once, to whichever server, and not
// again; one line of the log names the file; who needs the queue is told to wait, and it
// goes on when the file holds others.
func TestCredentialsThatAreRefusedLater(t *testing.T) {
	for _, c := range []struct {
		name    string
		jwt     bool
		servers int
	}{{"nkey", false, 1}, {"JWT", true, 1}, {"several servers", false, 3}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			file, d := filepath.Join(t.TempDir(), "creds"), &door{}
			d.know(credentials(t, file, c.jwt))
			var servers []*server.Server
			var urls []string
			for range c.servers {
				s := external(t, func(o *server.Options) {
					o.CustomClientAuthentication = d
					if c.jwt { // else it looks at none
						operator, err := nkeys.CreateOperator()
						must(t, err)
						public, err := operator.PublicKey()
						must(t, err)
						o.TrustedKeys, o.AccountResolver, o.JetStream = []string{public}, &server.MemAccResolver{}, false
					}
				})
				servers, urls = append(servers, s), append(urls, s.ClientURL())
			}
			said := &heard{}
			q, err := queue.Connect(ctx, queue.Options{
				URL: strings.Join(urls, ","), CredsFile: file, Patience: 4 * time.Second, Log: slog.New(slog.NewTextHandler(said, nil)),
			})
			must(t, err)
			t.Cleanup(q.Close)
			if !c.jwt {
				must(t, q.Setup(ctx))
			}
			d.know("nobody")
			hangUp(t, servers...)
			for d.times() == 0 {
				must(t, ctx.Err())
				time.Sleep(10 * time.Millisecond)
			}
			err = q.Setup(ctx)
			if ivd.KindOf(err) != ivd.Withheld || !strings.Contains(ivd.RemedyOf(err), file) {
				t.Errorf("%v; %s", err, ivd.RemedyOf(err))
			}
			if n := d.times(); n != 1 {
				t.Errorf("the refused credentials were sent %d times", n)
			}
			if n := said.count("level=ERROR", file, "remedy="); n != 1 || said.count("level=ERROR") != 1 {
				t.Errorf("want one line with the file:\n%s", said)
			}
			must(t, os.Remove(file)) // which is being replaced
			if err := q.Setup(ctx); ivd.KindOf(err) != ivd.Withheld {
				t.Errorf("without its file: %v", err)
			}
			must(t, os.WriteFile(file, []byte("nonsense"), 0o600))
			for said.count("level=ERROR", "neither a user's JWT", "remedy=") == 0 {
				must(t, ctx.Err())
				time.Sleep(10 * time.Millisecond)
			}
			if err := q.Setup(ctx); ivd.KindOf(err) != ivd.Withheld || !strings.Contains(err.Error(), "neither a user's JWT") || said.count("neither a user's JWT") != 1 {
				t.Errorf("with a file of something else: %v", err)
			}
			d.know(credentials(t, file, c.jwt))
			for said.count("takes the credentials again") == 0 {
				must(t, ctx.Err())
				time.Sleep(10 * time.Millisecond)
			}
			if n := d.times(); n != 1 {
				t.Errorf("%d refusals at the end", n)
			}
			if !c.jwt {
				must(t, q.Setup(ctx))
			}
		})
	}
}

// heard is a log of several goroutines.
type heard struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (h *heard) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.Write(p)
}

func (h *heard) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.String()
}

// count counts the lines with all of some words.
func (h *heard) count(words ...string) (n int) {
	for line := range strings.Lines(h.String()) {
		has := true
		for _, w := range words {
			has = has && strings.Contains(line, w)
		}
		if has {
			n++
		}
	}
	return n
}

// Credentials that are refused at once are wrong: they are sent once, though there are
// other servers, of which some are away.
func TestCredentialsThatAreRefusedAtOnce(t *testing.T) {
	file, d := filepath.Join(t.TempDir(), "creds"), &door{}
	credentials(t, file, false)
	d.know("nobody")
	url := "nats://127.0.0.1:1"
	for range 2 {
		url += "," + external(t, func(o *server.Options) { o.CustomClientAuthentication = d }).ClientURL()
	}
	for n := range 5 { // in any order of the servers
		_, err := queue.Connect(t.Context(), queue.Options{URL: url + ",nats://127.0.0.1:2", CredsFile: file})
		if ivd.KindOf(err) != ivd.Denied || !strings.Contains(ivd.RemedyOf(err), file) {
			t.Errorf("%v; %s", err, ivd.RemedyOf(err))
		}
		if d.times() != n+1 {
			t.Fatalf("sent %d times", d.times()-n)
		}
	}
}
