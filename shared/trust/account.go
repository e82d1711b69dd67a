package trust

import (
	"context"
	"encoding/binary"
	"math/bits"
	"sync"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
)

// account is what a job has asked, and what it has found.
type account struct {
	mu       sync.Mutex
	requests repo.Requests
	found    []ivd.Damage
	told     map[ivd.PackID]struct{}
}

// maxFound bounds how many packs a job tells of: their names travel in its record.
// What is beyond them is treated as absent all the same.
const maxFound = 500

func (a *account) add(requests repo.Requests, damage *ivd.Damage) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.requests.Add(requests)
	if damage == nil || len(a.told) >= maxFound {
		return
	}
	if _, told := a.told[damage.Pack]; told {
		return
	}
	if a.told == nil {
		a.told = map[ivd.PackID]struct{}{}
	}
	a.told[damage.Pack] = struct{}{}
	a.found = append(a.found, *damage)
}

// Account returns how many requests the job has asked the store with for packs, and
// which it has found damaged, since it was called before. A pack is told of once.
func (t *Trust) Account() (requests repo.Requests, found []ivd.Damage) {
	a := &t.account
	a.mu.Lock()
	defer a.mu.Unlock()
	requests, found = a.requests, a.found
	a.requests, a.found = repo.Requests{}, nil
	return requests, found
}

// Suspect reads a pack whole, of which something could not be read or was wrong: it
// is told of where it is damaged, and not trusted any more. Tick is called now and
// then.
func (t *Trust) Suspect(ctx context.Context, kind format.PackKind, pack ivd.PackID, tick func()) error {
	t.mu.Lock()
	damage, ok := t.asked[pack]
	t.mu.Unlock()
	if !ok || damage == nil { // that it was there, in its length, says nothing of its content
		var err error
		if damage, err = t.r.CheckPack(ctx, kind, pack, tick); err != nil {
			return err
		}
		t.learn(pack, damage)
	}
	t.account.add(repo.Requests{}, damage)
	return nil
}

// due reports whether a pack's turn to be asked for came after since and not after
// now. Each has one turn in each period, at a moment that its id says: so each is
// asked for within a period, whoever builds on it, and those that are due together
// lie together by name.
func due(pack ivd.PackID, since, now time.Time, period time.Duration) bool {
	if period <= 0 || now.Sub(since) >= period {
		return true
	}
	hi, _ := bits.Mul64(binary.BigEndian.Uint64(pack[:]), uint64(period))
	turns := func(t time.Time) int64 { // how many were over by then
		n := t.UnixNano() - int64(hi)
		q := n / int64(period)
		if n < 0 {
			q--
		}
		return q
	}
	return turns(now) > turns(since)
}
