package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"ivdmover/mover/worker"
	"ivdmover/shared/config"
	"ivdmover/shared/ivd"
	"ivdmover/shared/pause"
	"ivdmover/shared/queue"
	"ivdmover/shared/repo"
	"ivdmover/shared/store"
	"ivdmover/shared/store/open"
)

// errStopped is the end of a mover that was asked to end before it could begin.
var errStopped = errors.New("asked to end while it waited")

// reached is what a mover works with, when all of it is there.
type reached struct {
	store      store.Store
	repository *repo.Repository // nil: it is encrypted
	sealed     *worker.Sealed   // an encrypted repository
	queue      *queue.Queue
}

// reach opens the repository, unless it is encrypted, and connects to the queue; it waits
// for both, until stop is closed, as long as what keeps it from them may pass.
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
	packSize := 0
	if err := await(ctx, log, "the repository", func(ctx context.Context) error {
		st, err := open.OpenWhatIsThere(ctx, c.Repository, log)
		if err != nil {
			return err
		}
		r.store = st
		info, err := repo.ReadInfo(ctx, st)
		if err != nil {
			return err
		}
		packSize = int(info.PackSize)
		root, err := rootOf(c)
		switch {
		case err != nil:
			return err
		case info.Encrypted():
			r.sealed, err = sealedWith(c, st, info, root)
			return err
		}
		r.repository, err = fit(ctx)(repo.OpenWith(ctx, st, repo.Keys{Root: root}))
		return err
	}); err != nil {
		return r, err
	}
	if err := checkMemory(c, packSize); err != nil {
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

// rootOf is the repository's root key as this mover knows it: by its own configuration or,
// where it shares the state folder of the coordinator on this machine, as that has opened
// it. Zero: by neither.
func rootOf(c *config.Config) (ivd.KeyID, error) {
	if id := c.Repository.Root.ID(); !id.IsZero() {
		return id, nil
	}
	text, err := os.ReadFile(c.RootFile())
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return ivd.KeyID{}, nil // it is no neighbour of a coordinator
	}
	var id ivd.KeyID
	if err == nil {
		err = id.UnmarshalText(bytes.TrimSpace(text))
	}
	if err != nil {
		return id, &ivd.Error{Kind: ivd.Invalid, Op: "read " + c.RootFile(), Err: err, Remedy: "restart `ivd serve`, which writes it"}
	}
	return id, nil
}

// sealedWith is an encrypted repository as this mover may open it. A root key that it does
// not know is not trusted, whatever the store and the queue say.
func sealedWith(c *config.Config, st store.Store, info repo.Info, root ivd.KeyID) (*worker.Sealed, error) {
	if root.IsZero() {
		err := &ivd.Error{
			Kind: ivd.Denied, Op: "open the repository at " + st.String(), Err: fmt.Errorf("it is encrypted, and this mover's configuration does not say that its root key is %s", info.Root),
			Remedy: fmt.Sprintf("compare that with what `ivd repo info` shows at the coordinator; where it is the same, set repository.root to %s", info.Root),
		}
		if c.Queue.URL == c.QueueSocketURL() {
			err.Kind = ivd.Transient // the coordinator of this state folder says so when it has started
		}
		return nil, err
	}
	if root != info.Root {
		return nil, repo.WrongRoot(info, root)
	}
	return &worker.Sealed{ID: info.ID, Open: func(ctx context.Context, k repo.Keys) (*repo.Repository, error) {
		k.Root = root
		return fit(ctx)(repo.OpenWith(ctx, st, k))
	}}, nil
}

// fit refuses a repository whose store was found not to keep what it must.
func fit(ctx context.Context) func(*repo.Repository, error) (*repo.Repository, error) {
	return func(r *repo.Repository, err error) (*repo.Repository, error) {
		if err != nil {
			return nil, err
		}
		return r, r.StoreRefusal(ctx)
	}
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
