package inventory

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"ivdmover/shared/ivd"
)

// refusedRest is how long a password that the vCenter refused is not sent again. A
// vCenter locks an account, for everybody, after five wrong logins within three
// minutes: one in this time never does.
const refusedRest = 5 * time.Minute

// password is a vCenter's, for all sessions of this process. That it was refused is
// one fact for all: whoever wants to log in meanwhile is told so, and the vCenter is
// not asked, until the password is another one or refusedRest has passed.
type password struct {
	read func() (ivd.Secret, error)
	name string // of the vCenter
	log  *slog.Logger
	now  func() time.Time

	mu      sync.Mutex // held during a login: no two are tried at once
	good    bool       // guarded by mu, like all below: it was taken once
	refused ivd.Secret // what was refused last; empty: nothing
	until   time.Time  // for how long it is not tried again
}

func newPassword(cfg Config) *password {
	p := &password{read: cfg.ReadPassword, name: cfg.Name, log: cfg.Log, now: time.Now}
	if p.read == nil {
		p.read = func() (ivd.Secret, error) { return cfg.Password, nil }
	}
	return p
}

// use calls login with the password, unless that is known to be refused. Kind
// Withheld: it is, or its file cannot be read any more; whoever can wait does.
func (p *password) use(ctx context.Context, login func(ivd.Secret) error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if ctx.Err() != nil { // while another one logged in
		return context.Cause(ctx)
	}
	secret, err := p.read()
	if err != nil {
		if p.good {
			return &ivd.Error{Kind: ivd.Withheld, Err: err}
		}
		return err
	}
	if secret == p.refused && p.now().Before(p.until) {
		return p.withheld()
	}
	err = login(secret)
	switch {
	case err == nil:
		if p.refused != "" {
			p.log.Info("the vCenter takes the password again", "vcenter", p.name)
		}
		p.good, p.refused = true, ""
	case ivd.KindOf(err) == ivd.Denied:
		p.refused, p.until = secret, p.now().Add(refusedRest)
		if p.good { // else it is the start that fails
			p.log.Error("the vCenter refuses the login: it is not tried again, and what needs it waits, until its password_file changes or this time", "vcenter", p.name, "until", p.until, "err", err,
				"remedy", ivd.RemedyOf(p.withheld()))
			return fmt.Errorf("%w: %w", p.withheld(), err)
		}
	}
	return err
}

func (p *password) withheld() error {
	return &ivd.Error{
		Kind: ivd.Withheld, Op: "vCenter " + p.name, Err: errors.New("it refused the login, which is tried again at " + p.until.Format(time.TimeOnly)),
		Remedy: "write the right password to this vCenter's password_file: that is noticed at once",
	}
}
