package queue

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/sealed"
)

func TestKindsOfTheLibrarysErrors(t *testing.T) {
	api := func(code jetstream.ErrorCode, status int) error {
		return fmt.Errorf("publish: %w", &jetstream.APIError{ErrorCode: code, Code: status, Description: "as it is"})
	}
	for _, c := range []struct {
		err  error
		kind ivd.Kind
	}{
		{api(10071, 400), ivd.Conflict}, // wrong last sequence
		{api(10164, 400), ivd.Conflict}, // the same, of a replicated stream
		{api(10023, 503), ivd.Full},
		{api(10047, 500), ivd.Full},
		{api(10077, 503), ivd.Transient},
		{&jetstream.APIError{ErrorCode: 10077, Code: 503, Description: "write: no space left on device"}, ivd.Full},
		{api(10054, 400), ivd.Invalid},
		{api(10059, 404), ivd.Transient}, // no stream: says nothing about a key
		{api(10014, 404), ivd.Transient},
		{api(10039, 503), ivd.Permanent},
		{api(10008, 503), ivd.Transient},
		{api(10003, 400), ivd.Permanent},
		{jetstream.ErrKeyNotFound, ivd.NotFound},
		{jetstream.ErrInvalidKey, ivd.Invalid},
		{nats.ErrMaxPayload, ivd.Invalid},
		{nats.ErrAuthorization, ivd.Denied},
		{nats.ErrPermissionViolation, ivd.Denied},
		{nats.ErrNoResponders, ivd.Transient},
		{nats.ErrReconnectBufExceeded, ivd.Transient},
		{nats.ErrTimeout, ivd.Transient},
		{nats.ErrConnectionClosed, ivd.Cancelled},
		{context.Canceled, ivd.Cancelled},
		{errors.New("anything"), ivd.Transient},
		{&ivd.Error{Kind: ivd.Corrupt, Err: errors.New("ours")}, ivd.Corrupt},
	} {
		err := fail(c.err, "read %s", "k")
		if ivd.KindOf(err) != c.kind {
			t.Errorf("%v: kind %q, want %q", c.err, ivd.KindOf(err), c.kind)
		}
		if !errors.Is(err, c.err) || !strings.HasPrefix(err.Error(), "read k: ") {
			t.Errorf("%v became %v", c.err, err)
		}
	}
	if fail(nil, "read") != nil {
		t.Error("no error became one")
	}
}

func TestSealIsBoundToTheQuestion(t *testing.T) {
	key, err := sealed.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	req := job.LoginRequest{Version: job.Version, Mover: "m", Process: "p", Run: "r", Disk: ivd.NewDiskRef("v", "s", "d")}
	answer, err := sealLogin(req, key.Public(), job.Login{User: "u", Password: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	got, err := openLogin(req, key, answer)
	if err != nil || got.Password.Reveal() != "secret" || got.User != "u" {
		t.Fatalf("opened as %+v, %v", got, err)
	}
	for what, change := range map[string]func(*job.LoginRequest){
		"mover":     func(r *job.LoginRequest) { r.Mover = "m2" },
		"process":   func(r *job.LoginRequest) { r.Process = "p2" },
		"run":       func(r *job.LoginRequest) { r.Run = "r2" },
		"vcenter":   func(r *job.LoginRequest) { r.Disk = ivd.NewDiskRef("v2", r.Disk.Datastore(), r.Disk.ID()) },
		"datastore": func(r *job.LoginRequest) { r.Disk = r.Disk.On("s2") },
		"disk":      func(r *job.LoginRequest) { r.Disk = ivd.NewDiskRef(r.Disk.Source(), r.Disk.Datastore(), "d2") },
		"shifted":   func(r *job.LoginRequest) { r.Mover, r.Process = "m\" \"p", "" },
	} {
		other := req
		change(&other)
		if _, err := openLogin(other, key, answer); err == nil {
			t.Errorf("it opens for another %s", what)
		}
	}
	for i := range answer {
		spoiled := append([]byte(nil), answer...)
		spoiled[i] ^= 1
		if _, err := openLogin(req, key, spoiled); err == nil {
			t.Fatalf("it opens with byte %d changed", i)
		}
	}
	for _, n := range []int{0, 1, len(answer) - 1} {
		if _, err := openLogin(req, key, answer[:n]); err == nil {
			t.Fatalf("it opens cut to %d bytes", n)
		}
	}
	if _, err := sealLogin(req, []byte("no key"), job.Login{}); ivd.KindOf(err) != ivd.Invalid {
		t.Errorf("sealed to no key: %v", err)
	}
}

func FuzzDecodeJob(f *testing.F) {
	for _, s := range []string{
		``, `null`, `[]`, `{}`, `{"version":1}`, `{"version":2}`, `{"version":-1,"kind":"backup"}`, `{"version":1e99}`,
		`{"version":1,"kind":"backup","class":"any","id":"1","run":"r","disk":{"disk":"d"}}`,
		`{"version":1,"kind":"backup","class":"any","id":"1","run":"r","disk":{"disk":"d"},"backup":{"pages":[0],"spans":[{"span":1,"read":"AA=="}]}}`,
		`{"version":1,"kind":"back.up","class":"*","id":">","run":"r","disk":{"disk":"d"}}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		j, err := decodeJob(body)
		if err != nil {
			if kind := ivd.KindOf(err); kind != ivd.Corrupt && kind != ivd.Unsupported {
				t.Fatalf("error %v of kind %q", err, kind)
			}
			return
		}
		if j.Version < 1 || j.Version > job.Version {
			t.Fatalf("version %d was taken", j.Version)
		}
		if n := strings.Count(jobSubject(&j), "."); n != 6 || strings.ContainsAny(jobSubject(&j), "*> ") {
			t.Fatalf("subject %q", jobSubject(&j))
		}
	})
}

func FuzzDecodeRecord(f *testing.F) {
	for _, s := range []string{
		``, `{}`, `{"version":1}`, `{"version":9}`, `{"version":1,"id":"1","run":"r","disk":"d","nodes":[{"span":1}]}`,
		`{"version":1,"id":"1","run":"r","disk":"d","next":-1,"pages":null}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		rec, err := decodeRecord(Entry{Key: "job.r.d.1", Value: body})
		if err == nil && jobKey(rec.Run, rec.Disk, rec.ID) != "job.r.d.1" {
			t.Fatalf("a record of %s was taken", jobKey(rec.Run, rec.Disk, rec.ID))
		}
	})
}
