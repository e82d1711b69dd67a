package image

import (
	"slices"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

// Suspect is a pack of which something is missing or wrong, as far as one look says.
type Suspect struct {
	Pack ivd.PackID
	Kind format.PackKind
}

// Suspects returns the packs of which something could not be read as it was stored,
// each once. Whoever looks closer reads them whole (repo.CheckPack).
func (im *Image) Suspects() []Suspect {
	im.suspecting.Lock()
	defer im.suspecting.Unlock()
	return slices.Clone(im.suspects)
}

// suspect notes the pack where the error says that something of it is gone or
// damaged, for sure, and returns the error.
func (im *Image) suspect(kind format.PackKind, pack ivd.PackID, err error) error {
	if k := ivd.KindOf(err); k != ivd.NotFound && k != ivd.Corrupt {
		return err
	}
	s := Suspect{pack, kind}
	im.suspecting.Lock()
	defer im.suspecting.Unlock()
	if !slices.Contains(im.suspects, s) {
		im.suspects = append(im.suspects, s)
	}
	return err
}
