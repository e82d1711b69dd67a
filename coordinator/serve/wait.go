package serve

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/pause"
)

// start is what begins, and who is told for what it waits.
type start struct {
	log  *slog.Logger
	tell func(what string, why error) // why is nil where it has only been asked for
}

// starting is what to say while `ivd serve` begins; why is nil where it has only been
// asked for.
func starting(what string, why error) error {
	e := &ivd.Error{Kind: ivd.Transient, Err: fmt.Errorf("`ivd serve` is starting, and waits for %s", what), Remedy: "ask again in a moment"}
	if why != nil {
		e.Err, e.Remedy = fmt.Errorf("%w: %w", e.Err, why), ivd.RemedyOf(why)
	}
	return e
}

// await does what is needed to begin, again as long as what keeps it from that may
// pass, and says for what it waits.
func await[T any](ctx context.Context, s start, what string, do func(context.Context) (T, error)) (v T, err error) {
	waited, log := false, s.log
	s.tell(what, nil)
	err = pause.Starting(func(err error, wait time.Duration) {
		waited = true
		s.tell(what, err)
		log.Warn("waiting for "+what, "err", err, "remedy", ivd.RemedyOf(err), "again_in", wait.Round(time.Second))
	}).Do(ctx, func(ctx context.Context) (err error) {
		v, err = do(ctx)
		return err
	})
	if err == nil && waited {
		log.Info("there it is: " + what)
	}
	return v, err
}
