package s3

import (
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"ivdmover/shared/ivd"
)

// A key that was refused is tried again after a while, by one request; what that comes
// to holds for all.
func TestRefusedKeyIsTriedAgain(t *testing.T) {
	now := time.Unix(1000, 0)
	key := pair("a", "s")
	k := &keyring{value: key, now: func() time.Time { return now }, read: func() (credentials.Value, error) { return key, nil }}
	raw := minio.ErrorResponse{Code: "SignatureDoesNotMatch"}
	refusal := &ivd.Error{Kind: ivd.Denied, Err: raw}
	usable := func(want bool) {
		t.Helper()
		if _, err := k.use(); (err == nil) != want {
			t.Errorf("%v, usable: want %t", err, want)
		}
	}
	usable(true)
	if k.learn(key, minio.ErrorResponse{Code: "AccessDenied"}, refusal) {
		t.Error("another key")
	}
	usable(true) // a right that is missing is not the key's fault
	k.learn(key, raw, refusal)
	usable(false)
	now = now.Add(refusedFor)
	usable(true)
	usable(false)
	k.learn(key, raw, refusal)
	usable(false)
	now = now.Add(refusedFor)
	usable(true)
	k.learn(key, nil, nil)
	usable(true)
	usable(true)
}
