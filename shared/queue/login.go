package queue

import (
	"context"
	"encoding/json"
	"fmt"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/sealed"
)

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
	Warrant    job.Warrant `json:"warrant,omitempty"`
}

// AskLogin asks the coordinators for the login of a disk; key is the private half
// of the key in this mover's heartbeat. Kind Transient: no coordinator answers.
func (q *Queue) AskLogin(ctx context.Context, req job.LoginRequest, key *sealed.Key) (job.Login, error) {
	op := fmt.Sprintf("ask for the login of disk %s", req.Disk.ID())
	subject, err := loginSubject(req.Disk.Source(), req.Mover)
	if err := firstError(err, checkMover(req.Mover)); err != nil {
		return job.Login{}, err
	}
	plain, err := q.askSealed(ctx, op, subject, fmt.Sprintf("no coordinator of source %s", req.Disk.Source()), req, loginQuestion(req), key)
	if err != nil {
		return job.Login{}, err
	}
	login, err := decodeLogin(plain)
	if err != nil {
		return job.Login{}, &ivd.Error{Kind: ivd.Denied, Op: op, Err: err}
	}
	return login, nil
}

// ServeLogins answers movers' questions for logins to these sources, to all of them
// where none is named, from now until stop is called, or ctx or the queue ends, as
// ServeRequests does; login gets the mover's heartbeat. Coordinators on one queue share the questions for a source
// that they have in common. The answer is sealed to the key in the heartbeat of
// the mover that is named, which is the one that the subject names.
func (q *Queue) ServeLogins(ctx context.Context, login func(context.Context, job.LoginRequest, job.Mover) (job.Login, error), sources ...ivd.SourceID) (stop func(), err error) {
	subjects := []string{anyLogin}
	if len(sources) > 0 {
		subjects = nil
	}
	for _, id := range sources {
		s, err := loginSubject(id, "*")
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
		end, err := q.serveSealed(ctx, s, func(ctx context.Context, subject string, body []byte) ([]byte, error) {
			return q.answerLogin(ctx, subject, body, login)
		})
		if err != nil {
			stop()
			return nil, err
		}
		stops = append(stops, end)
	}
	return stop, nil
}

func (q *Queue) answerLogin(ctx context.Context, subject string, body []byte, login func(context.Context, job.LoginRequest, job.Mover) (job.Login, error)) ([]byte, error) {
	var req job.LoginRequest
	if err := decode("question for a login", body, &req); err != nil {
		return nil, err
	}
	m, err := q.asker(ctx, subject, req.Mover, req.Process)
	if err != nil {
		return nil, err
	}
	l, err := login(ctx, req, m)
	if err != nil {
		return nil, err
	}
	return sealLogin(req, m.PublicKey, l)
}

func sealLogin(req job.LoginRequest, publicKey []byte, l job.Login) ([]byte, error) {
	plain, err := json.Marshal(sealedLogin{
		Server: l.Server, Port: l.Port, NFCPort: l.NFCPort, User: l.User,
		Password: l.Password.Reveal(), Cookie: l.Cookie.Reveal(), Thumbprint: l.Thumbprint,
		Allows: l.Allows, Warrant: l.Warrant,
	})
	if err != nil {
		return nil, fmt.Errorf("seal a login: %w", err)
	}
	return sealTo(req.Mover, publicKey, loginQuestion(req), plain)
}

func openLogin(req job.LoginRequest, key *sealed.Key, answer []byte) (job.Login, error) {
	plain, err := key.Open(loginQuestion(req), answer)
	if err != nil {
		return job.Login{}, err
	}
	return decodeLogin(plain)
}

func decodeLogin(plain []byte) (job.Login, error) {
	var s sealedLogin
	if err := json.Unmarshal(plain, &s); err != nil {
		return job.Login{}, fmt.Errorf("the answer is no login") // the decoder's error could quote it
	}
	return job.Login{
		Server: s.Server, Port: s.Port, NFCPort: s.NFCPort, User: s.User,
		Password: ivd.Secret(s.Password), Cookie: ivd.Secret(s.Cookie), Thumbprint: s.Thumbprint,
		Allows: s.Allows, Warrant: s.Warrant,
	}, nil
}

// loginQuestion is what an answer is bound to: one for one disk does not open as
// that for another.
func loginQuestion(req job.LoginRequest) sealed.Question {
	return sealed.About("login", job.Version, req.Mover, req.Process, string(req.Run), string(req.Job),
		string(req.Disk.Source()), string(req.Disk.Datastore()), string(req.Disk.ID()))
}
