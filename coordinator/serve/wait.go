package serve

import (
	"context"
	"log/slog"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/pause"
)

// await does what is needed to begin, again as long as what keeps it from that may
// pass, and says for what it waits.
func await[T any](ctx context.Context, log *slog.Logger, what string, do func(context.Context) (T, error)) (v T, err error) {
	waited := false
	err = pause.Starting(func(err error, wait time.Duration) {
		waited = true
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
