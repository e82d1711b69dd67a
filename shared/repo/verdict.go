package repo

import (
	"context"
	"fmt"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/store"
)

const storeName store.Name = format.StoreObject

// PutStoreVerdict stores what the repository's store was found to do, in place of what
// was stored before.
func (r *Repository) PutStoreVerdict(ctx context.Context, findings []format.StoreFinding) error {
	v := format.StoreVerdict{Head: r.head(storeName), Store: r.st.String(), Checked: time.Now().UTC().Truncate(time.Second), Probes: findings}
	body, err := r.encode(storeName, v)
	if err == nil {
		err = r.st.Put(ctx, storeName, body)
	}
	if err != nil {
		return fmt.Errorf("store %s: %w", storeName, err)
	}
	return nil
}

// StoreVerdict is what the repository's store was found to do when it was tried last.
// Kind NotFound: it was not tried, or what was tried is another store.
func (r *Repository) StoreVerdict(ctx context.Context) (format.StoreVerdict, error) {
	o, err := r.get(ctx, storeName, format.MaxRecord)
	if err != nil {
		return format.StoreVerdict{}, err
	}
	v, err := decode(ctx, r, o, format.StoreMagic, format.DecodeStoreVerdict)
	if err != nil {
		return format.StoreVerdict{}, fmt.Errorf("%s: %w", storeName, err)
	}
	if v.Store != r.st.String() {
		return format.StoreVerdict{}, notTried(v.Store)
	}
	return v, nil
}

// notTried is why a verdict says nothing of the store that there is.
func notTried(other string) error {
	return ivd.Errorf(ivd.NotFound, "%s tells of another store, %s", storeName, other)
}
