package script

import (
	"errors"
	"os"
	"path/filepath"
)

// Answer is one rule of answers.json: what the vCenter answers to certain calls about
// disks, instead of what is true. Of several rules the first that fits counts.
type Answer struct {
	Call  string `json:"call"`            // by the API's name: "RetrieveSnapshotDetails"
	Disk  string `json:"disk,omitempty"`  // empty: any
	Since string `json:"since,omitempty"` // of a question for areas, the change id that it has; empty: any
	From  int64  `json:"from,omitempty"`  // of a question for areas, the least offset that is asked from

	Fault    string   `json:"fault,omitempty"`     // by the API's name: "SystemError"
	Delay    Duration `json:"delay,omitzero"`      // before the answer, which is the true one if nothing else is said
	Lasts    Duration `json:"lasts,omitzero"`      // of DeleteSnapshot_Task: how long the task takes
	ChangeID *string  `json:"change_id,omitempty"` // of RetrieveSnapshotDetails
	Also     []string `json:"also,omitempty"`      // of ListVStorageObject: ids that it lists beside the true ones
	Anywhere bool     `json:"anywhere,omitempty"`  // of RetrieveVStorageObject: the disk is found on whatever datastore is asked
	Areas    *Areas   `json:"areas,omitempty"`     // of VstorageObjectVCenterQueryChangedDiskAreas
}

// Areas is an answer about changed areas.
type Areas struct {
	Start  *int64     `json:"start,omitempty"` // nil: as it was asked
	Length int64      `json:"length"`          // how much it covers
	Areas  [][2]int64 `json:"areas,omitempty"` // offsets and lengths
}

// WriteAnswers replaces answers.json of a laboratory's folder. Without rules, every
// answer is true.
func WriteAnswers(dir string, rules ...Answer) error {
	if len(rules) > 0 {
		return write(dir, "answers.json", rules)
	}
	err := os.Remove(filepath.Join(dir, "answers.json"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// ReadAnswers reads answers.json; without one, every answer is true.
func ReadAnswers(dir string) ([]Answer, error) {
	return read[[]Answer](dir, "answers.json")
}
