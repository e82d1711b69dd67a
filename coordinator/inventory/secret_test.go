package inventory

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"ivdmover/deploy/lab"
	"ivdmover/shared/ivd"
)

// A refused login is one fact for both sessions, whoever asks: it is not tried again
// until the password changes or its time has passed.
func TestRefusedPasswordIsNotTriedAgain(t *testing.T) {
	ctx := t.Context()
	var mu sync.Mutex
	secret, gone := ivd.Secret("old"), error(nil)
	set := func(s ivd.Secret, err error) { mu.Lock(); secret, gone = s, err; mu.Unlock() }
	l, err := lab.Start(ctx, lab.Options{Dir: t.TempDir(), Password: "old"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	var log bytes.Buffer
	r := l.Ready()
	v := connect(t, Config{
		Name: "lab", URL: r.URL, Username: r.Username, Thumbprint: r.Thumbprint, Log: slog.New(slog.NewTextHandler(&log, nil)),
		ReadPassword: func() (ivd.Secret, error) { mu.Lock(); defer mu.Unlock(); return secret, gone },
	})
	now := time.Now()
	v.own.secret.now = func() time.Time { return now }
	if _, err := v.Login(ctx); err != nil {
		t.Fatal(err)
	}
	l.SetPassword("new")
	for _, s := range []*session{v.own, v.movers} { // the vCenter has ended both
		s.soap.Jar.SetCookies(s.soap.URL(), cookies("gone"))
	}
	ask := func(what string, kind ivd.Kind, wrong int) {
		t.Helper()
		var all sync.WaitGroup
		for range 12 {
			all.Go(func() {
				_, err := v.Datastores(ctx)
				_, errLogin := v.Login(ctx)
				if ivd.KindOf(err) != kind || ivd.KindOf(errLogin) != kind {
					t.Errorf("%s: %v; %v", what, err, errLogin)
				}
				if kind != "" && ivd.RemedyOf(err) == "" {
					t.Errorf("%s: no remedy: %v", what, err)
				}
			})
		}
		all.Wait()
		if got := l.Report().Wrong; got != wrong {
			t.Errorf("%s: %d wrong logins, want %d", what, got, wrong)
		}
	}
	ask("changed", ivd.Withheld, 1)
	now = now.Add(refusedRest - time.Second)
	ask("still", ivd.Withheld, 1)
	now = now.Add(2 * time.Second)
	ask("after its time", ivd.Withheld, 2)
	set("another wrong one", nil)
	ask("another wrong one", ivd.Withheld, 3)
	set("", &ivd.Error{Kind: ivd.Invalid, Err: errors.New("the file is empty"), Remedy: "write it"})
	ask("while the file is written", ivd.Withheld, 3)
	set("new", nil)
	ask("corrected", "", 3)
	if n := strings.Count(log.String(), "refuses the login"); n != 3 || !strings.Contains(log.String(), "takes the password again") {
		t.Errorf("%d lines of refusals:\n%s", n, log.String())
	}
}

// The laboratory locks the account after five wrong logins, for the right password too.
func TestWrongLoginsLockTheAccount(t *testing.T) {
	l, err := lab.Start(t.Context(), lab.Options{Dir: t.TempDir(), Password: "right"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	r := l.Ready()
	try := func(p ivd.Secret) error {
		v, err := Connect(t.Context(), Config{Name: "lab", URL: r.URL, Username: r.Username, Thumbprint: r.Thumbprint, Password: p})
		if err == nil {
			err = v.Close()
		}
		return err
	}
	for range 4 {
		wantKind(t, "wrong", try("wrong"), ivd.Denied)
	}
	if err := try("right"); err != nil {
		t.Errorf("after four: %v", err)
	}
	for range 5 {
		wantKind(t, "wrong", try("wrong"), ivd.Denied)
	}
	wantKind(t, "the right one, once it is locked", try("right"), ivd.Denied)
	if got := l.Report(); got.Wrong != 10 || !got.Locked {
		t.Errorf("%d wrong, locked: %v", got.Wrong, got.Locked)
	}
}
