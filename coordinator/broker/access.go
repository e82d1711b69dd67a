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

// The credentials of those who come from outside of this process, below Options.Creds:
// another coordinator's, and a folder with each mover's own.
const (
	coordinatorCreds = "coordinator.creds"
	moversFolder     = "movers"
)

// answerTime is how long a mover may answer a request: calls of VDDK wait for vCenter.
const answerTime = 10 * time.Minute

// access decides who gets in, and what he may do there. A coordinator may do
// everything: this process, by its token, and who has coordinator.creds. A mover may do
// what queue.MoverRights says for the name that it gives: who comes by the socket, and
// who has the credentials of that very name.
type access struct {
	token       string
	coordinator string // its public key
	dir         string
	log         *slog.Logger
}

func newAccess(dir string, log *slog.Logger) (a *access, err error) {
	a = &access{token: rand.Text(), dir: dir, log: log}
	if a.coordinator, err = keep(filepath.Join(dir, coordinatorCreds), "another coordinator, for queue.creds_file"); err != nil {
		return nil, notKept(err)
	}
	return a, nil
}

func notKept(err error) error {
	return &ivd.Error{Kind: ivd.Permanent, Op: "keep the queue's credentials", Err: err, Remedy: "check state_dir and its rights; a file that is removed is made anew, and its copies are void then"}
}

// MoverCreds is the file that lets a mover of that name in at the listener of a server
// with these credentials, which need not run. It is made where it is missing; a mover
// whose file is removed is not let in any more.
func MoverCreds(creds, name string) (file string, err error) {
	if !queue.IsMover(name) {
		return "", &ivd.Error{Kind: ivd.Invalid, Err: fmt.Errorf("%q is no name of a mover", name), Remedy: "give mover.name as in the mover's configuration: letters, digits, '-', '_' and single dots between them"}
	}
	file = moverFile(creds, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return "", notKept(err)
	}
	if _, err := keep(file, "mover "+name+", for queue.creds_file"); err != nil {
		return "", notKept(err)
	}
	return file, nil
}

func moverFile(creds, name string) string {
	return filepath.Join(creds, moversFolder, name+".creds")
}

// publicOf returns the public half of the key in a file.
func publicOf(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	defer clear(text)
	key, err := nkeys.ParseDecoratedNKey(text)
	if err != nil {
		return "", fmt.Errorf("%s holds no key", file)
	}
	return key.PublicKey()
}

// keep returns the public half of the key in a file, which is made where it is missing.
func keep(file, who string) (public string, err error) {
	if public, err = publicOf(file); !errors.Is(err, fs.ErrNotExist) {
		return public, err
	}
	key, err := nkeys.CreateUser()
	if err != nil {
		return "", err
	}
	seed, err := key.Seed()
	if err != nil {
		return "", err
	}
	text := fmt.Appendf(nil, "# Lets into the queue of `ivd serve`: %s. Keep it secret.\n%s\n", who, seed)
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
		return c.RemoteAddress() != nil && c.RemoteAddress().Network() == "pipe" && a.mover(c, o, false)
	case !signed(o, c.GetNonce()):
		return false
	case o.Nkey == a.coordinator:
		return admit(c, "coordinator", nil)
	}
	return a.mover(c, o, true)
}

// mover lets a mover in under the name that it gives, proven by its key or not: who comes
// by the socket can read all keys.
func (a *access) mover(c server.ClientAuthentication, o *server.ClientOpts, proven bool) bool {
	name, ok := queue.MoverOf(o.Name)
	if !ok {
		a.log.Warn("a connection with a mover's rights names no mover", "name", fmt.Sprintf("%.150q", o.Name))
		return false
	}
	if proven {
		public, err := publicOf(moverFile(a.dir, name))
		if err != nil || public != o.Nkey {
			a.log.Warn("a connection in the name of a mover has not its key", "mover", name, "remedy", "copy the file that `ivd movers add` names to that mover's host")
			return false
		}
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
