package vcenter

import (
	"crypto/subtle"
	"sync"
	"time"
)

// As a vCenter's single sign-on has it unless somebody changes its policy: after
// five wrong logins within three minutes nobody gets in for five minutes.
const (
	maxWrong  = 5
	wrongLife = 3 * time.Minute
	lockTime  = 5 * time.Minute
)

// logins are the wrong ones.
type logins struct {
	mu       sync.Mutex
	wrong    int         // guarded by mu, like all below: since the start
	recent   []time.Time // those that count
	locked   time.Time   // until when nobody gets in
	password *string     // another one than at the start
}

// Authenticate reports whether a user gets in: with the right password, and while the
// account is not locked.
func (v *VCenter) Authenticate(user, password string) bool {
	l := &v.logins
	l.mu.Lock()
	defer l.mu.Unlock()
	want, now := v.o.Password, time.Now()
	if l.password != nil {
		want = *l.password
	}
	u := subtle.ConstantTimeCompare([]byte(user), []byte(v.o.Username))
	p := subtle.ConstantTimeCompare([]byte(password), []byte(want))
	if u&p == 1 && now.After(l.locked) {
		l.recent = nil
		return true
	}
	l.wrong++
	for len(l.recent) > 0 && now.Sub(l.recent[0]) > wrongLife {
		l.recent = l.recent[1:]
	}
	if l.recent = append(l.recent, now); len(l.recent) >= maxWrong {
		l.locked = now.Add(lockTime)
	}
	return false
}

// SetPassword changes the user's password; sessions go on.
func (v *VCenter) SetPassword(password string) {
	v.logins.mu.Lock()
	defer v.logins.mu.Unlock()
	v.logins.password = &password
}

// WrongLogins counts the logins that were refused since the start, and reports whether
// the account is locked.
func (v *VCenter) WrongLogins() (n int, locked bool) {
	v.logins.mu.Lock()
	defer v.logins.mu.Unlock()
	return v.logins.wrong, time.Now().Before(v.logins.locked)
}
