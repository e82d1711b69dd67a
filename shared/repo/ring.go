package repo

import (
	"context"
	"fmt"
	"sync"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/keys"
)

// ringSeen is what is known of the ring that was read last.
type ringSeen struct {
	mu    sync.Mutex
	sum   ivd.ContentID // guarded by mu: of its object
	asked time.Time     // guarded by mu: when it was asked for because of a key that is not known
}

// renewEvery is how often the ring is asked for because of keys that are not known.
const renewEvery = 5 * time.Second

// renew reads the ring anew, so that what is sealed and signed from now on is so with the
// keys that are in use, and so that who may no longer sign finds out. A ring of a lower
// generation than one that was seen is refused.
func (r *Repository) renew(ctx context.Context) error {
	s := &r.secrecy
	if s.made == nil {
		return nil
	}
	before := r.RingGeneration()
	o, err := r.get(ctx, ringName, maxRing)
	if err != nil {
		return err
	}
	sum := format.Sum(o.Body)
	s.ring.mu.Lock()
	defer s.ring.mu.Unlock()
	if sum == s.ring.sum {
		return nil
	}
	a, err := s.made(o.Body)
	if err != nil {
		return err
	}
	switch now := r.RingGeneration(); {
	case a.Generation() < before, a.Generation() == now:
		return r.olderRing(a.Generation(), now)
	case a.Generation() > now: // else a newer one was read meanwhile
		s.access.Store(a)
		s.ring.sum = sum
	}
	return nil
}

// olderRing is why a ring is not taken.
func (r *Repository) olderRing(generation, seen uint64) error {
	return &ivd.Error{
		Kind: ivd.Permanent, Op: fmt.Sprintf("%s of %s", ringName, r.st), Err: fmt.Errorf("%w: generation %d, where another ring of generation %d was seen before", ErrEarlier, generation, seen),
		Remedy: EarlierRemedy,
	}
}

// RingGeneration is that of the ring as it was read last; 0 in a plain repository.
func (r *Repository) RingGeneration() uint64 {
	if a := r.access(); a != nil {
		return a.Generation()
	}
	return 0
}

// renewed reads the ring anew where that was not done a moment ago, and reports whether
// there is a newer one than that which a was made of.
func (r *Repository) renewed(ctx context.Context, a *keys.Access) bool {
	s := &r.secrecy.ring
	s.mu.Lock()
	wait := time.Since(s.asked) < renewEvery
	if !wait {
		s.asked = time.Now()
	}
	s.mu.Unlock()
	if !wait && r.renew(ctx) != nil {
		return false // who asks has an error to tell already
	}
	return r.access() != a
}
