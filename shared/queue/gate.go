package queue

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"ivdmover/shared/ivd"
)

// refusedFor is how long credentials that the server has refused are not sent again,
// unless their file changes. Servers that ask a directory get accounts locked otherwise,
// and the library would try again each second.
const refusedFor = 2 * time.Minute

// errTrying: whether the last attempt was let in is told within a moment.
var errTrying = ivd.Errorf(ivd.Transient, "the server has not answered the credentials yet")

// gate is who gets into the queue: the credentials of a file, which is read at each
// attempt, or nobody in particular. It is the library's dialer: while the server is known
// to refuse them, nothing is dialled. Its methods are safe for concurrent use.
type gate struct {
	file string // empty: there are none
	next dialer
	log  *slog.Logger
	now  func() time.Time

	mu      sync.Mutex
	nc      *nats.Conn        // guarded by mu, like all below; nil before the first connection
	loaded  [sha256.Size]byte // of the file, as the library has it
	sent    time.Time         // when it was sent; zero: the outcome is known
	refusal *ivd.Error        // why nothing is dialled; nil: nothing was refused
	of      [sha256.Size]byte // what was refused
	until   time.Time         // for how long
}

type dialer interface {
	Dial(network, address string) (net.Conn, error)
}

// Dial connects, unless the credentials are known to be refused. The library holds its
// lock meanwhile.
func (g *gate) Dial(network, address string) (net.Conn, error) {
	if err := g.open(); err != nil {
		return nil, err
	}
	return g.next.Dial(network, address)
}

// open is why nothing is to be dialled, or gives the library what the file holds now.
func (g *gate) open() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.nc == nil {
		return nil // whoever connects for the first time has read the file
	}
	if g.now().Sub(g.sent) < tryTimeout {
		return errTrying
	}
	text, err := g.read()
	defer clear(text)
	if err == nil && g.refusal != nil && sha256.Sum256(text) == g.of && g.now().Before(g.until) {
		return g.refusal
	}
	if err == nil {
		err = g.setLocked(&g.nc.Opts, text)
	}
	if err != nil {
		tell := g.refusal == nil || g.refusal.Err.Error() != err.Error()
		g.closeLocked(tell, &ivd.Error{Kind: ivd.Withheld, Op: "queue", Err: err, Remedy: ivd.RemedyOf(err)}, [sha256.Size]byte{})
		return g.refusal
	}
	return nil
}

// read reads the file; nothing where there is none.
func (g *gate) read() ([]byte, error) {
	if g.file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(g.file)
	if err != nil {
		return nil, unreadable("queue.creds_file", err)
	}
	return text, nil
}

// set is a nats.Option.
func (g *gate) set(o *nats.Options) error {
	text, err := g.read()
	if err != nil {
		return err
	}
	defer clear(text)
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.setLocked(o, text)
}

// setLocked gives the library the credentials in text: a user's JWT with its seed, or the
// seed of an nkey alone.
func (g *gate) setLocked(o *nats.Options, text []byte) error {
	g.loaded = sha256.Sum256(text)
	if g.file == "" {
		return nil
	}
	var from nats.Options
	creds, err := nats.UserCredentials(g.file), error(nil)
	if !bytes.Contains(text, []byte("USER JWT")) {
		creds, err = nats.NkeyOptionFromSeed(g.file)
	}
	if err == nil {
		err = creds(&from)
	}
	if err != nil { // it may quote what it has read
		return g.useless()
	}
	o.UserJWT, o.Nkey = from.UserJWT, from.Nkey
	o.SignatureCB = func(nonce []byte) ([]byte, error) { return g.sign(nonce, from.SignatureCB) }
	return nil
}

func (g *gate) useless() error {
	return &ivd.Error{
		Kind: ivd.Invalid, Op: "queue.creds_file " + g.file, Err: errors.New("it has neither a user's JWT nor the seed of an nkey"),
		Remedy: "name a file that nsc or nk has made for a user, or the one that `ivd movers add` has made",
	}
}

// sign signs what the server wants signed. With it the credentials are on their way.
func (g *gate) sign(nonce []byte, by nats.SignatureHandler) ([]byte, error) {
	text, err := g.read()
	if err != nil {
		return nil, err
	}
	defer clear(text)
	g.mu.Lock()
	defer g.mu.Unlock()
	if sha256.Sum256(text) != g.loaded {
		return nil, ivd.Errorf(ivd.Transient, "queue.creds_file %s was changed just now", g.file)
	}
	if g.nc != nil {
		g.sent = g.now()
	}
	return by(nonce)
}

// failed takes what the library says of an attempt, or of a connection, that has failed.
// It reports whether the log has all that there is to say.
func (g *gate) failed(err error) (told bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.sent = time.Time{}
	if !isAny(err, refusals...) {
		return false
	}
	what, remedy := "the server wants credentials", "set queue.creds_file, and start the program again"
	if g.file != "" {
		what, remedy = "the server refuses the credentials of "+g.file, "write credentials that the server knows to "+g.file+": that is noticed within seconds"
	}
	tell := g.refusal == nil || g.of != g.loaded || !g.now().Before(g.until)
	g.until = g.now().Add(refusedFor)
	g.closeLocked(tell, &ivd.Error{
		Kind: ivd.Withheld, Op: "queue", Err: fmt.Errorf("%s; they are tried again at %s: %w", what, g.until.Format(time.TimeOnly), err), Remedy: remedy,
	}, g.loaded)
	return true
}

// closeLocked has nothing dialled, and says why where the log does not have it.
func (g *gate) closeLocked(tell bool, why *ivd.Error, of [sha256.Size]byte) {
	if tell {
		g.log.Error("the queue cannot be reached, and what needs it waits, until queue.creds_file changes or some minutes have passed", "file", g.file, "err", why, "remedy", why.Remedy)
	}
	g.refusal, g.of = why, of
}

// passed notes that the server has let the process in.
func (g *gate) passed(nc *nats.Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.refusal != nil {
		g.log.Info("the queue's server takes the credentials again", "file", g.file)
	}
	g.nc, g.sent, g.refusal = nc, time.Time{}, nil
}

// trouble is why nothing is dialled.
func (g *gate) trouble() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.refusal == nil {
		return nil // and no pointer that is nil
	}
	return g.refusal
}

// refusals are the library's errors for credentials that are wrong, or are no longer
// good.
var refusals = []error{nats.ErrAuthorization, nats.ErrAuthExpired, nats.ErrAuthRevoked, nats.ErrAccountAuthExpired}
