package format

import (
	"fmt"
	"time"
)

// StoreObject is the name of the record of what a store was found to do.
const StoreObject = "store"

// StoreVerdict is the record of what the repository's store was found to do when it was
// tried, the object store. The newest replaces the one before.
type StoreVerdict struct {
	Head
	Store   string         `json:"store"`   // its address then: of another one the verdict says nothing
	Checked time.Time      `json:"checked"` // by the clock of who tried it
	Probes  []StoreFinding `json:"probes"`
}

// StoreFinding is what was seen of one promise.
type StoreFinding struct {
	Name     string       `json:"name"`
	Required bool         `json:"required"` // without it the store must not be used
	Outcome  StoreOutcome `json:"outcome"`
	Why      string       `json:"why,omitempty"` // it is not kept
	Lacks    string       `json:"lacks,omitempty"`
	Remedy   string       `json:"remedy,omitempty"`
}

// StoreOutcome says what was seen of a promise of a store.
type StoreOutcome string

// The outcomes.
const (
	StoreKept    StoreOutcome = "kept"
	StoreBroken  StoreOutcome = "broken"
	StoreDenied  StoreOutcome = "denied"  // to who tried it
	StoreUntried StoreOutcome = "untried" // it could not be tried
)

// Forbids is the first finding for which the store must not be used; nil: there is none.
func (v StoreVerdict) Forbids() *StoreFinding {
	for i, p := range v.Probes {
		if p.Required && p.Outcome == StoreBroken {
			return &v.Probes[i]
		}
	}
	return nil
}

// Encode is the record's object.
func (v StoreVerdict) Encode() ([]byte, error) {
	if err := v.check(); err != nil {
		return nil, fmt.Errorf("encode the verdict on a store: %w", err)
	}
	return encodeRecord(StoreMagic, v)
}

// DecodeStoreVerdict reads a record's object.
func DecodeStoreVerdict(b []byte, at At) (StoreVerdict, error) {
	var v StoreVerdict
	if err := decodeRecord(StoreMagic, b, at, &v); err != nil {
		return StoreVerdict{}, err
	}
	return v, v.check()
}

// maxFindings bounds the findings of a verdict.
const maxFindings = 1000

func (v StoreVerdict) check() error {
	if v.Store == "" || v.Checked.IsZero() || len(v.Probes) == 0 || len(v.Probes) > maxFindings {
		return corrupt("%s: it does not say of which store, when, or what", v.Object)
	}
	for _, p := range v.Probes {
		if p.Name == "" {
			return corrupt("%s: it has a finding without a name", v.Object)
		}
		if err := known(v.Object+": outcome of "+p.Name, p.Outcome, StoreKept, StoreBroken, StoreDenied, StoreUntried); err != nil {
			return err
		}
	}
	return nil
}
