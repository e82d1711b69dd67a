package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"ivdmover/coordinator/catalogue"
	"ivdmover/coordinator/cli/text"
	"ivdmover/shared/damage"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
)

// writerOptions are those of a command that says something of all that a writer stored.
type writerOptions struct {
	writer      string
	dryRun, yes bool
	reason      string
}

// packsOrWriter checks what packs a command is told of: by their ids, or by who wrote
// them.
func packsOrWriter(o writerOptions, args []string) error {
	switch {
	case o.writer == "" && (o.dryRun || o.yes):
		return usagef("--dry-run and --yes go with --writer")
	case o.writer == "" && len(args) == 0:
		return usagef("which packs is not said: give their ids, or --writer")
	case o.writer != "" && len(args) > 0:
		return usagef("give packs or --writer, not both")
	case o.writer != "" && o.dryRun == o.yes:
		return usagef("--writer is about many packs: see with --dry-run which, and then give --yes")
	}
	return nil
}

// writerJudge is what is said of the packs of a writer.
type writerJudge struct {
	done, would string
	retired     bool // it is about packs that are retired, or else about those that are not
	judge       func(context.Context, *repo.Repository, string, damage.Packs) (done []ivd.PackID, not []ivd.Damage, err error)
}

func retireWritten(ctx context.Context, r *repo.Repository, reason string, packs damage.Packs) ([]ivd.PackID, []ivd.Damage, error) {
	return packs.IDs(), nil, r.Retire(ctx, reason, packs.IDs())
}

func liftWritten(ctx context.Context, r *repo.Repository, reason string, packs damage.Packs) ([]ivd.PackID, []ivd.Damage, error) {
	whole, not, err := damage.Whole(ctx, r, packs)
	if err != nil || len(whole) == 0 {
		return nil, not, err
	}
	return whole, not, r.Unretire(ctx, reason, whole)
}

// writerVerdict is what was said of a writer's packs, as it is printed.
type writerVerdict struct {
	Writers []shownWriter `json:"writers"`
	Packs   []ivd.PackID  `json:"packs"`
	Unnamed int           `json:"unneeded_packs"` // of all that the writers stored
	Points  []shownHurt   `json:"points"`
	Damaged []ivd.Damage  `json:"damaged"` // packs that are not lifted
	Reason  string        `json:"reason"`
	DryRun  bool          `json:"dry_run"`
}

type shownWriter struct {
	ID    ivd.WriterID `json:"id"`
	Mover string       `json:"mover"`
	Began *time.Time   `json:"began"`
	// Until is when its lease ends, where that stands: it may be at work.
	Until *time.Time `json:"at_work_until"`
}

type shownHurt struct {
	ID      ivd.PointID `json:"id"`
	ShortID string      `json:"short_id"`
	Name    string      `json:"name"`
	Time    time.Time   `json:"time"`
	Packs   int         `json:"packs"`
}

// judgeWriter says something of all packs that a writer has stored.
func (a *app) judgeWriter(ctx context.Context, r *repo.Repository, o writerOptions, j writerJudge) error {
	v := writerVerdict{Packs: []ivd.PackID{}, Points: []shownHurt{}, Damaged: []ivd.Damage{}, Reason: o.reason, DryRun: o.dryRun}
	var not unlisted
	var err error
	if v.Writers, err = writersOf(ctx, r, o.writer, &not); err != nil {
		return err
	}
	found, err := catalogue.New(r).Written(ctx, func(id ivd.WriterID) bool {
		return slices.ContainsFunc(v.Writers, func(w shownWriter) bool { return w.ID == id })
	})
	if err != nil {
		return err
	}
	for _, err := range found.Unread {
		not.add("whose it is, or what it needs", ivd.FailureOf(err))
	}
	retired, err := r.Retired(ctx)
	if err != nil {
		return err
	}
	for id := range found.Packs {
		if retired.Pack(id) != j.retired {
			delete(found.Packs, id)
		}
	}
	v.Unnamed = found.Unnamed
	for _, p := range found.Points {
		if n := len(slices.DeleteFunc(p.Damaged, func(id ivd.PackID) bool { _, ok := found.Packs[id]; return !ok })); n > 0 {
			at, _ := p.Moment()
			v.Points = append(v.Points, shownHurt{ID: p.ID, ShortID: p.Short, Name: p.Name, Time: at, Packs: n})
		}
	}
	switch {
	case o.dryRun:
		v.Packs = found.Packs.IDs()
	case len(found.Packs) > 0:
		var damaged []ivd.Damage
		if v.Packs, damaged, err = j.judge(ctx, r, o.reason, found.Packs); err != nil {
			return err
		}
		for _, d := range damaged {
			not.add("pack "+d.Pack.String(), &ivd.Failure{Message: d.Why})
		}
		v.Packs, v.Damaged = append([]ivd.PackID{}, v.Packs...), append(v.Damaged, damaged...)
	}
	err = a.show(v, func(w io.Writer) error {
		return errors.Join(v.write(w, j), not.write(w, "not "+j.done+", or not known"))
	})
	if err == nil && len(not) > 0 {
		err = marked{errPartly, fmt.Sprintf("not %s, or not known: %d, such as %s", j.done, len(not), not[0])}
	}
	return err
}

// writersOf finds the writers that a text means: one by its id, or those of a mover.
func writersOf(ctx context.Context, r *repo.Repository, name string, not *unlisted) ([]shownWriter, error) {
	all, err := r.Writers(ctx)
	if err != nil {
		return nil, err
	}
	stands := map[ivd.LeaseID]time.Time{}
	for l, err := range r.Leases(ctx) {
		if err != nil {
			return nil, err
		}
		if l.Deadline.After(r.Now()) {
			stands[l.ID] = l.Deadline
		}
	}
	var id ivd.WriterID
	byID := id.UnmarshalText([]byte(name)) == nil
	var chosen []shownWriter
	for _, w := range all {
		if w.Unknown != nil && !byID {
			not.add("writer "+w.ID.String(), ivd.FailureOf(w.Unknown))
		}
		if w.ID != id && (byID || w.Unknown != nil || w.Mover != name) {
			continue
		}
		shown := shownWriter{ID: w.ID, Mover: w.Mover}
		if w.Unknown == nil {
			shown.Began = &w.Created
		}
		if until, ok := stands[w.Lease]; ok {
			shown.Until = &until
		}
		chosen = append(chosen, shown)
	}
	switch {
	case len(chosen) > 0:
		return chosen, nil
	case byID: // its record may be gone, its packs may not
		return []shownWriter{{ID: id}}, nil
	}
	return nil, &ivd.Error{Kind: ivd.NotFound, Err: fmt.Errorf("no writer has worked as mover %q", name), Remedy: "give the name that `ivd movers` or `ivd run show` shows, or a writer's id, which is its record's name below writers/"}
}

// hurtShown is how many points are named; JSON has all.
const hurtShown = 50

func (v writerVerdict) write(w io.Writer, j writerJudge) error {
	for _, x := range v.Writers {
		fmt.Fprintf(w, "writer %s", x.ID)
		if x.Began != nil {
			fmt.Fprintf(w, ", mover %s, began %s", text.Name(x.Mover), text.Time(*x.Began))
		}
		if x.Until != nil {
			fmt.Fprintf(w, "; it may be at work until %s: end the mover, and run this again", text.Time(*x.Until))
		}
		fmt.Fprintln(w)
	}
	what := j.done
	if v.DryRun {
		what = j.would
	}
	_, err := fmt.Fprintf(w, "%s: %d packs, needed by %d restore points\n", what, len(v.Packs), len(v.Points))
	for i, p := range v.Points {
		if i == hurtShown {
			_, err = fmt.Fprintf(w, "  and %d more\n", len(v.Points)-i)
			break
		}
		_, err = fmt.Fprintf(w, "  %s  %s  %s: %d packs\n", p.ShortID, text.Name(p.Name), text.Time(p.Time), p.Packs)
	}
	return err
}
