package repo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/pause"
)

// replaceAgain is the back-off of a replacement that others were faster than, or
// whose answer was lost.
var replaceAgain = pause.Backoff{First: 100 * time.Millisecond, Cap: 5 * time.Second, Attempts: 10}

// replaceInfo reads repo.json anew, has change change it, and stores it under the
// next generation, which is above another one too, on the condition that it is still
// what was read; where it is not, it begins again. Change must make the same of the same. Keys that this release does
// not know stay. A store that would replace what has changed is refused.
func (r *Repository) replaceInfo(ctx context.Context, use Use, above uint64, change func(*Info)) (Info, error) {
	if err := ProveReplace(ctx, r.st); err != nil {
		return Info{}, fmt.Errorf("replace %s: %w", repoName, err)
	}
	var next Info
	err := replaceAgain.Do(ctx, func(ctx context.Context) (err error) {
		next, err = r.replaceOnce(ctx, use, above, change)
		return err
	})
	if err != nil {
		return Info{}, fmt.Errorf("replace %s: %w", repoName, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if next.Generation > r.latest.Generation || r.unsigned != nil { // else another change was seen already
		r.latest = next
	}
	return next, nil
}

const (
	// mostGenerations is more than the changes of any repository.
	mostGenerations = 1 << 32
	// longestStep is more than what anybody has seen of a repository can be behind it.
	longestStep = 1000
)

// counted is the generation that repo.json has as far as it counts: what the root has not
// signed may say any. It is the highest that the root has signed, then; where that is lost,
// too, its own, if it is not far above what was seen: whoever writes to the store must not
// be able to use the generations up.
func (r *Repository) counted(ctx context.Context, info Info, seen uint64) (uint64, error) {
	if r.unsigned == nil {
		if !r.info.sealed() && info.Generation > mostGenerations { // nobody signs it
			return 0, &ivd.Error{Kind: ivd.Corrupt, Err: fmt.Errorf("%s says generation %d, which no repository comes to", repoName, info.Generation), Remedy: "find out who changed it, and put an earlier one back"}
		}
		return info.Generation, nil
	}
	s, _, err := r.readSigned(ctx)
	switch {
	case ivd.KindOf(err) == ivd.Corrupt: // that is lost, too
		return min(info.Generation, seen+longestStep), nil
	case err != nil:
		return 0, err
	}
	var highest uint64
	for _, state := range s.States {
		highest = max(highest, state.Generation)
	}
	return highest, nil
}

func (r *Repository) replaceOnce(ctx context.Context, use Use, above uint64, change func(*Info)) (Info, error) {
	info, was, err := r.read(ctx)
	switch {
	case err != nil:
	case r.unsigned != nil: // its generation is anybody's, and tells nothing of those to come
		err = r.same(info)
	default:
		err = r.saw(info)
	}
	if err == nil {
		err = info.Allows(use)
	}
	if err != nil {
		return Info{}, err
	}
	counted, err := r.counted(ctx, info, above)
	if err != nil {
		return Info{}, err
	}
	next := info
	change(&next)
	next.Generation, next.Program = max(counted, above)+1, program()
	body, err := encodeInfo(next, was.Body)
	if err != nil {
		return Info{}, err
	}
	if r.info.sealed() { // the signature of what was never stored signs nothing
		if err := r.sign(ctx, counted, was.Body, state{next, body}); err != nil {
			return Info{}, fmt.Errorf("sign it: %w", err)
		}
	}
	if err = r.st.Replace(ctx, was, body); err == nil {
		return next, nil
	}
	// Whatever the answer was, what is stored now decides: a request that was answered
	// with an error may have happened, and the condition keeps it from happening late.
	if now, readErr := r.get(ctx, repoName, maxInfo); readErr == nil && bytes.Equal(now.Body, body) {
		return next, nil
	}
	return Info{}, err
}

// encodeInfo is repo.json, with those keys of was that this release does not know.
func encodeInfo(i Info, was []byte) ([]byte, error) {
	body, err := json.Marshal(i)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", repoName, err)
	}
	known, old := map[string]json.RawMessage{}, map[string]json.RawMessage{}
	if err := json.Unmarshal(body, &known); err != nil {
		return nil, fmt.Errorf("encode %s: %w", repoName, err)
	}
	if was != nil {
		if err := json.Unmarshal(was, &old); err != nil { // it was read as strictly as is due
			return nil, fmt.Errorf("%s: %w", repoName, err)
		}
	}
	body = body[:len(body)-1]
	for _, key := range slices.Sorted(maps.Keys(old)) {
		if _, ok := known[key]; ok {
			continue
		}
		name, err := json.Marshal(key)
		if err != nil {
			return nil, fmt.Errorf("encode %s: %w", repoName, err)
		}
		body = append(append(append(append(body, ','), name...), ':'), old[key]...)
	}
	var b bytes.Buffer
	if err := json.Indent(&b, append(body, '}'), "", "  "); err != nil {
		return nil, fmt.Errorf("encode %s: %w", repoName, err)
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

// Adoption is what was done to adopt a repository.
type Adoption struct {
	Info    Info              // as it is now
	Before  ivd.IncarnationID // the one before
	Dropped []ivd.LeaseID     // of other incarnations: they were deleted
	Kept    []StoredLease     // that cannot be read: they stand until their deadlines

	Unsigned error // why repo.json as it was before did not count: the root had not signed it

	Ring RingAdopted // zero of a plain repository
}

// RingAdopted are the generations of the ring of a repository that is adopted.
type RingAdopted struct{ Seen, Found, Now uint64 }

// Lost reports whether the ring was older than somebody has seen it.
func (r RingAdopted) Lost() bool { return r.Found < r.Seen }

// Generations are those of repo.json and of keys/ring that somebody has seen.
type Generations struct {
	Info, Ring uint64
	OlderRing  bool // a ring of a lower generation is taken, whatever is lost with the newer one
}

// Adopt makes a copy of a repository, or one whose store was brought back to an
// earlier state, one of its own: it gets a new incarnation, in which nothing that was
// known of it before counts, and the leases of others are dropped. Nobody else may be
// at work on it. To do it again does no harm. An encrypted one must have been opened for
// it (Keys.Adopting).
func (r *Repository) Adopt(ctx context.Context) (Adoption, error) {
	return r.AdoptAbove(ctx, Generations{})
}

// AdoptAbove is Adopt where somebody has seen repo.json and the ring with those generations,
// and takes none that are lower. Kind Unmet, and nothing was done: the ring is older than
// that, and it was not said that it is taken.
func (r *Repository) AdoptAbove(ctx context.Context, seen Generations) (Adoption, error) {
	if now := r.RingGeneration(); r.info.sealed() && now < seen.Ring && !seen.OlderRing {
		return Adoption{}, &ivd.Error{
			Kind: ivd.Unmet, Op: fmt.Sprintf("adopt the repository at %s", r.st),
			Err:    fmt.Errorf("%s is of generation %d, and generation %d was seen: what is sealed to a data key that was made since could not be read any more, and a signer that was removed since could sign again", ringName, now, seen.Ring),
			Remedy: "put its last version back, from the bucket or a copy; where that is lost, `ivd repo adopt --older-ring` makes the older one count",
		}
	}
	id := ivd.NewIncarnationID()
	a := Adoption{Unsigned: r.unsigned}
	info, err := r.replaceInfo(ctx, Collecting, seen.Info, func(i *Info) { a.Before, i.Incarnation = i.Incarnation, id })
	if err != nil {
		return Adoption{}, fmt.Errorf("adopt the repository at %s: %w", r.st, err)
	}
	a.Info = info
	if a.Ring, err = r.raiseRing(ctx, seen.Ring); err != nil {
		return a, fmt.Errorf("bring the generation of %s above %d: %w", ringName, seen.Ring, err)
	}
	for l, err := range r.Leases(ctx) {
		switch {
		case err != nil:
			return a, fmt.Errorf("drop old leases: %w", err)
		case l.Unknown != nil:
			a.Kept = append(a.Kept, l)
		case l.Incarnation != id:
			if err := r.EndLease(ctx, l.ID); err != nil {
				return a, fmt.Errorf("drop old leases: %w", err)
			}
			a.Dropped = append(a.Dropped, l.ID)
		}
	}
	return a, nil
}
