package disk

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// Attachment is a disk that this machine has hot-added, for a run. Who asks for the
// login of such a disk, with its warrant, gets one for as long as its snapshot is to be deleted.
type Attachment struct {
	Run     ivd.RunID   `json:"run"`
	Disk    job.Disk    `json:"disk"`
	Warrant job.Warrant `json:"warrant,omitempty"` // with which the login is asked for that releases it
}

// leftVersion is that of the file; another is ignored, as no file is.
const leftVersion = 1

// left remembers in a file which disks are hot-added: what a process that dies leaves
// attached keeps its snapshot, and only this machine can release it. Only a hint is
// lost with the file: with the first login Cleanup is called in any case.
type left struct {
	file string // empty: nothing is remembered

	mu   sync.Mutex
	list []Attachment
}

type leftFile struct {
	Version int          `json:"version"`
	Disks   []Attachment `json:"disks"`
}

// openLeft reads what earlier processes have left.
func openLeft(folder string) (*left, error) {
	if folder == "" {
		return &left{}, nil
	}
	l := &left{file: filepath.Join(folder, "hotadd.json")}
	text, err := os.ReadFile(l.file)
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err != nil {
		return l, fmt.Errorf("read which disks were hot-added: %w", err)
	}
	var f leftFile
	if err := json.Unmarshal(text, &f); err != nil {
		return l, fmt.Errorf("read which disks were hot-added: %s: %w", l.file, err)
	}
	if f.Version == leftVersion {
		l.list = f.Disks
	}
	return l, nil
}

func (l *left) all() []Attachment {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.list)
}

// add comes before a disk is attached.
func (l *left) add(a Attachment) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, a)
	return l.writeLocked()
}

// remove comes after a disk was released.
func (l *left) remove(a Attachment) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.list, a)
	if i < 0 {
		return nil
	}
	l.list = slices.Delete(l.list, i, i+1)
	return l.writeLocked()
}

// forget comes after all of a vCenter's were released.
func (l *left) forget(source ivd.SourceID) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.list)
	l.list = slices.DeleteFunc(l.list, func(a Attachment) bool { return a.Disk.Ref.Source() == source })
	if len(l.list) == n {
		return nil
	}
	return l.writeLocked()
}

func (l *left) writeLocked() error {
	if l.file == "" {
		return nil
	}
	text, err := json.Marshal(leftFile{leftVersion, l.list})
	if err == nil {
		err = replace(l.file, append(text, '\n'))
	}
	if err != nil {
		return fmt.Errorf("remember which disks are hot-added: %w", err)
	}
	return nil
}
