package s3

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"ivdmover/shared/ivd"
)

// refusedFor is how long nothing is sent with a key that was refused, unless there is
// another one: services lock accounts that are tried again and again.
const refusedFor = 5 * time.Minute

// keyring is the key of all requests of a store. Once the service has refused it, it is
// read again where it came from; until there is another one, requests fail with the
// refusal, and nothing is sent. A key that is tried is tried by one request, for which
// the others wait. It is a credentials.Provider.
type keyring struct {
	read    func() (credentials.Value, error)
	expired func() bool   // the key should be read again; nil: it lasts for ever
	rest    time.Duration // how long where the key comes from is left alone after it was asked
	from    string        // where that is, for people
	lasts   string        // for how long a refused key is, for people
	remedy  string        // empty: that of the refusal
	log     *slog.Logger

	mu      sync.Mutex
	value   credentials.Value // guarded by mu, like all below; empty: not read yet
	asked   time.Time         // when it was read last
	good    bool              // the service took a key once
	untried bool              // value is another one than that which was refused
	trial   chan struct{}     // closed when the one request has its answer; nil: there is none
	refusal error             // of the key that was used last; nil: it was not refused
	until   time.Time         // when it may be tried again
}

// loan is a key for one request. Whoever gets one tells what came of it (learn), once.
type loan struct {
	key   credentials.Value
	trial bool
}

// Retrieve returns the key as it was read last.
func (k *keyring) Retrieve() (credentials.Value, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	err := k.fillLocked()
	return k.value, err
}

// RetrieveWithCredContext is Retrieve.
func (k *keyring) RetrieveWithCredContext(*credentials.CredContext) (credentials.Value, error) {
	return k.Retrieve()
}

// IsExpired makes the library ask for each request.
func (k *keyring) IsExpired() bool { return true }

// fillLocked reads the key for the first time, and again when it should be. Where that
// fails, the one that there is may do for a while.
func (k *keyring) fillLocked() error {
	first := k.value.AccessKeyID == ""
	if !first && (k.expired == nil || !k.expired() || time.Since(k.asked) < k.rest) {
		return nil
	}
	v, err := k.readLocked()
	if err == nil {
		k.value = v
	}
	if first {
		return err
	}
	return nil
}

func (k *keyring) readLocked() (credentials.Value, error) {
	k.asked = time.Now()
	return k.read()
}

// use lends the key that a request is to be sent with, or says why there is none. Kind
// Withheld: the service has taken a key before, and whoever can wait does.
func (k *keyring) use(ctx context.Context) (loan, error) {
	for {
		l, busy, err := k.tryUse()
		if busy == nil {
			return l, err
		}
		select {
		case <-busy:
		case <-ctx.Done():
			return loan{}, context.Cause(ctx)
		}
	}
}

// tryUse is use, or returns what to wait for.
func (k *keyring) tryUse() (l loan, busy chan struct{}, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.trial != nil {
		return l, k.trial, nil
	}
	if k.refusedLocked() {
		return l, nil, k.refusal
	}
	if err := k.fillLocked(); err != nil {
		return l, nil, err
	}
	if k.refusal != nil {
		k.trial, l.trial = make(chan struct{}), true
	}
	l.key = k.value
	return l, nil, nil
}

// look is use for what is sent later, or never: nobody waits for it.
func (k *keyring) look() (loan, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.refusedLocked() {
		return loan{}, k.refusal
	}
	err := k.fillLocked()
	return loan{key: k.value}, err
}

// refusedLocked reports whether there is nothing but a key that was refused.
func (k *keyring) refusedLocked() bool {
	return k.refusal != nil && !k.untried && !k.changedLocked() && time.Now().Before(k.until)
}

// changedLocked takes another key that there is by now.
func (k *keyring) changedLocked() bool {
	if time.Since(k.asked) < k.rest {
		return false
	}
	v, err := k.readLocked()
	if err != nil || same(v, k.value) {
		return false // a file that is being replaced is read at the next request
	}
	k.value, k.untried = v, true
	return true
}

func same(a, b credentials.Value) bool {
	return a.AccessKeyID == b.AccessKeyID && a.SecretAccessKey == b.SecretAccessKey && a.SessionToken == b.SessionToken
}

// learn takes what came of a request; err is raw, classified. It returns the error that
// the request has, and reports whether there is another key to try at once.
func (k *keyring) learn(l loan, raw, err error) (another bool, _ error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if l.trial {
		close(k.trial)
		k.trial = nil
	}
	switch {
	case keyTaken(raw):
		if same(l.key, k.value) {
			if k.refusal != nil && k.good {
				k.log.Info("the store takes the key again", "key", k.from)
			}
			k.good, k.untried, k.refusal = true, false, nil
		}
		return false, err
	case !keyRefused(raw):
		return false, err
	case !same(l.key, k.value):
		return k.refusal == nil || k.untried, k.refuseLocked(err)
	}
	told := k.refusal != nil && !l.trial // by another request that was under way
	k.refusal = k.refuseLocked(err)
	if k.untried = false; k.changedLocked() {
		return true, k.refusal
	}
	if told {
		return false, k.refusal
	}
	k.until = time.Now().Add(refusedFor)
	if k.good { // else it is the start that fails
		k.log.Error("the store refuses the key: it is not sent again, and what needs it waits, until "+k.lasts+" or this time",
			"key", k.from, "until", k.until.Format(time.TimeOnly), "err", err, "remedy", ivd.RemedyOf(k.refusal))
	}
	return false, k.refusal
}

// refuseLocked is the error of all requests for which there is only a key that was
// refused: it names none of them.
func (k *keyring) refuseLocked(err error) error {
	answer := err
	if known := (*ivd.Error)(nil); errors.As(err, &known) {
		answer = known.Err
	}
	e := &ivd.Error{
		Kind: ivd.KindOf(err), Err: fmt.Errorf("the store refuses the key, which is not tried again before %s or %s have passed: %w", k.lasts, refusedFor, answer),
		Remedy: ivd.RemedyOf(err),
	}
	if k.good {
		e.Kind = ivd.Withheld
		if k.remedy != "" {
			e.Remedy = k.remedy
		}
	}
	return e
}

// keyTaken reports whether an answer shows that the service let the request in.
func keyTaken(err error) bool {
	var answer minio.ErrorResponse
	if !errors.As(err, &answer) {
		return err == nil
	}
	if keyRefused(err) { // some say with 404 that they do not know it
		return false
	}
	switch answer.StatusCode {
	case http.StatusNotFound, http.StatusPreconditionFailed, http.StatusConflict, http.StatusRequestedRangeNotSatisfiable:
		return !foreign(answer)
	}
	return false
}

// keyRefused reports whether an answer is about the key itself, not about its rights.
func keyRefused(err error) bool {
	var answer minio.ErrorResponse
	if !errors.As(err, &answer) {
		return false
	}
	switch answer.Code {
	case "InvalidAccessKeyId", "XAdminUserNotFound", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "TokenRefreshRequired", "UserSuspended":
		return true
	}
	return false
}
