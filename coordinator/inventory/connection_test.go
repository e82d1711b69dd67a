package inventory

import (
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"

	"ivdmover/deploy/lab"
	"ivdmover/shared/ivd"
)

// Connections are kept for as many calls as a run makes at once: to make one costs both
// sides more than a call does.
func TestConnectionsAreKept(t *testing.T) {
	l, err := lab.Start(t.Context(), lab.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	r := l.Ready()
	address, made := countConnections(t, r.URL)
	v := connect(t, Config{Name: "lab", URL: address, Username: r.Username, Password: ivd.Secret(r.Password), Thumbprint: r.Thumbprint})
	const atOnce, rounds = 16, 10
	made.Store(0)
	for range rounds {
		var calls errgroup.Group
		for range atOnce {
			calls.Go(func() error { return v.Answers(t.Context()) })
		}
		if err := calls.Wait(); err != nil {
			t.Fatal(err)
		}
	}
	if n := made.Load(); n > 2*atOnce {
		t.Errorf("%d connections for %d times %d calls at once", n, rounds, atOnce)
	}
}

// countConnections stands before a server and counts the connections to it.
func countConnections(t *testing.T, target string) (address string, made *atomic.Int64) {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	server := u.Host
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	made = &atomic.Int64{}
	var open sync.WaitGroup
	open.Go(func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return
			}
			made.Add(1)
			to, err := net.Dial("tcp", server)
			if err != nil {
				_ = from.Close()
				continue
			}
			for _, way := range [][2]net.Conn{{from, to}, {to, from}} {
				open.Go(func() {
					_, _ = io.Copy(way[0], way[1]) // the one that ends first ends the other
					_, _ = way[0].Close(), way[1].Close()
				})
			}
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		open.Wait()
	})
	u.Host = listener.Addr().String()
	return u.String(), made
}
