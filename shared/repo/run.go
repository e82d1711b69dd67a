package repo

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

// StoredRun is the record of a run as it lies in the store.
type StoredRun struct {
	format.Run
	Signer ivd.KeyID     // whose signature holds; zero in a plain repository
	Sum    ivd.ContentID // of its object
}

// Series is whose records are in one order: a coordinator's that one key signs.
type Series struct {
	Coordinator string    `json:"coordinator"`
	Signer      ivd.KeyID `json:"signer,omitzero"` // zero in a plain repository
}

// Series is the one that the record is in.
func (s StoredRun) Series() Series { return Series{s.Coordinator, s.Signer} }

// SeriesOf is the one that records are in which this process stores for a coordinator.
func (r *Repository) SeriesOf(coordinator string) Series {
	s := Series{Coordinator: coordinator}
	if a := r.access(); a != nil {
		s.Signer = a.SignerOf(format.RunMagic)
	}
	return s
}

// EncodeRun makes the object of a run's record.
func (r *Repository) EncodeRun(run format.Run) ([]byte, error) {
	name := r.runName(run.ID)
	run.Head, run.Incarnation = r.head(name), r.Incarnation()
	return r.encode(name, run)
}

// CreateRun stores the object of a run's record, runs/<domain>/<run>, once. Kind Exists:
// there is another one. To store the same again is no error.
func (r *Repository) CreateRun(ctx context.Context, id ivd.RunID, object []byte) error {
	name := r.runName(id)
	err := create(ctx, r.st, name, object)
	if ivd.KindOf(err) == ivd.Exists {
		if same, readErr := r.sameObject(ctx, name, object); readErr != nil || same {
			err = readErr
		}
	}
	if err != nil {
		return fmt.Errorf("store %s: %w", name, err)
	}
	return nil
}

// PutRun stores the record of a run.
func (r *Repository) PutRun(ctx context.Context, run format.Run) error {
	object, err := r.EncodeRun(run)
	if err != nil {
		return err
	}
	return r.CreateRun(ctx, run.ID, object)
}

// ReadRun reads the record of a run.
func (r *Repository) ReadRun(ctx context.Context, id ivd.RunID) (format.Run, error) {
	s, err := r.ReadStoredRun(ctx, id)
	return s.Run, err
}

// ReadStoredRun reads the record of a run, and what it is known by. The Sum is told also
// where the record cannot be read.
func (r *Repository) ReadStoredRun(ctx context.Context, id ivd.RunID) (StoredRun, error) {
	o, err := r.get(ctx, r.runName(id), format.MaxRecord)
	if err != nil {
		return StoredRun{}, err
	}
	s := StoredRun{Sum: format.Sum(o.Body), Signer: format.SignerOf(o.Body)}
	if s.Run, err = decode(ctx, r, o, format.RunMagic, format.DecodeRun); err != nil {
		return s, fmt.Errorf("%s: %w", o.Name, err)
	}
	return s, nil
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
	return r.RunsFrom(ctx, "")
}

// RunsFrom yields those whose ids begin so.
func (r *Repository) RunsFrom(ctx context.Context, prefix string) iter.Seq2[ivd.RunID, error] {
	folder := r.folder(runsDir)
	return func(yield func(ivd.RunID, error) bool) {
		for info, err := range r.st.List(ctx, folder+prefix) {
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
