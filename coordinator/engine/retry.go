package engine

import (
	"context"
	"log/slog"
	"time"

	"ivdmover/coordinator/ledger"
	"ivdmover/shared/ivd"
)

// Attempts at one step, and at one job, before its error is the item's. What is
// away comes back within minutes, a vCenter that is started again for example: an
// item that gave up sooner would only make room for the next one to give up.
const (
	stepAttempts = 5
	awayAttempts = 10 // of kind Transient: some four minutes
	jobAttempts  = 8
	askAttempts  = 3 // of a request, whose asker waits
	undoAttempts = 3 // before the item ends and what is left is the ledger's
)

// worthAnother reports whether a step is repeated after its n-th failure. A secret
// that is withheld is waited for: only a person can correct it.
func worthAnother(err error, n int) bool {
	kind, attempts := ivd.KindOf(err), stepAttempts
	switch kind {
	case ivd.Withheld:
		return true
	case ivd.Transient:
		attempts = awayAttempts
	}
	return n < attempts && kind.Retry()
}

// Soon repeats what a request needs while its error may pass, but not for long: somebody
// waits for the answer.
func Soon(ctx context.Context, f func(context.Context) error) error {
	b := ledger.Pauses
	b.Attempts = askAttempts
	b.Retry = func(err error, _ int) bool {
		kind := ivd.KindOf(err)
		return kind.Retry() && kind != ivd.Withheld
	}
	return b.Do(ctx, f)
}

// again repeats f while its error may pass, with growing pauses.
func again(ctx context.Context, f func() error) error {
	return againTelling(ctx, f, func(error) {})
}

// againTelling is again, and tells each error after which f is repeated; while a secret
// is withheld only the first.
func againTelling(ctx context.Context, f func() error, tell func(error)) error {
	b := ledger.Pauses
	b.Retry = worthAnother
	var last ivd.Kind
	b.Tell = func(err error, _ time.Duration) {
		if kind := ivd.KindOf(err); kind != ivd.Withheld || kind != last {
			tell(err)
		}
		last = ivd.KindOf(err)
	}
	return b.Do(ctx, func(context.Context) error { return f() })
}

// worthSaying reports whether the log is to have an error. That a secret is withheld is
// one fact for all of the run's disks, and seldom said.
func (d *driver) worthSaying(err error) bool {
	return ivd.KindOf(err) != ivd.Withheld || d.withheld.Due()
}

// tellAgain has the log say that something of the run failed and is tried again.
func (d *driver) tellAgain(log *slog.Logger, what string, err error, args ...any) {
	if !d.worthSaying(err) {
		return
	}
	if ivd.KindOf(err) == ivd.Withheld {
		d.log.Warn("the run waits until a secret that was refused is corrected", "err", err, "remedy", ivd.RemedyOf(err))
		return
	}
	log.Warn(what+" and is tried again", append(args, "err", err)...)
}
