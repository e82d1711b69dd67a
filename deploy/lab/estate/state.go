package estate

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/google/uuid"

	"ivdmover/shared/ivd"
)

// Disk is what the estate records of an IVD. Capacity and Tracking are known
// where a single disk was asked for.
type Disk struct {
	ID                 ivd.DiskID        `json:"id"`
	Name               string            `json:"name"`
	Datastore          string            `json:"datastore"`
	Path               string            `json:"path"` // of the descriptor, below the datastore
	Backing            string            `json:"backing"`
	Created            time.Time         `json:"created"`
	Provisioning       string            `json:"provisioning,omitempty"` // as vSphere calls it; empty: thin
	Key                string            `json:"key,omitempty"`          // it is encrypted with: only said of it, its files are not
	KeepAfterDeleteVM  bool              `json:"keep_after_delete_vm,omitempty"`
	RelocationDisabled bool              `json:"relocation_disabled,omitempty"`
	Policy             string            `json:"policy,omitempty"` // the storage policy's id
	Tags               []Tag             `json:"tags,omitempty"`
	Metadata           map[string]string `json:"metadata,omitempty"`
	Volume             *Volume           `json:"volume,omitempty"` // of a container
	Attached           []Attachment      `json:"attached,omitempty"`
	Snapshots          []Snapshot        `json:"snapshots,omitempty"`
	Capacity           int64             `json:"-"`
	Tracking           bool              `json:"-"`
}

// Attachment is a disk as a device of a machine.
type Attachment struct {
	Machine    string `json:"machine"`
	Key        int32  `json:"key"`
	Controller int32  `json:"controller"`
	Unit       int32  `json:"unit"`
	Mode       string `json:"mode"`
}

// Snapshot is a snapshot of a disk.
type Snapshot struct {
	ID          ivd.SnapshotID `json:"id"`
	Description string         `json:"description"`
	Created     time.Time      `json:"created"`
	Backing     string         `json:"backing"`
	Machine     string         `json:"machine,omitempty"` // the machine's snapshot that it is a part of; empty: the disk's own
}

// Machine is a virtual machine.
type Machine struct {
	Name     string `json:"name"`
	On       bool   `json:"on"`
	Tracking bool   `json:"tracking"` // its CBT
}

// Hold is one identity's wish that a machine must not be relocated.
type Hold struct {
	Machine  string     `json:"machine"`
	Disk     ivd.DiskID `json:"disk"`
	Identity string     `json:"identity"`
}

// state is lab.json.
type state struct {
	Version    int                  `json:"version"`
	Instance   string               `json:"instance"`
	Seeded     bool                 `json:"seeded"`
	Datastores []string             `json:"datastores"`
	Machines   []Machine            `json:"machines"`
	Disks      map[ivd.DiskID]*Disk `json:"disks"`
	Holds      []Hold               `json:"holds"`
	Prepared   []Access             `json:"prepared,omitempty"`
}

func (s *state) machine(name string) *Machine {
	for i := range s.Machines {
		if s.Machines[i].Name == name {
			return &s.Machines[i]
		}
	}
	return nil
}

func (d *Disk) clone() Disk {
	x := *d
	x.Attached, x.Snapshots, x.Tags, x.Metadata = slices.Clone(d.Attached), slices.Clone(d.Snapshots), slices.Clone(d.Tags), maps.Clone(d.Metadata)
	return x
}

const stateVersion = 1

// Path is the file of a laboratory's state.
func Path(dir string) string { return filepath.Join(dir, "lab.json") }

func readState(dir string) (state, error) {
	var s state
	text, err := os.ReadFile(Path(dir))
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(text, &s); err != nil {
		return s, &ivd.Error{Kind: ivd.Corrupt, Op: "read " + Path(dir), Err: err}
	}
	if s.Version != stateVersion {
		return s, ivd.Errorf(ivd.Unsupported, "%s is of version %d: want %d", Path(dir), s.Version, stateVersion)
	}
	return s, nil
}

// Locate finds a disk's descriptor in a laboratory that may be running.
func Locate(dir string, id ivd.DiskID) (string, error) {
	s, err := readState(dir)
	if errors.Is(err, os.ErrNotExist) {
		return "", &ivd.Error{Kind: ivd.NotFound, Op: "open laboratory " + dir, Err: err, Remedy: "give the --dir of an `ivd lab`"}
	}
	if err != nil {
		return "", err
	}
	d := s.Disks[id]
	if d == nil {
		return "", noDisk("any datastore of "+dir, id)
	}
	return filepath.Join(dir, "datastores", d.Datastore, d.Path), nil
}

func (e *Estate) load() error {
	s, err := readState(e.o.Dir)
	if errors.Is(err, os.ErrNotExist) {
		s, err = state{
			Version: stateVersion, Instance: uuid.NewString(), Datastores: e.o.Datastores,
			Machines: e.o.Machines, Disks: map[ivd.DiskID]*Disk{},
		}, nil
	}
	if err != nil {
		return err
	}
	for _, name := range s.Datastores {
		if err := os.MkdirAll(filepath.Join(e.Folder(name), "fcd"), 0o700); err != nil {
			return err
		}
	}
	e.state, e.changes = s, 1
	return e.save(1)
}

// save has the file be as the state is, with so many changes at the least. One save does
// for all changes that came while another was under way.
func (e *Estate) save(changes uint64) error {
	e.saving.Lock()
	defer e.saving.Unlock()
	if e.saved >= changes {
		return nil
	}
	e.mu.Lock()
	upTo := e.changes
	text, err := json.Marshal(e.state)
	e.mu.Unlock()
	if err != nil {
		return err
	}
	tmp := Path(e.o.Dir) + ".new"
	if err := os.WriteFile(tmp, append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("save the laboratory's state: %w", err)
	}
	if err := os.Rename(tmp, Path(e.o.Dir)); err != nil {
		return fmt.Errorf("save the laboratory's state: %w", err)
	}
	e.saved = upTo
	return nil
}

var errUnchanged = errors.New("unchanged")

// update changes the state and saves it. f changes nothing when it fails.
func (e *Estate) update(f func(*state) error) error {
	e.mu.Lock()
	err := f(&e.state)
	if err == nil {
		e.changes++
	}
	changes := e.changes
	e.mu.Unlock()
	if errors.Is(err, errUnchanged) {
		return e.save(changes) // what it found may not be saved yet
	}
	if err != nil {
		return err
	}
	return e.save(changes)
}

// Seed runs make once in the life of a folder.
func (e *Estate) Seed(make func() error) error {
	e.mu.Lock()
	seeded := e.state.Seeded
	e.mu.Unlock()
	if seeded {
		return nil
	}
	if err := make(); err != nil {
		return err
	}
	return e.update(func(s *state) error { s.Seeded = true; return nil })
}
