package s3

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"ivdmover/shared/ivd"
)

// A key that was refused is tried again after a while, by one request; what that comes
// to holds for all, and others wait for it.
func TestRefusedKeyIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := pair("a", "s")
		k := &keyring{log: slog.New(slog.DiscardHandler), value: key, read: func() (credentials.Value, error) { return key, nil }}
		raw := minio.ErrorResponse{Code: "SignatureDoesNotMatch"}
		refusal := &ivd.Error{Kind: ivd.Denied, Err: raw}
		use := func(want ivd.Kind) loan {
			t.Helper()
			l, err := k.use(t.Context())
			if ivd.KindOf(err) != want {
				t.Errorf("%v, want kind %q", err, want)
			}
			return l
		}
		if another, _ := k.learn(use(""), minio.ErrorResponse{Code: "AccessDenied", StatusCode: http.StatusForbidden}, refusal); another {
			t.Error("another key")
		}
		_, err := k.learn(use(""), raw, refusal) // a right that was missing is not the key's fault, and this is
		if ivd.KindOf(err) != ivd.Denied {
			t.Errorf("%v: it was never taken", err)
		}
		use(ivd.Denied)
		time.Sleep(refusedFor)
		first, others := use(""), make(chan error)
		go func() { _, err := k.use(t.Context()); others <- err }()
		synctest.Wait()
		select {
		case err := <-others:
			t.Errorf("a second one does not wait for the first: %v", err)
		default:
		}
		_, _ = k.learn(first, raw, refusal)
		if err := <-others; ivd.KindOf(err) != ivd.Denied {
			t.Errorf("it is told %v", err)
		}
		time.Sleep(refusedFor)
		_, _ = k.learn(use(""), minio.ErrorResponse{Code: "NoSuchKey", StatusCode: http.StatusNotFound}, errors.New("absent")) // it was let in
		_, _ = k.learn(use(""), nil, nil)
		if _, err := k.learn(use(""), raw, refusal); ivd.KindOf(err) != ivd.Withheld {
			t.Errorf("%v: it was taken before", err)
		}
		use(ivd.Withheld)

		time.Sleep(refusedFor) // a trial that is not answered holds nobody up
		_, _ = k.learn(use(""), context.Canceled, context.Canceled)
		_, _ = k.learn(use(""), raw, refusal)
		use(ivd.Withheld)
	})
}

// A key that lasts for a while only is asked for again when that is over. While none is to
// be had, the last one is used: a library asks early.
func TestKeyOfARoleIsRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now, gone, over, asked := pair("a", "1"), false, false, 0
		k := &keyring{
			log: slog.New(slog.DiscardHandler), rest: roleRest, expired: func() bool { return over },
			read: func() (credentials.Value, error) {
				asked++
				if gone {
					return credentials.Value{}, errors.New("away")
				}
				over = false
				return now, nil
			},
		}
		have := func(want string) {
			t.Helper()
			l, err := k.use(t.Context())
			if err != nil || l.key.SecretAccessKey != want {
				t.Fatalf("%q, %v, want %q", l.key.SecretAccessKey, err, want)
			}
			_, _ = k.learn(l, nil, nil)
		}
		have("1")
		now = pair("a", "2")
		have("1")
		time.Sleep(time.Hour)
		over = true
		have("2")
		time.Sleep(time.Hour)
		over, gone, asked = true, true, 0
		for range 10 {
			have("2")
		}
		if asked != 1 {
			t.Errorf("asked %d times while it is away", asked)
		}
		time.Sleep(roleRest)
		gone, now = false, pair("a", "3")
		have("3")
	})
}
