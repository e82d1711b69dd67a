package format

import (
	"fmt"
	"time"

	"ivdmover/shared/ivd"
)

// Restored is the record that a restore has ended, restores/<domain>/<run>-<item>. It
// is stored before the disk gets its final name: who finds it does not write to that
// disk any more, and does not delete it.
type Restored struct {
	Head
	Run       ivd.RunID       `json:"run"`
	Item      string          `json:"item"`  // the item's key in the run
	Point     ivd.PointID     `json:"point"` // that was restored
	Source    ivd.SourceID    `json:"source"`
	Datastore ivd.DatastoreID `json:"datastore"`
	Disk      ivd.DiskID      `json:"disk"`  // that the restore has made, there
	Name      string          `json:"name"`  // that it is to have
	Ended     time.Time       `json:"ended"` // by the store's clock
}

const restoresFolder = "restores/"

// RestoredObject is the name of the record of a restore.
func RestoredObject(domain ivd.DomainID, run ivd.RunID, item string) string {
	return restoresFolder + domain.String() + "/" + string(run) + "-" + item
}

// Encode is the record's object.
func (r Restored) Encode() ([]byte, error) {
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("encode the end of a restore: %w", err)
	}
	return encodeRecord(RestoredMagic, r)
}

// DecodeRestored reads a record's object.
func DecodeRestored(b []byte, at At) (Restored, error) {
	var r Restored
	if err := decodeRecord(RestoredMagic, b, at, &r); err != nil {
		return Restored{}, err
	}
	return r, r.check()
}

func (r Restored) check() error {
	switch {
	case r.Run == "" || r.Item == "" || r.Object != RestoredObject(r.Domain, r.Run, r.Item):
		return corrupt("%s: it is of item %q of run %q", r.Object, r.Item, r.Run)
	case r.Source == "" || r.Datastore == "" || r.Disk == "" || r.Name == "" || r.Ended.IsZero():
		return corrupt("%s: it does not say which disk, its name, or when", r.Object)
	}
	if _, err := ivd.ParsePointID(string(r.Point)); err != nil || r.Point.Domain() != r.Domain {
		return corrupt("%s: it names %q, which is no point of its domain", r.Object, r.Point)
	}
	return nil
}
