// Package heads notices that a repository was brought back to an earlier state: it keeps
// outside of the bucket what was seen last of it, and compares before anything is written.
//
// The records of one coordinator's runs that one key signs are in an order, each with its
// number and the Sum of the one before. The last one is the head. A head that is gone,
// or is another record, is a repository that is older than what was seen; so is a lower
// generation of repo.json or of keys/ring. It promises that each record continues the one
// before, whatever dies: a record is written down here, whole, before it is stored. Only
// an adoption makes a state count that is not what was seen. Safe for concurrent use.
package heads

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
)

// Head is the last record of a series.
type Head struct {
	repo.Series

	Sequence uint64        `json:"sequence"`
	Run      ivd.RunID     `json:"run"`
	Sum      ivd.ContentID `json:"sum"` // of the record's object
}

func headOf(s repo.StoredRun) Head { return Head{s.Series(), s.Sequence, s.ID, s.Sum} }

func (h Head) String() string {
	return fmt.Sprintf("record %d of coordinator %s, run %s", h.Sequence, h.Coordinator, h.Run)
}

// Heads are what was seen last of a repository.
type Heads struct {
	Repository  string            `json:"repository"`
	Domain      ivd.DomainID      `json:"domain"`
	Incarnation ivd.IncarnationID `json:"incarnation"`
	Generation  uint64            `json:"generation"`     // of repo.json
	Ring        uint64            `json:"ring,omitempty"` // generation of keys/ring
	Heads       []Head            `json:"heads"`
}

// of is the head of a series.
func (h *Heads) of(s repo.Series) (Head, bool) {
	i := slices.IndexFunc(h.Heads, func(h Head) bool { return h.Series == s })
	if i < 0 {
		return Head{Series: s}, false
	}
	return h.Heads[i], true
}

// set has a series end there.
func (h *Heads) set(head Head) {
	if i := slices.IndexFunc(h.Heads, func(h Head) bool { return h.Series == head.Series }); i >= 0 {
		h.Heads[i] = head
		return
	}
	h.Heads = append(h.Heads, head)
}

// ErrEarlier is in the chain of the error of a repository that is not what was seen of it.
var ErrEarlier = repo.ErrEarlier

func earlier(format string, args ...any) error {
	return &ivd.Error{Kind: ivd.Permanent, Err: fmt.Errorf("%w: %s", ErrEarlier, fmt.Sprintf(format, args...)), Remedy: repo.EarlierRemedy}
}

// Keeper keeps the heads of one repository in a file.
type Keeper struct {
	repo    *repo.Repository
	own     repo.Series
	file    string
	log     *slog.Logger
	mu      sync.Mutex
	noted   note               // guarded by mu, like what follows
	unread  error              // why the file cannot be read
	seen    map[ivd.RunID]bool // runs whose records were looked at
	earlier error              // what Check has found last
}

// Open reads what was seen of a repository, in a folder of the coordinator's own. A file
// that cannot be read is what Check tells: nothing is written before a person looked.
func Open(dir string, r *repo.Repository, coordinator string, log *slog.Logger) *Keeper {
	k := &Keeper{repo: r, own: r.SeriesOf(coordinator), file: File(dir, r.ID()), log: log, seen: map[ivd.RunID]bool{}}
	k.noted, k.unread = read(k.file)
	return k
}

// Check compares the repository with what was seen of it, and takes note of what is new.
// Kind Permanent, with ErrEarlier: it is not what was seen. It is called before a lease
// to write is opened.
func (k *Keeper) Check(ctx context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	err := k.check(ctx)
	k.report(err)
	return err
}

// State is what Check has found last.
func (k *Keeper) State() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.earlier == nil {
		return k.unread
	}
	return k.earlier
}

// report has the log say once what has been found; where nothing could be found out, what
// was found before stands.
func (k *Keeper) report(err error) {
	bad := k.unread != nil || errors.Is(err, ErrEarlier)
	switch {
	case err != nil && !bad:
		return
	case bad && (k.earlier == nil || k.earlier.Error() != err.Error()):
		k.log.Error("nothing is written to the repository until a person has looked", "err", err, "remedy", ivd.RemedyOf(err))
	case !bad && k.earlier != nil:
		k.log.Info("the repository is again what was seen of it")
	}
	k.earlier = err
}

func (k *Keeper) check(ctx context.Context) error {
	if k.unread != nil {
		return k.unread
	}
	info, err := k.repo.Look(ctx)
	if err != nil {
		return err
	}
	ring := k.repo.RingGeneration()
	before := k.noted
	switch adopted, err := k.noted.adopted(info, ring); {
	case err != nil:
		return err
	case adopted: // what was seen of it before is forgotten
		k.log.Warn("the repository was adopted: what was seen of it before counts no longer", "incarnation", info.Incarnation, "before", k.noted.Incarnation)
		k.noted, k.seen = note{}, map[ivd.RunID]bool{}
	}
	next := Heads{info.ID, k.repo.Domain(), info.Incarnation, info.Generation, ring, slices.Clone(k.noted.Heads.Heads)}
	if err := Compare(ctx, k.repo, next.Heads); err != nil {
		return err
	}
	found, err := k.discover(ctx)
	if err != nil {
		return err
	}
	passed := slices.Clone(k.noted.Passed)
	for _, s := range found {
		if _, bound := k.noted.of(s.Series()); !bound {
			passed = append(passed, next.begin(s)...)
			continue
		}
		if err := k.advance(ctx, &next, s); err != nil {
			return err
		}
	}
	for _, s := range found {
		k.seen[s.ID] = true
	}
	k.noted.Heads, k.noted.Passed = next, passed
	if k.noted.equal(before) {
		return nil
	}
	if err := k.noted.write(k.file); err != nil {
		k.log.Warn("writing down what was seen of the repository failed: it is noticed less surely when the repository is brought back to an earlier state", "file", k.file, "err", err)
	}
	return nil
}

// adopted reports whether a person has adopted the repository since. It refuses
// generations that are lower than those that were seen.
func (h Heads) adopted(info repo.Info, ring uint64) (bool, error) {
	switch {
	case h.Incarnation == "" || h.Incarnation == info.Incarnation && info.Generation >= h.Generation && ring >= h.Ring:
		return false, nil
	case info.Generation > h.Generation && info.Incarnation != h.Incarnation:
		return true, nil
	}
	return false, earlier("generation %d of incarnation %s with keys of generation %d, where generation %d of incarnation %s with keys of generation %d was seen",
		info.Generation, info.Incarnation, ring, h.Generation, h.Incarnation, h.Ring)
}

// Since compares a repository with what was seen of it, as Check does. Kind Invalid: that
// was seen of another one. A repository that a person has adopted since is another state
// by intent.
func Since(ctx context.Context, r *repo.Repository, was Heads) error {
	info, err := r.Look(ctx)
	switch {
	case err != nil:
		return err
	case was.Repository != info.ID || was.Domain != r.Domain():
		return &ivd.Error{Kind: ivd.Invalid, Err: fmt.Errorf("that was seen of domain %s of repository %s, and here is domain %s of repository %s", was.Domain, was.Repository, r.Domain(), info.ID), Remedy: "compare with what was printed of this one"}
	}
	if adopted, err := was.adopted(info, r.RingGeneration()); adopted || err != nil {
		return err
	}
	return Compare(ctx, r, was.Heads)
}

// Compare asks the repository for the record that each head names.
func Compare(ctx context.Context, r *repo.Repository, heads []Head) error {
	for _, h := range heads {
		s, err := r.ReadStoredRun(ctx, h.Run)
		switch {
		case ivd.KindOf(err) == ivd.NotFound:
			return earlier("%s, is gone", h)
		case s.Sum.IsZero(): // it could not be asked for
			return fmt.Errorf("look for %s: %w", h, err)
		case s.Sum != h.Sum:
			return earlier("%s, is another one than was seen", h)
		}
	}
	return nil
}

// begin has a series of which nothing was noted end with the last of its records, in the
// order of their numbers: with nothing to compare, they are what counts, however they hang
// together. So an adoption heals a series with a gap, or with two records of one number.
// It returns the run that is passed over for another one of its number.
func (h *Heads) begin(s repo.StoredRun) (passed []ivd.RunID) {
	if head, known := h.of(s.Series()); known && head.Sequence == s.Sequence {
		passed = append(passed, head.Run)
	}
	h.set(headOf(s))
	return passed
}

// advance has a series end with a record that was found, if that is newer than its head
// and continues it.
func (k *Keeper) advance(ctx context.Context, h *Heads, s repo.StoredRun) error {
	head, known := h.of(s.Series())
	switch {
	case s.Sequence < head.Sequence:
		return nil
	case s.Sequence == head.Sequence && s.Sum != head.Sum:
		return earlier("%s, and run %s has the same number: two coordinators may share one state_dir, or a copy of it", head, s.ID)
	case known:
		if err := k.continues(ctx, head, s); err != nil {
			return err
		}
	}
	h.set(headOf(s))
	return nil
}

// continues follows the records from one back to a head.
func (k *Keeper) continues(ctx context.Context, head Head, s repo.StoredRun) error {
	for newest := s; s.Sequence > head.Sequence; {
		before, err := k.repo.ReadStoredRun(ctx, s.Previous.Run)
		switch {
		case ivd.KindOf(err) == ivd.NotFound:
			return earlier("record %d of coordinator %s, run %s, is gone, which run %s continues", s.Sequence-1, s.Coordinator, s.Previous.Run, s.ID)
		case before.Sum.IsZero():
			return err
		case before.Sum != s.Previous.Sum || s.Sequence == head.Sequence+1 && before.Sum != head.Sum:
			return earlier("run %s does not continue %s", newest.ID, head)
		case err != nil:
			return err
		case before.Series() != s.Series() || before.Sequence != s.Sequence-1:
			return earlier("run %s does not continue %s", s.ID, head)
		}
		s = before
	}
	return nil
}
