package fleet

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"fmt"
	"slices"
	"sync"

	"github.com/google/uuid"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/queue"
)

// keptIssuers is how many coordinators' keys are known at most, those of their earlier
// starts among them: warrants of older ones are good no more.
const keptIssuers = 32

// issuer signs this coordinator's warrants. Its public key is stored for the others, and
// for this one's next start, before the first of them is given.
type issuer struct {
	mu   sync.Mutex
	id   string
	key  ed25519.PrivateKey // nil: the public key is not stored yet
	seen map[string][]byte  // guarded by mu: public keys, by the issuers' ids
}

// issuerKey is what is stored of an issuer.
type issuerKey struct {
	Verify []byte `json:"verify"`
}

const issuers = "issuer"

// Warrant is this coordinator's for a mover.
func (f *Fleet) Warrant(ctx context.Context, mover string, run ivd.RunID, disk ivd.DiskRef) (job.Warrant, error) {
	i := &f.issuer
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.key == nil {
		if err := f.introduceLocked(ctx); err != nil {
			return "", fmt.Errorf("store the key of this coordinator's warrants: %w", err)
		}
	}
	return job.NewWarrant(i.id, i.key, mover, run, disk), nil
}

// introduceLocked makes this coordinator's key, and has others know it.
func (f *Fleet) introduceLocked(ctx context.Context) error {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return err
	}
	id := uuid.NewString()
	state := f.queue.State()
	if _, err := state.Create(ctx, issuers+"."+id, issuerKey{public}); err != nil {
		return err
	}
	f.issuer.id, f.issuer.key = id, private
	f.issuer.learnLocked(id, public)
	list, err := state.List(ctx, issuers+".")
	if err != nil || len(list) <= keptIssuers {
		return err
	}
	slices.SortFunc(list, func(a, b queue.Entry) int { return cmp.Compare(b.Revision, a.Revision) })
	for _, e := range list[keptIssuers:] {
		if err := state.Delete(ctx, e.Key); err != nil {
			return err
		}
	}
	return nil
}

// Warranted refuses a question for a login that has no warrant for that mover, run and
// disk (kind Denied).
func (f *Fleet) Warranted(ctx context.Context, q job.LoginRequest) error {
	key, err := f.keyOf(ctx, q.Warrant.Issuer())
	if err != nil && ivd.KindOf(err) != ivd.NotFound && ivd.KindOf(err) != ivd.Invalid {
		return err
	}
	if err != nil || !q.Warrant.GoodFor(key, q.Mover, q.Run, q.Disk) {
		return ivd.Errorf(ivd.Denied, "mover %s was not asked to do anything with disk %s of run %s, and has no job of it: no login", q.Mover, q.Disk.ID(), q.Run)
	}
	return nil
}

func (f *Fleet) keyOf(ctx context.Context, id string) ([]byte, error) {
	f.issuer.mu.Lock()
	key := f.issuer.seen[id]
	f.issuer.mu.Unlock()
	if key != nil {
		return key, nil
	}
	if _, err := uuid.Parse(id); err != nil {
		return nil, ivd.Errorf(ivd.Invalid, "no coordinator has such an id")
	}
	k, _, err := queue.Get[issuerKey](ctx, f.queue.State(), issuers+"."+id)
	if err != nil {
		return nil, err
	}
	f.issuer.mu.Lock()
	defer f.issuer.mu.Unlock()
	f.issuer.learnLocked(id, k.Verify)
	return k.Verify, nil
}

func (i *issuer) learnLocked(id string, public []byte) {
	if i.seen == nil {
		i.seen = map[string][]byte{}
	}
	i.seen[id] = public
}
