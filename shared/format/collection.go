package format

import (
	"fmt"
	"time"

	"ivdmover/shared/ivd"
)

// Waits is the record of what a collection waits for, collect/<domain>/<n>/waits: the
// leases that were there after its condemned list was published.
type Waits struct {
	Head
	Listed time.Time     `json:"listed"` // by the store's clock
	Leases []WaitedLease `json:"leases"`
}

// WaitedLease is a lease that a collection waits for: until it is gone, or past its
// deadline.
type WaitedLease struct {
	ID       ivd.LeaseID `json:"id"`
	Kind     LeaseKind   `json:"kind,omitempty"` // like the owner for people, and empty where the lease cannot be read
	Owner    string      `json:"owner,omitempty"`
	Deadline time.Time   `json:"deadline"` // by the store's clock
}

// Encode is the record's object.
func (w Waits) Encode() ([]byte, error) {
	if w.Leases == nil {
		w.Leases = []WaitedLease{}
	}
	if err := w.check(); err != nil {
		return nil, fmt.Errorf("encode what a collection waits for: %w", err)
	}
	return encodeRecord(WaitsMagic, w)
}

// DecodeWaits reads a record's object.
func DecodeWaits(b []byte, at At) (Waits, error) {
	var w Waits
	if err := decodeRecord(WaitsMagic, b, at, &w); err != nil {
		return Waits{}, err
	}
	return w, w.check()
}

func (w Waits) check() error {
	if w.Listed.IsZero() {
		return corrupt("%s: it does not say when the leases were listed", w.Object)
	}
	for _, l := range w.Leases {
		if l.ID == "" || l.Deadline.IsZero() {
			return corrupt("%s: lease %q without a name or a deadline", w.Object, l.ID)
		}
	}
	return nil
}

// Done is the record that the work of a condemned list is done,
// collect/<domain>/<n>/done: all that it names is deleted, but for what was spared.
type Done struct {
	Head
	Ended   time.Time `json:"ended"` // by the store's clock
	Deleted Counts    `json:"deleted"`
	Spared  Counts    `json:"spared"` // since points need it that are not on the list
}

// Counts are how much of a list something is true of.
type Counts struct {
	Points  int64 `json:"points"`
	Packs   int64 `json:"packs"`
	Writers int64 `json:"writers"`
}

// Encode is the record's object.
func (d Done) Encode() ([]byte, error) {
	if err := d.check(); err != nil {
		return nil, fmt.Errorf("encode the end of a collection: %w", err)
	}
	return encodeRecord(DoneMagic, d)
}

// DecodeDone reads a record's object.
func DecodeDone(b []byte, at At) (Done, error) {
	var d Done
	if err := decodeRecord(DoneMagic, b, at, &d); err != nil {
		return Done{}, err
	}
	return d, d.check()
}

func (d Done) check() error {
	if d.Ended.IsZero() {
		return corrupt("%s: it does not say when", d.Object)
	}
	return nil
}
