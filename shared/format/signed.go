package format

import (
	"fmt"

	"ivdmover/shared/ivd"
)

// Signed is repo.sig: which states of repo.json the root has signed. There are several
// while repo.json is being replaced: the new one is signed before it is stored.
type Signed struct {
	Head
	States []SignedState `json:"states"`
}

// SignedState is one state of repo.json.
type SignedState struct {
	Generation uint64        `json:"generation"`
	Sum        ivd.ContentID `json:"sum"` // of the object
}

// Encode is the object's record, not yet signed.
func (s Signed) Encode() ([]byte, error) {
	if err := s.check(); err != nil {
		return nil, fmt.Errorf("encode %s: %w", s.Object, err)
	}
	return encodeRecord(SignedMagic, s)
}

// DecodeSigned reads the record of repo.sig.
func DecodeSigned(b []byte, at At) (Signed, error) {
	var s Signed
	if err := decodeRecord(SignedMagic, b, at, &s); err != nil {
		return Signed{}, err
	}
	return s, s.check()
}

func (s Signed) check() error {
	if len(s.States) == 0 {
		return corrupt("%s signs nothing", s.Object)
	}
	for _, state := range s.States {
		if state.Generation == 0 || state.Sum.IsZero() {
			return corrupt("%s signs generation %d with Sum %s", s.Object, state.Generation, state.Sum)
		}
	}
	return nil
}
