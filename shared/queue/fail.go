package queue

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"ivdmover/shared/ivd"
)

// Codes of JetStream's API that decide a kind and have no name in the client
// library (nats-server, server/errors.json).
const (
	codeInsufficientResources  jetstream.ErrorCode = 10023
	codeStorageExceeded        jetstream.ErrorCode = 10047
	codeMessageTooLarge        jetstream.ErrorCode = 10054
	codeStoreFailed            jetstream.ErrorCode = 10077
	codeWrongLastSequence                          = jetstream.JSErrCodeStreamWrongLastSequence
	codeWrongLastSequenceOther                     = jetstream.JSErrCodeStreamWrongLastSequenceConstant // the same, of replicated streams
)

// fail classifies an error of the NATS client and says what was being done. It
// is the only place that knows the library's errors.
func fail(err error, op string, args ...any) error {
	if err == nil {
		return nil
	}
	kind, remedy := classify(err)
	return &ivd.Error{Kind: kind, Op: fmt.Sprintf(op, args...), Err: err, Remedy: remedy}
}

func classify(err error) (ivd.Kind, string) {
	if kind := ivd.KindOf(err); kind != ivd.Unknown {
		return kind, ""
	}
	var api *jetstream.APIError
	if errors.As(err, &api) {
		return classifyAPI(api)
	}
	switch {
	case isAny(err, nats.ErrAuthorization, nats.ErrAuthExpired, nats.ErrAuthRevoked, nats.ErrAccountAuthExpired,
		nats.ErrPermissionViolation, nats.ErrNkeysNotSupported):
		return ivd.Denied, "check queue.creds_file and the rights of its account"
	case isAny(err, jetstream.ErrKeyNotFound):
		return ivd.NotFound, ""
	case isAny(err, jetstream.ErrInvalidKey, nats.ErrBadSubject, nats.ErrMaxPayload, nats.ErrInvalidArg):
		return ivd.Invalid, ""
	case isAny(err, nats.ErrConnectionClosed):
		return ivd.Cancelled, "" // only Close closes a connection; losing it is something else
	case isAny(err, jetstream.ErrMsgAlreadyAckd):
		return ivd.Conflict, ""
	}
	// What is left of the library's errors is the network or a server on its way
	// up or down.
	return ivd.Transient, ""
}

func classifyAPI(api *jetstream.APIError) (ivd.Kind, string) {
	switch api.ErrorCode {
	case codeWrongLastSequence, codeWrongLastSequenceOther:
		return ivd.Conflict, ""
	case codeInsufficientResources, codeStorageExceeded:
		return ivd.Full, "give the queue's server more space"
	case codeMessageTooLarge:
		return ivd.Invalid, ""
	case codeStoreFailed:
		if strings.Contains(api.Description, "no space") {
			return ivd.Full, "give the queue's server more space"
		}
	case jetstream.JSErrCodeStreamNotFound, jetstream.JSErrCodeConsumerNotFound:
		return ivd.Transient, "start `ivd serve`, which sets the queue up"
	case jetstream.JSErrCodeJetStreamNotEnabled, jetstream.JSErrCodeJetStreamNotEnabledForAccount:
		return ivd.Permanent, "turn JetStream on for this account of the NATS server"
	}
	if api.Code >= 400 && api.Code < 500 && api.Code != 408 {
		return ivd.Permanent, ""
	}
	return ivd.Transient, ""
}

func isAny(err error, targets ...error) bool {
	for _, t := range targets {
		if errors.Is(err, t) {
			return true
		}
	}
	return false
}

// unanswered turns the end of a try's own context into what it is; the end of the
// caller's stays what it is.
func unanswered(ctx context.Context, err error) error {
	switch {
	case err == nil || ctx.Err() != nil:
	case errors.Is(err, context.DeadlineExceeded):
		return ivd.Errorf(ivd.Transient, "the queue's server does not answer")
	case errors.Is(err, context.Canceled):
		return errInterrupted
	}
	return err
}

// errInterrupted: what was asked may have been done, what was told need not be all.
var errInterrupted = ivd.Errorf(ivd.Transient, "the connection to the queue's server was lost meanwhile")

// CheckVersion refuses by name what was written by a newer program.
func CheckVersion(what string, have, known int) error {
	if have > known {
		return &ivd.Error{
			Kind:   ivd.Unsupported,
			Op:     what,
			Err:    fmt.Errorf("version %d, this program knows versions up to %d", have, known),
			Remedy: "upgrade this program",
		}
	}
	return nil
}
