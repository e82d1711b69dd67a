package queue

import (
	"context"
	"crypto/hpke"
	"encoding/json"
	"fmt"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// A login is sealed (RFC 9180) with the hybrid of ML-KEM-768 and X25519: what is
// recorded on the wire today stays closed to machines to come.
func sealing() (hpke.KEM, hpke.KDF, hpke.AEAD) {
	return hpke.MLKEM768X25519(), hpke.HKDFSHA256(), hpke.AES256GCM()
}

// loginAnswer is what travels. It is never stored.
type loginAnswer struct {
	Version int          `json:"version"`
	Failure *ivd.Failure `json:"failure,omitempty"`
	Sealed  []byte       `json:"sealed,omitempty"`
}

// sealedLogin is a Login in the seal: Login itself does not marshal its secrets.
type sealedLogin struct {
	Server     string      `json:"server"`
	Port       int         `json:"port"`
	NFCPort    int         `json:"nfc_port"`
	User       string      `json:"user"`
	Password   string      `json:"password"`
	Cookie     string      `json:"cookie"`
	Thumbprint string      `json:"thumbprint"`
	Allows     *job.Allows `json:"allows,omitempty"`
}

// NewKey makes the key pair of a mover process. Its public half, PublicKey().Bytes(),
// belongs into the heartbeat, its private half stays in the process.
func NewKey() (hpke.PrivateKey, error) {
	kem, _, _ := sealing()
	key, err := kem.GenerateKey()
	if err != nil {
		return nil, fmt.Errorf("make a mover's key: %w", err)
	}
	return key, nil
}

// AskLogin asks the coordinators for the login of a disk; key is the private half
// of the key in this mover's heartbeat. Kind Transient: no coordinator answers.
func (q *Queue) AskLogin(ctx context.Context, req job.LoginRequest, key hpke.PrivateKey) (job.Login, error) {
	op := fmt.Sprintf("ask for the login of disk %s", req.Disk.ID())
	subject, err := loginSubject(req.Disk.Source())
	if err != nil {
		return job.Login{}, err
	}
	var a loginAnswer
	if err := q.ask(ctx, op, subject, fmt.Sprintf("no coordinator of source %s", req.Disk.Source()), req, &a); err != nil {
		return job.Login{}, err
	}
	if err := a.Failure.Err(); err != nil {
		return job.Login{}, &ivd.Error{Op: op, Err: err}
	}
	login, err := openLogin(req, key, a.Sealed)
	if err != nil {
		return job.Login{}, &ivd.Error{Kind: ivd.Denied, Op: op, Err: err}
	}
	return login, nil
}

// ServeLogins answers movers' questions for logins to these sources, to all of them
// where none is named, from now until stop is called, or ctx or the queue ends, as
// ServeRequests does. Coordinators on one queue share the questions for a source
// that they have in common. The answer is sealed to the key in the heartbeat of
// the mover that is named, so who asks in another's name cannot read it.
func (q *Queue) ServeLogins(ctx context.Context, login func(context.Context, job.LoginRequest) (job.Login, error), sources ...ivd.SourceID) (stop func(), err error) {
	subjects := []string{anyLogin}
	if len(sources) > 0 {
		subjects = nil
	}
	for _, id := range sources {
		s, err := loginSubject(id)
		if err != nil {
			return nil, err
		}
		subjects = append(subjects, s)
	}
	var stops []func()
	stop = func() {
		for _, end := range stops {
			end()
		}
	}
	for _, s := range subjects {
		end, err := q.serve(ctx, s, func(ctx context.Context, body []byte) any {
			sealed, err := q.answerLogin(ctx, body, login)
			return loginAnswer{Version: job.Version, Failure: ivd.FailureOf(err), Sealed: sealed}
		})
		if err != nil {
			stop()
			return nil, err
		}
		stops = append(stops, end)
	}
	return stop, nil
}

func (q *Queue) answerLogin(ctx context.Context, body []byte, login func(context.Context, job.LoginRequest) (job.Login, error)) ([]byte, error) {
	var req job.LoginRequest
	if err := decode("question for a login", body, &req); err != nil {
		return nil, err
	}
	m, err := q.Mover(ctx, req.Mover)
	if ivd.KindOf(err) == ivd.NotFound {
		return nil, ivd.Errorf(ivd.Transient, "mover %s has no heartbeat, so there is no key to seal a login to", req.Mover)
	}
	if err != nil {
		return nil, err
	}
	if m.Process != req.Process {
		return nil, ivd.Errorf(ivd.Conflict, "the heartbeat of mover %s is of another process; is there a second mover of this name?", req.Mover)
	}
	l, err := login(ctx, req)
	if err != nil {
		return nil, err
	}
	return sealLogin(req, m.PublicKey, l)
}

func sealLogin(req job.LoginRequest, publicKey []byte, l job.Login) ([]byte, error) {
	kem, kdf, aead := sealing()
	pub, err := kem.NewPublicKey(publicKey)
	if err != nil {
		return nil, ivd.Errorf(ivd.Invalid, "the key in the heartbeat of mover %s: %w", req.Mover, err)
	}
	plain, err := json.Marshal(sealedLogin{
		Server: l.Server, Port: l.Port, NFCPort: l.NFCPort, User: l.User,
		Password: l.Password.Reveal(), Cookie: l.Cookie.Reveal(), Thumbprint: l.Thumbprint,
		Allows: l.Allows,
	})
	if err != nil {
		return nil, fmt.Errorf("seal a login: %w", err)
	}
	sealed, err := hpke.Seal(pub, kdf, aead, loginInfo(req), plain)
	if err != nil {
		return nil, fmt.Errorf("seal a login: %w", err)
	}
	return sealed, nil
}

func openLogin(req job.LoginRequest, key hpke.PrivateKey, sealed []byte) (job.Login, error) {
	_, kdf, aead := sealing()
	plain, err := hpke.Open(key, kdf, aead, loginInfo(req), sealed)
	if err != nil {
		return job.Login{}, fmt.Errorf("the answer is not sealed to this mover and disk: %w", err)
	}
	var s sealedLogin
	if err := json.Unmarshal(plain, &s); err != nil {
		return job.Login{}, fmt.Errorf("the answer is no login") // the decoder's error could quote it
	}
	return job.Login{
		Server: s.Server, Port: s.Port, NFCPort: s.NFCPort, User: s.User,
		Password: ivd.Secret(s.Password), Cookie: ivd.Secret(s.Cookie), Thumbprint: s.Thumbprint,
		Allows: s.Allows,
	}, nil
}

// loginInfo binds the seal to what was asked: an answer for one disk does not
// open as that for another. Quoting keeps the parts apart.
func loginInfo(req job.LoginRequest) []byte {
	return fmt.Appendf(nil, "ivd login %d %q %q %q %q %q %q", job.Version,
		req.Mover, req.Process, req.Run, req.Disk.Source(), req.Disk.Datastore(), req.Disk.ID())
}
