package worker

import (
	"context"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/keys"
	"ivdmover/shared/pause"
	"ivdmover/shared/repo"
)

// Sealed is an encrypted repository, which is opened with what its coordinator grants.
type Sealed struct {
	ID   string
	Open func(ctx context.Context, k repo.Keys) (*repo.Repository, error)
}

// unlock opens an encrypted repository, and waits until stop is closed for a coordinator
// that grants its keys, and for the store. Before, no job is taken, and the heartbeat says
// so.
func (w *Worker) unlock(ctx context.Context, stop <-chan struct{}) error {
	if w.Repository != nil {
		return nil
	}
	ctx, cancel := unless(ctx, stop)
	defer cancel()
	said := ""
	err := pause.Starting(func(err error, _ time.Duration) {
		if text := err.Error(); text != said {
			said = text
			w.Log.Warn("waiting for the keys of the repository: no job is taken before", "err", err, "remedy", ivd.RemedyOf(err))
		}
	}).Do(ctx, func(ctx context.Context) error {
		grant, err := w.grant(ctx)
		if err != nil {
			return err
		}
		w.Repository, err = w.Sealed.Open(ctx, repo.Keys{Grant: &grant, Register: w.register})
		return err
	})
	select {
	case <-stop:
		return nil // Run ends in order
	default:
	}
	if err != nil {
		return err
	}
	w.writers.repository, w.readers.repository = w.Repository, w.Repository
	w.mu.Lock()
	w.waits = ""
	w.mu.Unlock()
	w.Log.Info("the repository is open with the keys that its coordinator has granted", "repository", w.Sealed.ID)
	if err := w.beat(ctx); err != nil {
		w.Log.Warn("sending a heartbeat failed", "err", err) // the next one says it
	}
	return nil
}

// register asks the coordinator to sign and store the record of a writer of this process,
// for one of the jobs that are done under its lease: which of them stores the first pack is
// not known here, and one may just have ended.
func (w *Worker) register(ctx context.Context, record format.Writer) error {
	b, err := record.Encode()
	if err != nil {
		return err
	}
	return patiently(ctx, func() {}, func(ctx context.Context) error {
		err := ivd.Errorf(ivd.Transient, "no job is done under lease %s", record.Lease)
		for _, c := range w.writers.claims(record.Lease) {
			err = w.Queue.AskWriter(ctx, job.WriterRequest{Version: job.Version, Repository: w.Sealed.ID, Claim: c, Record: b})
			if ivd.KindOf(err) != ivd.Transient {
				return err
			}
		}
		return err
	})
}

// grant asks for what movers have of the keys.
func (w *Worker) grant(ctx context.Context) (keys.Grant, error) {
	b, err := w.Queue.AskGrant(ctx, job.GrantRequest{Version: job.Version, Mover: w.Name, Process: w.process, Repository: w.Sealed.ID}, w.key)
	if err != nil {
		return keys.Grant{}, err
	}
	return keys.DecodeGrant(b)
}
