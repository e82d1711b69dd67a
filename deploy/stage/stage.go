// Package stage sets ivdmover up on one machine as a user would: the laboratory, a
// repository, a coordinator and movers, each a process of its own, driven by
// commands and by the vSphere API. The demo plays on it, and so do the end-to-end
// tests.
//
// Everything lies in one folder and listens on loopback. Strike ends every process
// and is safe to call at any time; processes die with their parent.
package stage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"ivdmover/deploy/lab/owner"
)

// Stage is the folder, the processes and the facts of one set-up. It is used by one
// goroutine at a time.
type Stage struct {
	Dir   string
	Lab   Ready
	Owner *owner.Owner // logged in since StartLab
	// Say is told what happens; it may be nil.
	Say func(format string, args ...any)
	// Config may be changed before WriteConfig.
	Config Config

	bin         string // the folder with ivd and ivd-mover
	server      string // the coordinator's API
	credentials []string
	s3Key       string // of the S3 server
	processes   []*Process
}

// New makes a stage in an empty folder with the programs of bin.
func New(dir, bin string) (*Stage, error) {
	for _, program := range []string{"ivd", "ivd-mover"} {
		if !isFile(filepath.Join(bin, program)) {
			return nil, fmt.Errorf("%s is not in %s: `make build` builds both programs", program, bin)
		}
	}
	s := &Stage{Dir: dir, bin: bin, Config: defaultConfig()}
	for _, sub := range []string{"logs", "repository", "state", "lab", "etc", "tmp"} {
		if err := os.MkdirAll(s.Path(sub), 0o755); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Path is a place in the stage's folder.
func (s *Stage) Path(parts ...string) string {
	return filepath.Join(append([]string{s.Dir}, parts...)...)
}

// Keyless is the same stage for someone who has no keys of the S3 server.
func (s *Stage) Keyless() *Stage {
	other := *s
	other.credentials = nil
	return &other
}

func (s *Stage) say(format string, args ...any) {
	if s.Say != nil {
		s.Say(format, args...)
	}
}

// Strike ends every process, the last started first.
func (s *Stage) Strike(ctx context.Context) error {
	var errs []error
	if s.Owner != nil {
		_ = s.Owner.Close(ctx) // the laboratory may be gone
		s.Owner = nil
	}
	for _, p := range slices.Backward(slices.Clone(s.processes)) {
		errs = append(errs, p.Stop())
	}
	return errors.Join(errs...)
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// SystemProgram finds a program of the system: on the PATH or in the folders for root.
func SystemProgram(name, debianPackage string) (string, error) {
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin", "/sbin") {
		if p := filepath.Join(dir, name); isFile(p) {
			return p, nil
		}
	}
	return "", fmt.Errorf("%s is not on this machine: install %s", name, debianPackage)
}
