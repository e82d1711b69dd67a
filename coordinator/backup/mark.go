package backup

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"ivdmover/coordinator/engine"
	"ivdmover/coordinator/inventory"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
)

const (
	markPrefix = "ivdmover run "
	markOf     = " of "
	// examinedPrefix begins the mark of an examination, whose name it begins, too: what is true
	// of a run's snapshots and its lease is true of an examination's.
	examinedPrefix  = "ivdmover " + examinationName
	examinationName = "examination-"
)

// Mark is the description of a run's snapshots; by it they are ours. It names the run
// and the repository, which others know nothing of; and of that the incarnation, since a
// copy of a repository has its id.
func Mark(r *repo.Repository, run ivd.RunID) string {
	return markPrefix + string(run) + markOf + Here(r)
}

// Here is what marks call the repository.
func Here(r *repo.Repository) string { return fmt.Sprintf("%s.%.8s", r.ID(), r.Incarnation()) }

// Marked is what a snapshot's description says of who made it.
type Marked struct {
	Run        ivd.RunID
	Repository string // empty: an older program has made it, which did not say
}

// runName is what a run can be called; another text is nobody's mark.
var runName = regexp.MustCompile(`^[0-9a-z-]{1,64}$`)

// ReadMark reads a description; false: neither a backup nor an examination has made the
// snapshot.
func ReadMark(description string) (m Marked, ok bool) {
	text, ok := strings.CutPrefix(description, markPrefix)
	if !ok {
		text, ok = strings.CutPrefix(description, examinedPrefix)
		text = examinationName + text
	}
	run, repository, _ := strings.Cut(text, markOf)
	return Marked{ivd.RunID(run), repository}, ok && runName.MatchString(run)
}

// Ours reports whether a run of this repository has made it.
func (w *Workflow) Ours(m Marked) bool { return m.Repository == Here(w.Repo) }

// standing is what is known of a run whose snapshot was found. It is asked for after that:
// a run has its lease before it asks for a snapshot.
type standing struct {
	known  bool // here
	over   bool // as far as it is known
	leased bool // a lease of the run stands, by the store's clock, or may
}

func (w *Workflow) standing(ctx context.Context, r engine.Records, run ivd.RunID, ref ivd.DiskRef) (s standing, err error) {
	s.over, err = r.RunOver(ctx, run)
	s.known = err == nil
	if ivd.KindOf(err) == ivd.NotFound {
		err = nil
	}
	if err != nil {
		return s, fmt.Errorf("is run %s over: %w", run, err)
	}
	for _, k := range w.Keys(ref) {
		if r.ItemOver(ctx, run, k) {
			s.known, s.over = true, true
		}
	}
	s.leased, err = w.leased(ctx, run)
	return s, err
}

// leased reports whether a lease of a run stands: its deadline and the margin are not
// past. One that cannot be read may be the run's.
func (w *Workflow) leased(ctx context.Context, run ivd.RunID) (bool, error) {
	for l, err := range w.Repo.Leases(ctx) {
		if err != nil {
			return false, fmt.Errorf("has run %s a lease: %w", run, err)
		}
		if (l.Run == run || l.Unknown != nil) && w.Repo.Now().Before(l.Deadline.Add(repo.Margin)) {
			return true, nil
		}
	}
	return false, nil
}

// abandoned reports whether nobody works with a run's snapshot: only then it is deleted
// unasked.
func (s standing) abandoned() bool { return (s.over || !s.known) && !s.leased }

// ended reports whether the run itself will not delete its snapshot any more. Where it
// is known here, what is known counts, and the ledger tries likewise.
func (s standing) ended() bool { return s.known && s.over || s.abandoned() }

// MayDelete refuses the deletion of a snapshot that somebody works with, or that no
// backup has made. Of other repositories nothing is known: a person answers for that.
func (w *Workflow) MayDelete(ctx context.Context, r engine.Records, ref ivd.DiskRef, description string) error {
	m, ok := ReadMark(description)
	if !ok {
		return &ivd.Error{Kind: ivd.Denied, Err: fmt.Errorf("no backup has made the snapshot %q", description), Remedy: "delete it in vSphere, if it is to go"}
	}
	if !w.Ours(m) {
		return nil
	}
	s, err := w.standing(ctx, r, m.Run, ref)
	if err == nil && !s.ended() {
		e := &ivd.Error{
			Kind: ivd.Locked, Err: fmt.Errorf("run %s is under way, or its lease still stands", m.Run),
			Remedy: "wait for its end, or end it with `ivd run cancel " + string(m.Run) + "`",
		}
		if !s.known {
			e.Remedy = "end it where it is known; if nobody knows it any more, its snapshot goes by itself when the lease is over, about a day after the run has opened it"
		}
		if strings.HasPrefix(string(m.Run), examinationName) {
			e.Remedy = "wait for the end of `ivd-mover doctor`: an examination takes half an hour at most, and its lease is over after an hour and a half"
		}
		err = e
	}
	return err
}

// makeWay deletes what runs of ours have left of a disk, before another snapshot is made
// of it: where it cannot be deleted, none is.
func (t *task) makeWay(ctx context.Context, snaps []inventory.Snapshot) error {
	for _, snap := range slices.Backward(snaps) {
		m, ok := ReadMark(snap.Description)
		if !ok || !t.w.Ours(m) || m.Run == t.run() {
			continue
		}
		s, err := t.w.standing(ctx, t.g.Records(), m.Run, t.disk.Ref)
		if err != nil {
			return err
		}
		if !s.ended() {
			continue // another coordinator's run reads it
		}
		t.log.Warn("a snapshot was left by a run that is over, and is deleted before another one is made", "left_by", m.Run, "snapshot", snap.ID)
		if err := t.vc.DeleteSnapshot(ctx, t.disk.Ref, snap.ID); err != nil {
			return &ivd.Error{
				Op: fmt.Sprintf("delete snapshot %s, which run %s has left", snap.ID, m.Run), Err: err,
				Remedy: "no other snapshot is made before it is gone: look at the disk in vSphere, then `ivd snapshots delete " + string(snap.ID) + "`",
			}
		}
	}
	return nil
}
