package fleet

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/queue"
)

// keptProcesses is how many processes of one mover are known at most: checkpoints of
// older ones are not built on any more.
const keptProcesses = 32

// keys are those of a mover's process: a fact that never changes, stored when a
// coordinator first relies on it. It is taken from the heartbeat, which the queue's
// server lets nobody send in another mover's name.
type keys struct {
	Login  []byte `json:"login"` // SHA-256 of the key that logins are sealed to
	Verify []byte `json:"verify"`
}

// Know takes note of the keys of the process that has sent a heartbeat. Kind Denied:
// the process had others.
func (f *Fleet) Know(ctx context.Context, m job.Mover) error {
	sum := sha256.Sum256(m.PublicKey)
	now := keys{Login: sum[:], Verify: m.VerifyKey}
	known, err := f.keysOf(ctx, m.Name, m.Process)
	if ivd.KindOf(err) == ivd.NotFound {
		_, err = f.queue.State().Create(ctx, processKey(m.Name, m.Process), now)
		if err == nil {
			f.remember(processKey(m.Name, m.Process), now)
			return f.forgetOld(ctx, m.Name)
		}
		if ivd.KindOf(err) == ivd.Exists { // another coordinator was faster
			known, err = f.keysOf(ctx, m.Name, m.Process)
		}
	}
	switch {
	case err != nil:
		return err
	case !bytes.Equal(known.Login, now.Login) || !bytes.Equal(known.Verify, now.Verify):
		return ivd.Errorf(ivd.Denied, "the heartbeat of mover %s shows other keys than its process %s had: somebody else sends it", m.Name, m.Process)
	}
	return nil
}

// Vouched refuses a job's record whose checkpoint was not signed by the mover's process
// that it names (kind Denied). Nobody need vouch for a job that has none.
func (f *Fleet) Vouched(ctx context.Context, rec job.Record) error {
	if rec.Fresh() {
		return nil
	}
	who := "nobody"
	if s := rec.Seal; s != nil {
		who = fmt.Sprintf("process %q of mover %q", s.Process, s.Mover)
		known, err := f.sealer(ctx, *s)
		if err != nil && ivd.KindOf(err) != ivd.NotFound && ivd.KindOf(err) != ivd.Invalid {
			return err
		}
		if err == nil && rec.SignedWith(known.Verify) {
			return nil
		}
	}
	return ivd.Errorf(ivd.Denied, "the record of job %s of disk %s was not written by the mover that had the job: it claims to be of %s", rec.ID, rec.Disk, who)
}

// sealer is the keys of who has sealed a checkpoint, by its heartbeat where it has not
// been relied on yet.
func (f *Fleet) sealer(ctx context.Context, s job.Seal) (keys, error) {
	known, err := f.keysOf(ctx, s.Mover, s.Process)
	if ivd.KindOf(err) != ivd.NotFound {
		return known, err
	}
	m, err := f.queue.Mover(ctx, s.Mover)
	if ivd.KindOf(err) == ivd.NotFound {
		// The queue's server keeps heartbeats in memory: one that was started again
		// has none, and a quick mover ends its job before it sends the next.
		f.mu.Lock()
		if last, ok := f.heard[s.Mover]; ok {
			m, err = last, nil
		}
		f.mu.Unlock()
	}
	if err == nil && m.Process != s.Process {
		err = ivd.Errorf(ivd.NotFound, "mover %s has another process now", s.Mover)
	}
	if err == nil {
		err = f.Know(ctx, m)
	}
	if err != nil {
		return keys{}, err
	}
	return f.keysOf(ctx, s.Mover, s.Process)
}

func (f *Fleet) keysOf(ctx context.Context, mover, process string) (keys, error) {
	key := processKey(mover, process)
	f.mu.Lock()
	known, ok := f.keys[key]
	f.mu.Unlock()
	if ok {
		return known, nil
	}
	known, _, err := queue.Get[keys](ctx, f.queue.State(), key)
	if err == nil {
		f.remember(key, known)
	}
	return known, err
}

func (f *Fleet) remember(key string, k keys) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.keys[key] = k
}

// forgetOld forgets all but the newest processes of a mover.
func (f *Fleet) forgetOld(ctx context.Context, mover string) error {
	list, err := f.queue.State().List(ctx, processesOf(mover))
	if err != nil || len(list) <= keptProcesses {
		return err
	}
	slices.SortFunc(list, func(a, b queue.Entry) int { return cmp.Compare(b.Revision, a.Revision) })
	for _, e := range list[keptProcesses:] {
		if err := f.queue.State().Delete(ctx, e.Key); err != nil {
			return err
		}
		f.mu.Lock()
		delete(f.keys, e.Key)
		f.mu.Unlock()
	}
	return nil
}

// processesOf is the key below which a mover's processes are; a part's are not below it.
func processesOf(mover string) string {
	return "process." + strings.NewReplacer(".", "/", "/", "=").Replace(mover)
}

func processKey(mover, process string) string { return processesOf(mover) + "." + process }
