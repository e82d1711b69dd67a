package repo

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

// PutRun stores the record of a run that is over, runs/<domain>/<run>. To store it
// again is no error.
func (r *Repository) PutRun(ctx context.Context, run format.Run) error {
	name := r.runName(run.ID)
	run.Head, run.Incarnation = r.head(name), r.Incarnation()
	body, err := r.encode(name, run)
	if err != nil {
		return err
	}
	if err := r.st.Put(ctx, name, body); err != nil {
		return fmt.Errorf("store %s: %w", name, err)
	}
	return nil
}

// ReadRun reads the record of a run.
func (r *Repository) ReadRun(ctx context.Context, id ivd.RunID) (format.Run, error) {
	o, err := r.get(ctx, r.runName(id), format.MaxRecord)
	if err != nil {
		return format.Run{}, err
	}
	run, err := decode(ctx, r, o, format.RunMagic, format.DecodeRun)
	if err != nil {
		return format.Run{}, fmt.Errorf("%s: %w", o.Name, err)
	}
	return run, nil
}

// HasRun reports whether a run has a record.
func (r *Repository) HasRun(ctx context.Context, id ivd.RunID) (bool, error) {
	_, err := r.ReadRun(ctx, id)
	if ivd.KindOf(err) == ivd.NotFound {
		return false, nil
	}
	return err == nil, err
}

// Runs yields the runs that have a record, in no order. What else lies beside the
// records has a dot in its name.
func (r *Repository) Runs(ctx context.Context) iter.Seq2[ivd.RunID, error] {
	folder := r.folder(runsDir)
	return func(yield func(ivd.RunID, error) bool) {
		for info, err := range r.st.List(ctx, folder) {
			if err != nil {
				yield("", fmt.Errorf("list %s: %w", folder, err))
				return
			}
			id := string(info.Name[len(folder):])
			if !strings.Contains(id, ".") && !yield(ivd.RunID(id), nil) {
				return
			}
		}
	}
}
