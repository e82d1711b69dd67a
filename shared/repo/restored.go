package repo

import (
	"context"
	"fmt"
	"reflect"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/store"
)

// PutRestored stores the record that a restore has ended, once. A record that says
// the same already is no error, whenever it was stored and by which program. Kind
// Exists: there is one, and it says something else. After any other error the record
// may be there, or may still come.
func (r *Repository) PutRestored(ctx context.Context, end format.Restored) error {
	name := r.restoredName(end.Run, end.Item)
	end.Head, end.Ended = r.head(name), r.Now().UTC().Truncate(time.Second)
	body, err := r.encode(name, end)
	if err != nil {
		return err
	}
	err = create(ctx, r.st, name, body)
	if ivd.KindOf(err) == ivd.Exists {
		stored, readErr := r.ReadRestored(ctx, end.Run, end.Item)
		if readErr != nil {
			return readErr
		}
		stored.Head, stored.Ended = end.Head, end.Ended
		if reflect.DeepEqual(stored, end) {
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("store %s: %w", name, err)
	}
	return nil
}

// ReadRestored reads the record that a restore has ended. Kind NotFound: it has not.
func (r *Repository) ReadRestored(ctx context.Context, run ivd.RunID, item string) (format.Restored, error) {
	o, err := r.get(ctx, r.restoredName(run, item), format.MaxRecord)
	if err != nil {
		return format.Restored{}, err
	}
	end, err := decode(ctx, r, o, format.RestoredMagic, format.DecodeRestored)
	if err != nil {
		return format.Restored{}, fmt.Errorf("%s: %w", o.Name, err)
	}
	return end, nil
}

func (r *Repository) restoredName(run ivd.RunID, item string) store.Name {
	return store.Name(format.RestoredObject(r.domain, run, item))
}
