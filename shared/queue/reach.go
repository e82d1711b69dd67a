package queue

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"strings"

	"github.com/nats-io/nats.go"

	"ivdmover/shared/ivd"
)

// reach makes the first connection: to one server of the URL after the other, in any
// order, since the library would tell of the last one only. One that refuses the
// credentials refuses them for all.
func reach(o Options, opts []nats.Option) (nc *nats.Conn, err error) {
	servers := strings.Split(strings.ReplaceAll(o.server(), " ", ""), ",")
	rand.Shuffle(len(servers), func(i, j int) { servers[i], servers[j] = servers[j], servers[i] })
	for _, s := range servers {
		one, failed := nats.Connect(s, opts...)
		if failed != nil {
			failed = connectError(o, s, failed)
			if err == nil || ivd.KindOf(err) == ivd.Transient {
				err = failed // what time does not heal is told first
			}
			if isAny(failed, refusals...) {
				return nil, failed
			}
			continue
		}
		if len(servers) > 1 {
			if err := one.SetServerPool(servers); err != nil {
				one.Close()
				return nil, connectError(o, o.URL, err)
			}
		}
		return one, nil
	}
	return nil, err
}

// connectError is why a server could not be reached.
func connectError(o Options, server string, err error) error {
	op := "connect to the queue at " + redactedURL(server)
	switch {
	case o.InProcess != nil:
		op = "connect to the queue of this process"
	case o.socket() != "":
		op = "connect to the queue at " + redactedURL(o.URL)
	}
	kind, remedy := classify(err)
	switch {
	case kind != ivd.Transient:
		if isAny(err, refusals...) && o.CredsFile == "" {
			remedy = "set queue.creds_file: this server wants credentials"
		} else if isAny(err, refusals...) {
			remedy = "write credentials that this server knows to " + o.CredsFile
		}
	case o.InProcess != nil:
	case o.socket() != "":
		remedy = "start `ivd serve` with the same state_dir, as the same user; a mover on another host needs queue.url"
	default:
		kind, remedy, err = mismatch(server, err)
	}
	return &ivd.Error{Kind: kind, Op: op, Err: err, Remedy: remedy}
}

// mismatch tells two sides that do not speak the same, in TLS or at all, from a server
// that is away.
func mismatch(server string, err error) (ivd.Kind, string, error) {
	u, parseErr := url.Parse(server)
	if parseErr != nil {
		return ivd.Invalid, "write queue.url as nats://HOST:4222 or tls://HOST:4222", errors.New("it is no URL")
	}
	web, text := strings.HasPrefix(u.Scheme, "ws"), err.Error()
	var record tls.RecordHeaderError
	switch {
	case errors.Is(err, nats.ErrSecureConnWanted):
		return ivd.Invalid, "begin queue.url with nats:// and leave queue.ca_file out, or turn TLS on at the server (tls in its configuration, queue.tls for the one of `ivd serve`)", errors.New("this server has no TLS, and tls:// of queue.url, or queue.ca_file, asks for it")
	case web && (errors.As(err, &record) || strings.Contains(text, "does not look like a TLS handshake")):
		return ivd.Invalid, "begin queue.url with ws:// and leave queue.ca_file out, or turn TLS on at the server", errors.New("this server has no TLS, and wss:// of queue.url, or queue.ca_file, asks for it")
	case web && u.Scheme == "ws" && speaksTLS(u):
		return ivd.Invalid, "begin queue.url with wss://", errors.New("this server has TLS, and queue.url is without (ws://)")
	case strings.Contains(text, "certificate required"), strings.Contains(text, "bad certificate"), strings.Contains(text, "closed by remote after TLS handshake"):
		return ivd.Denied, "turn verify off for this listener of the server, and let clients in by queue.creds_file: ivd has no client's certificate", err
	case strings.Contains(text, "tls:"), strings.Contains(text, "x509:"):
		return ivd.Denied, "check queue.ca_file and that queue.url names the server as its certificate does", err
	case errors.Is(err, nats.ErrNoInfoReceived):
		return ivd.Invalid, "name the port of a NATS server's clients in queue.url (4222 by default)", errors.New("what answers there is no NATS server")
	case isAny(err, os.ErrDeadlineExceeded, io.EOF) && speaksTLS(u):
		return ivd.Invalid, "name the port of a NATS server's clients in queue.url; where it is one, write handshake_first: auto into the tls block of its configuration", errors.New("this server begins with TLS before it says a word, as HTTPS does and a NATS server with handshake_first")
	}
	return ivd.Transient, "check that the NATS server runs there, that queue.url is right and that no firewall is between", err
}

// speaksTLS reports whether a server answers the first words of TLS.
func speaksTLS(u *url.URL) bool {
	ctx, cancel := context.WithTimeout(context.Background(), tryTimeout)
	defer cancel()
	port := u.Port()
	if port == "" {
		port = map[string]string{"ws": "80", "wss": "443"}[u.Scheme]
	}
	if port == "" {
		port = fmt.Sprint(nats.DefaultPort)
	}
	d := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // nothing is sent: it is whether, not who
	c, err := d.DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err == nil {
		_ = c.Close()
	}
	return err == nil
}

// redactedURL is a list of URLs without the passwords that may stand in it.
func redactedURL(urls string) string {
	parts := strings.Split(urls, ",")
	for i, p := range parts {
		if u, err := url.Parse(strings.TrimSpace(p)); err == nil {
			parts[i] = u.Redacted()
		} else {
			parts[i] = "[unreadable URL]"
		}
	}
	return strings.Join(parts, ",")
}
