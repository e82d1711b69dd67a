package s3

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"ivdmover/shared/ivd"
)

// refusedFor is how long nothing is sent with a key that was refused, unless its file
// changes: services lock accounts that are tried again and again.
const refusedFor = 5 * time.Minute

// keyring is the key that files hold, for all requests of a store. Once the service
// has refused it, the files are read again; until they hold another one, requests
// fail with the refusal, and nothing is sent. It is a credentials.Provider.
type keyring struct {
	read func() (credentials.Value, error)
	now  func() time.Time

	mu      sync.Mutex
	value   credentials.Value // guarded by mu, like all below; empty: not read yet
	refusal error             // of the value; nil: it was not refused
	until   time.Time         // when it may be tried again
}

// Retrieve returns the key as it was read last.
func (k *keyring) Retrieve() (credentials.Value, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.value, k.fillLocked()
}

// RetrieveWithCredContext is Retrieve.
func (k *keyring) RetrieveWithCredContext(*credentials.CredContext) (credentials.Value, error) {
	return k.Retrieve()
}

// IsExpired makes the library ask for each request.
func (k *keyring) IsExpired() bool { return true }

func (k *keyring) fillLocked() (err error) {
	if k.value.AccessKeyID == "" {
		k.value, err = k.read()
	}
	return err
}

// use returns the key that a request is to be sent with, or why none is.
func (k *keyring) use() (credentials.Value, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.refusal == nil {
		return k.value, k.fillLocked()
	}
	if k.changedLocked() {
		return k.value, nil
	}
	if k.now().Before(k.until) {
		return k.value, k.refusal
	}
	k.until = k.now().Add(refusedFor) // for the others: this request tries it
	return k.value, nil
}

// changedLocked takes another key that the files hold by now.
func (k *keyring) changedLocked() bool {
	v, err := k.read()
	if err != nil || v.AccessKeyID == k.value.AccessKeyID && v.SecretAccessKey == k.value.SecretAccessKey && v.SessionToken == k.value.SessionToken {
		return false // a file that is being replaced is read at the next request
	}
	k.value, k.refusal = v, nil
	return true
}

// learn takes what came of a request with a key; err is nil, or classified with the
// answer inside. It reports whether there is another key to try at once.
func (k *keyring) learn(used credentials.Value, raw, err error) (another bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	current := used.AccessKeyID == k.value.AccessKeyID && used.SecretAccessKey == k.value.SecretAccessKey && used.SessionToken == k.value.SessionToken
	switch {
	case raw == nil:
		if current {
			k.refusal = nil
		}
		return false
	case !keyRefused(raw):
		return false
	case !current:
		return k.refusal == nil
	case k.changedLocked():
		return true
	}
	if k.refusal == nil {
		k.until = k.now().Add(refusedFor)
	}
	k.refusal = &ivd.Error{
		Kind: ivd.KindOf(err), Err: fmt.Errorf("the store refuses the key, which is not tried again before its file changes or %s have passed: %w", refusedFor, err),
		Remedy: ivd.RemedyOf(err),
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
	case "InvalidAccessKeyId", "XAdminUserNotFound", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken":
		return true
	}
	return false
}
