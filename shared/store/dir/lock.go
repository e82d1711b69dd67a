package dir

import (
	"context"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/store"
)

// Lock is refused: whoever may write to a folder may delete what is in it.
func (s *Store) Lock(_ context.Context, name store.Name, _ time.Time) error {
	return ivd.Errorf(ivd.Unsupported, "lock %s: a folder locks nothing", name)
}

// LockedUntil is never.
func (s *Store) LockedUntil(ctx context.Context, _ store.Name) (time.Time, error) {
	return time.Time{}, ctx.Err()
}
