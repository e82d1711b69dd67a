package broker

import (
	"bytes"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"

	"ivdmover/shared/ivd"
	"ivdmover/shared/queue"
)

// The credentials of those who come from outside of this process, below Options.Creds.
const (
	moverCreds       = "mover.creds"
	coordinatorCreds = "coordinator.creds"
)

// answerTime is how long a mover may answer a request: calls of VDDK wait for vCenter.
const answerTime = 10 * time.Minute

// access decides who gets in, and what he may do there. A coordinator may do
// everything: this process, by its token, and who has coordinator.creds. A mover may do
// what queue.MoverRights says for the name that it gives: who comes by the socket, and
// who has mover.creds.
type access struct {
	token               string
	coordinator, movers string // public keys
	log                 *slog.Logger
}

func newAccess(dir string, log *slog.Logger) (*access, error) {
	a := &access{token: rand.Text(), log: log}
	for _, f := range []struct {
		name, who string
		public    *string
	}{{moverCreds, "movers, for queue.creds_file", &a.movers}, {coordinatorCreds, "another coordinator, for queue.creds_file", &a.coordinator}} {
		var err error
		if *f.public, err = keep(filepath.Join(dir, f.name), f.who); err != nil {
			return nil, &ivd.Error{Kind: ivd.Permanent, Op: "keep the queue's credentials", Err: err, Remedy: "check state_dir and its rights; a file that is removed is made anew, and its copies are void then"}
		}
	}
	return a, nil
}

// keep returns the public half of the key in a file, which is made where it is missing.
func keep(file, who string) (public string, err error) {
	text, err := os.ReadFile(file)
	if err == nil {
		key, err := nkeys.ParseDecoratedNKey(text)
		if err != nil {
			return "", fmt.Errorf("%s holds no key", file)
		}
		return key.PublicKey()
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	key, err := nkeys.CreateUser()
	if err != nil {
		return "", err
	}
	seed, err := key.Seed()
	if err != nil {
		return "", err
	}
	text = fmt.Appendf(nil, "# Lets into the queue of `ivd serve`: %s. Keep it secret.\n%s\n", who, seed)
	defer clear(text)
	next := file + ".new"
	if err := os.WriteFile(next, text, 0o600); err != nil {
		return "", err
	}
	if err := os.Rename(next, file); err != nil {
		return "", err
	}
	return key.PublicKey()
}

// Check lets a connection in.
func (a *access) Check(c server.ClientAuthentication) bool {
	o := c.GetOpts()
	switch {
	case o.Token != "":
		return subtle.ConstantTimeCompare([]byte(o.Token), []byte(a.token)) == 1 && admit(c, "coordinator", nil)
	case o.Nkey == "":
		return c.RemoteAddress() != nil && c.RemoteAddress().Network() == "pipe" && a.mover(c, o)
	case !signed(o, c.GetNonce()):
		return false
	case o.Nkey == a.coordinator:
		return admit(c, "coordinator", nil)
	}
	return o.Nkey == a.movers && a.mover(c, o)
}

// mover lets a mover in under the name that it gives.
func (a *access) mover(c server.ClientAuthentication, o *server.ClientOpts) bool {
	name, ok := queue.MoverOf(o.Name)
	if !ok {
		a.log.Warn("a connection with a mover's rights names no mover", "name", fmt.Sprintf("%.150q", o.Name))
		return false
	}
	r := queue.MoverRights(name)
	return admit(c, name, &server.Permissions{
		Publish:   &server.SubjectPermission{Allow: r.Publish},
		Subscribe: &server.SubjectPermission{Allow: r.Subscribe},
		Response:  &server.ResponsePermission{MaxMsgs: -1, Expires: answerTime},
	})
}

func admit(c server.ClientAuthentication, name string, p *server.Permissions) bool {
	c.RegisterUser(&server.User{Username: name, Permissions: p})
	return true
}

// signed reports whether a connection has signed the nonce that it was sent with the
// key that it names.
func signed(o *server.ClientOpts, nonce []byte) bool {
	key, err := nkeys.FromPublicKey(o.Nkey)
	if err != nil {
		return false
	}
	sig, err := base64.RawURLEncoding.DecodeString(o.Sig)
	return err == nil && len(bytes.TrimSpace(nonce)) > 0 && key.Verify(nonce, sig) == nil
}
