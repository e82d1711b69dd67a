package cli

import (
	"errors"
	"fmt"
	"strings"

	"ivdmover/coordinator/api"
	"ivdmover/shared/ivd"
)

// The exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
	exitPartly = 3
)

// errPartly marks that some disks of a run failed.
var errPartly = errors.New("some disks failed")

// exitCode is the one place where an error becomes an exit code.
func exitCode(err error) int {
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errPartly):
		return exitPartly
	case errors.Is(err, errOfRun):
		return exitFailed // whatever the kind of what failed in it
	case ivd.KindOf(err) == ivd.Invalid:
		return exitUsage
	}
	return exitFailed
}

// errOfRun marks what a run has come to, as against what became of the command.
var errOfRun = errors.New("the run is not done")

// verdict is the error that a run's end amounts to.
func verdict(v api.RunDetail) error {
	failed := 0
	for _, d := range v.Disks {
		if d.Result != api.Done {
			failed++
		}
	}
	see := "see `ivd run show " + string(v.ID) + "`"
	switch v.State {
	case api.Done:
		return nil
	case api.Partial:
		if failed == 0 && v.Failure != nil {
			return &ivd.Error{Err: marked{errPartly, fmt.Sprintf("run %s: %s", v.ID, v.Failure.Message)}, Remedy: see}
		}
		return &ivd.Error{Err: marked{errPartly, fmt.Sprintf("%d of %d disks of run %s failed", failed, len(v.Disks), v.ID)}, Remedy: see}
	case api.Cancelled:
		return &ivd.Error{Kind: ivd.Cancelled, Err: marked{errOfRun, fmt.Sprintf("run %s was cancelled; disks done before that stay done", v.ID)}}
	}
	why, remedy := fmt.Sprintf("all %d disks failed", len(v.Disks)), see
	if v.Failure != nil {
		why = v.Failure.Message
		if v.Failure.Remedy != "" {
			remedy = v.Failure.Remedy
		}
	}
	return &ivd.Error{Err: marked{errOfRun, fmt.Sprintf("run %s failed: %s", v.ID, why)}, Remedy: remedy}
}

// marked is an error with its own words that is told by its mark.
type marked struct {
	mark  error
	words string
}

func (m marked) Error() string        { return m.words }
func (m marked) Is(target error) bool { return target == m.mark }

// report writes err to standard error: one line for each problem.
func (a *app) report(err error) {
	if err == nil {
		return
	}
	if several, ok := err.(interface{ Unwrap() []error }); ok { // a join itself, not what it is wrapped in
		for _, e := range several.Unwrap() {
			a.report(e)
		}
		return
	}
	line := "ivd: " + strings.Join(strings.Fields(err.Error()), " ")
	if remedy := ivd.RemedyOf(err); remedy != "" {
		line += "; " + remedy
	}
	fmt.Fprintln(a.errs, line)
}
