package broker_test

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"ivdmover/shared/ivd"
	"ivdmover/shared/queue"
)

// With TLS on one side and not on the other, or with something else at the port, one line
// says what is wrong and what to do.
func TestTLSOnOneSideOnly(t *testing.T) {
	cert, key := certificate(t)
	pair, err := tls.LoadX509KeyPair(cert, key)
	must(t, err)
	config := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	at := func(change func(*server.Options)) string { return external(t, change).Addr().String() }
	plain := at(func(*server.Options) {})
	secure := at(func(o *server.Options) { o.TLS, o.TLSConfig = true, config })
	verifying := at(func(o *server.Options) {
		c := config.Clone()
		c.ClientAuth = tls.RequireAndVerifyClientCert
		o.TLS, o.TLSVerify, o.TLSConfig = true, true, c
	})
	first := at(func(o *server.Options) { o.TLS, o.TLSConfig, o.TLSHandshakeFirst = true, config, true })
	web := func(secure bool) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err)
		must(t, l.Close())
		external(t, func(o *server.Options) {
			o.Websocket = server.WebsocketOpts{Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port, NoTLS: !secure}
			if secure {
				o.Websocket.TLSConfig = config
			}
		})
		return l.Addr().String()
	}
	webPlain, webSecure := web(false), web(true)
	https := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(https.Close)
	http := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(http.Close)

	for _, c := range []struct {
		name, url string
		ca        string
		kind      ivd.Kind
		remedy    string
	}{
		{"plain", "nats://" + plain, "", "", ""},
		{"TLS at a plain server", "tls://" + plain, cert, ivd.Invalid, "begin queue.url with nats://"},
		{"an authority for a plain server", "nats://" + plain, cert, ivd.Invalid, "leave queue.ca_file out"},
		{"TLS", "tls://" + secure, cert, "", ""},
		{"TLS that the URL does not ask for", "nats://" + secure, cert, "", ""}, // the server asks for it
		{"plain at a server with TLS of an unknown authority", "nats://" + secure, "", ivd.Denied, "queue.ca_file"},
		{"a server that wants a client's certificate", "tls://" + verifying, cert, ivd.Denied, "turn verify off"},
		{"plain at a server that begins with TLS", "nats://" + first, cert, ivd.Invalid, "handshake_first: auto"},
		{"TLS at a server that begins with TLS", "tls://" + first, cert, ivd.Invalid, "handshake_first: auto"},
		{"WebSocket", "ws://" + webPlain, "", "", ""},
		{"WebSocket with TLS at a plain one", "wss://" + webPlain, cert, ivd.Invalid, "begin queue.url with ws://"},
		{"WebSocket with TLS", "wss://" + webSecure, cert, "", ""},
		{"a plain WebSocket at one with TLS", "ws://" + webSecure, "", ivd.Invalid, "begin queue.url with wss://"},
		{"HTTPS", "tls://" + https.Listener.Addr().String(), cert, ivd.Invalid, "port of a NATS server's clients"},
		{"HTTP", "nats://" + http.Listener.Addr().String(), "", ivd.Transient, "queue.url is right"},
		{"of several servers, one is plain and one away", "tls://127.0.0.1:1,tls://" + plain + ",tls://127.0.0.1:2", cert, ivd.Invalid, "begin queue.url with nats://"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			q, err := queue.Connect(t.Context(), queue.Options{URL: c.url, CAFile: c.ca})
			if err == nil {
				t.Cleanup(q.Close)
			}
			if (err == nil) != (c.kind == "") || ivd.KindOf(err) != c.kind {
				t.Fatalf("%v (kind %q), want kind %q", err, ivd.KindOf(err), c.kind)
			}
			if err == nil {
				return
			}
			if text := err.Error(); strings.Contains(text, "\n") || !strings.HasPrefix(text, "connect to the queue at ") {
				t.Errorf("says %q", text)
			}
			if !strings.Contains(ivd.RemedyOf(err), c.remedy) {
				t.Errorf("%v: remedy %q, want %q", err, ivd.RemedyOf(err), c.remedy)
			}
		})
	}
}
