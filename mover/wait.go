package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"ivdmover/shared/config"
	"ivdmover/shared/ivd"
	"ivdmover/shared/pause"
	"ivdmover/shared/queue"
	"ivdmover/shared/repo"
	"ivdmover/shared/store/open"
)

// errStopped is the end of a mover that was asked to end before it could begin.
var errStopped = errors.New("asked to end while it waited")

// reached is what a mover works with, when all of it is there.
type reached struct {
	repository *repo.Repository
	queue      *queue.Queue
}

// reach opens the repository and connects to the queue; it waits for both, until stop
// is closed, as long as what keeps it from them may pass.
func reach(c *config.Config, log *slog.Logger, stop <-chan struct{}) (r reached, err error) {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	go func() {
		select {
		case <-stop:
			cancel(errStopped)
		case <-ctx.Done():
		}
	}()
	if err := await(ctx, log, "the repository", func(ctx context.Context) error {
		st, err := open.OpenWhatIsThere(ctx, c.Repository, log)
		if err != nil {
			return err
		}
		r.repository, err = repo.OpenWith(ctx, st, repo.Keys{Root: c.Repository.Root.ID()})
		return err
	}); err != nil {
		return r, err
	}
	if err := checkMemory(c, r.repository.PackSize()); err != nil {
		return r, err
	}
	err = await(ctx, log, "the queue", func(ctx context.Context) (err error) {
		o := queueOptions(c)
		o.Log = log
		r.queue, err = queue.Connect(ctx, o)
		return err
	})
	if err != nil {
		err = noQueue{err}
	}
	return r, err
}

// noQueue is why there is no queue.
type noQueue struct{ error }

func (e noQueue) Unwrap() error { return e.error }

func queueOptions(c *config.Config) queue.Options {
	return queue.Options{URL: c.Queue.URL, CredsFile: c.Queue.CredsFile, CAFile: c.Queue.CAFile, Mover: c.Mover.Name}
}

func await(ctx context.Context, log *slog.Logger, what string, do func(context.Context) error) error {
	return pause.Starting(func(err error, wait time.Duration) {
		log.Warn("waiting for "+what, "err", err, "remedy", ivd.RemedyOf(err), "again_in", wait.Round(time.Second))
	}).Do(ctx, do)
}
