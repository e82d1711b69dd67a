// Package trust decides what a new point may build on (COLLECT.md's rules W2, W3
// and W4): packs, the parent's pages and nodes, checkpoints that were sealed under
// an older lease.
//
// A Trust belongs to one lease and one process. It promises to let nothing pass
// that is condemned or retired, that is not known to exist, or that is not as long
// as it was stored, where it is asked for: what a job builds on where it reads the
// disk, always; what it takes over unseen, once within a while. That a pack is whole
// nobody sees without reading it: what a reader finds damaged, and what is asked for
// and wrong, is told (Account), retired by a coordinator, and treated as absent from
// then on. An outage is an error, never an answer. That somebody else's point stands
// proves nothing. Safe for concurrent use.
package trust

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/store"
)

// proofLife is how long a pack may be relied on that was known to exist: lists are
// kept 8 days after their work is done, so what was deleted since is still on one
// (W3, C5).
const proofLife = 7 * 24 * time.Hour

// Recheck is within which time every pack that is built on is asked for, where
// nobody says.
const Recheck = 7 * 24 * time.Hour

// Trust is what is known of packs under one lease, and one job's account.
type Trust struct {
	*shared
	account account
}

// shared is what all jobs of a process know under a lease.
type shared struct {
	r       *repo.Repository
	lease   repo.Lease
	recheck time.Duration
	asking  *repo.Asking // since the lists were read

	mu       sync.Mutex
	standing *repo.Standing             // guarded by mu: the lists of retired packs are read anew
	read     time.Time                  // guarded by mu: when they were, by this host's clock
	asked    map[ivd.PackID]*ivd.Damage // guarded by mu: what asking came to; nil: the pack is good
}

// Open sees that the lease stands (W1), and then reads the lists (W2). Recheck is
// within which time every pack that is taken over is asked for; 0: by every job. Kind
// Expired: the lease does not stand.
func Open(ctx context.Context, r *repo.Repository, lease ivd.LeaseID, recheck time.Duration) (*Trust, error) {
	l, err := r.Begin(ctx, lease, repo.Writing)
	if err != nil {
		return nil, fmt.Errorf("open the repository for writing: %w", err)
	}
	s, err := r.Standing(ctx)
	if err != nil {
		return nil, fmt.Errorf("open the repository for writing: %w", err)
	}
	return &Trust{shared: &shared{r: r, lease: l, recheck: recheck, asking: r.Asking(), standing: s, read: time.Now(), asked: map[ivd.PackID]*ivd.Damage{}}}, nil
}

// ForJob is the same trust with an account of its own.
func (t *Trust) ForJob() *Trust { return &Trust{shared: t.shared} }

// Size is what the lists, and the listings of packs that were asked for, take of memory,
// in bytes: it changes with Refresh, and as jobs ask.
func (t *shared) Size() int64 { return t.lists().Size() + t.asking.Size() }

// Lease returns the lease under which what is trusted is trusted.
func (t *shared) Lease() repo.Lease { return t.lease }

// retiredEvery is how old the lists of retired packs may be before Refresh reads
// them anew: two LISTs.
const retiredEvery = time.Minute

// Refresh reads the lists of retired packs anew, unless that was done just now: a
// run lasts for hours, and what was found damaged meanwhile is not built on by what
// begins after it.
func (t *shared) Refresh(ctx context.Context) error {
	t.mu.Lock()
	due := time.Since(t.read) >= retiredEvery
	if due {
		t.read = time.Now() // others need not wait for it
	}
	t.mu.Unlock()
	if !due {
		return nil
	}
	x, err := t.r.Retired(ctx)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.standing = t.standing.WithRetired(x)
	return nil
}

func (t *shared) lists() *repo.Standing {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.standing
}

// Ignored names the lists of retired packs that cannot be read.
func (t *shared) Ignored() []store.Name { return t.lists().Ignored }

// Retired reports whether a pack is on no list but that of retired packs: it is
// damaged, and not being deleted.
func (t *shared) Retired(pack ivd.PackID) bool {
	s := t.lists()
	return s.Retired.Pack(pack) && !s.Condemned(pack)
}

// Packs returns those of the packs that a new point must not name (W3), in the order of
// their ids: a pack must be neither condemned nor retired, and it must exist. KnownAt is
// the last moment, by the store's clock, at which all of them are known to have existed:
// when the parent that names them was sealed, or when they were stored; zero where that
// does not count (repo.KnownAt). Where that is too long ago the store is asked, once.
func (t *Trust) Packs(ctx context.Context, packs map[ivd.PackID]format.PackKind, knownAt time.Time) (bad []ivd.PackID, err error) {
	good, err := t.judge(ctx, packs, func(ivd.PackID) asking { return asking{knownAt: knownAt} })
	for pack := range packs {
		if !good[pack] {
			bad = append(bad, pack)
		}
	}
	slices.SortFunc(bad, func(a, b ivd.PackID) int { return bytes.Compare(a[:], b[:]) })
	return bad, err
}

// asking is what decides whether the store is asked for a pack.
type asking struct {
	knownAt time.Time // as Packs'
	always  bool      // whatever is known
	since   time.Time // whoever asked before us began no earlier; zero: there is no share to ask for
}

// judge returns those of the packs that may be named. It asks the store for those of which
// it must, all at once.
func (t *Trust) judge(ctx context.Context, packs map[ivd.PackID]format.PackKind, how func(ivd.PackID) asking) (map[ivd.PackID]bool, error) {
	var mu sync.Mutex
	good := make(map[ivd.PackID]bool, len(packs))
	ask := map[ivd.PackID]format.PackKind{}
	for pack, kind := range packs {
		ok, known := t.known(pack, how(pack))
		if good[pack] = ok; !known {
			ask[pack] = kind
		}
	}
	cost, err := t.asking.Look(ctx, ask, func(a repo.Answer) {
		t.learn(a.Pack, a.Damage)
		t.account.add(repo.Requests{}, a.Damage)
		mu.Lock()
		defer mu.Unlock()
		good[a.Pack] = a.Damage == nil
	})
	t.account.add(cost, nil)
	return good, err
}

// known reports whether a pack may be named, where the store need not be asked.
func (t *Trust) known(pack ivd.PackID, a asking) (good, known bool) {
	if t.lists().Pack(pack) {
		return false, true
	}
	now := t.r.Now()
	if !a.always && now.Sub(a.knownAt) < proofLife && (a.since.IsZero() || !due(pack, a.since, now, t.recheck)) {
		return true, true
	}
	t.mu.Lock()
	damage, known := t.asked[pack]
	t.mu.Unlock()
	t.account.add(repo.Requests{}, damage)
	return known && damage == nil, known
}

// keptAnswers bounds the memory of what was asked: some 100 bytes each. Good packs that
// are forgotten are asked for again; damage is kept.
const keptAnswers = 1 << 16

// learn takes note of what asking for a pack came to. Damage stays what it is, whatever is
// answered later: a reader may have found what asking does not show.
func (t *shared) learn(pack ivd.PackID, damage *ivd.Damage) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.asked[pack] != nil {
		return
	}
	if len(t.asked) >= keptAnswers {
		maps.DeleteFunc(t.asked, func(_ ivd.PackID, d *ivd.Damage) bool { return d == nil })
	}
	if damage != nil || len(t.asked) < keptAnswers {
		t.asked[pack] = damage
	}
}
