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

// StoreRefusal is why the store must not be used, by what it was found to do when it was
// tried last; nil where it may be, or nobody knows. Kind Unsupported: it must not. Any
// other kind: that could not be asked. What cannot be read says nothing.
func (r *Repository) StoreRefusal(ctx context.Context) error {
	v, err := r.StoreVerdict(ctx)
	switch ivd.KindOf(err) {
	case ivd.NotFound, ivd.Corrupt, ivd.Unsupported, ivd.Denied:
		return nil
	}
	if err != nil {
		return err
	}
	f := v.Forbids()
	if f == nil {
		return nil
	}
	return &ivd.Error{
		Kind: ivd.Unsupported, Op: "use the store " + r.st.String(),
		Err:    fmt.Errorf("when it was tried on %s it did not keep what it must (%s): %s", v.Checked.UTC().Format(time.RFC3339), f.Name, f.Why),
		Remedy: "use another store, or mend this one and run `ivd repo check-store`",
	}
}
