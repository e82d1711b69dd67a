package cli

import (
	"errors"
	"fmt"
	"strings"

	"ivdmover/coordinator/api"
	"ivdmover/coordinator/cli/text"
	"ivdmover/shared/ivd"
	"ivdmover/shared/telemetry"
)

// The exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
	exitPartly = 3
)

// errPartly marks the error of a run of which some disks failed, and of a list that
// lacks something.
var errPartly = errors.New("not everything is done")

// exitCode is the one place where an error becomes an exit code.
func exitCode(err error) int {
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errPartly):
		return exitPartly
	case errors.Is(err, errRun):
		return exitFailed // whatever the kind of the run's failure
	case ivd.KindOf(err) == ivd.Invalid:
		return exitUsage
	}
	return exitFailed
}

// errRun marks the error of a run that is not done, as against one of the command.
var errRun = errors.New("the run is not done")

// verdict returns the error of a run that has ended; nil when every disk is done.
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
		return &ivd.Error{Kind: ivd.Cancelled, Err: marked{errRun, fmt.Sprintf("run %s was cancelled; disks done before that stay done", v.ID)}}
	}
	why, remedy := allFailed(v.Disks), see
	if v.Failure != nil {
		why = v.Failure.Message
		if v.Failure.Remedy != "" {
			remedy = v.Failure.Remedy
		}
	}
	return &ivd.Error{Err: marked{errRun, fmt.Sprintf("run %s failed: %s", v.ID, why)}, Remedy: remedy}
}

// allFailed says why no disk is done: what the first of them failed by.
func allFailed(disks []api.RunDisk) string {
	all := fmt.Sprintf("all %d disks failed", len(disks))
	if len(disks) == 1 {
		all = "its disk failed"
	}
	for _, d := range disks {
		if d.Failure != nil && len(disks) == 1 {
			return all + ": " + d.Failure.Message
		}
		if d.Failure != nil {
			return fmt.Sprintf("%s, %s by: %s", all, text.Name(nameOf(d)), d.Failure.Message)
		}
	}
	return all
}

// marked is an error with a text of its own that errors.Is finds by its mark.
type marked struct {
	mark error
	text string
}

func (m marked) Error() string        { return m.text }
func (m marked) Is(target error) bool { return target == m.mark }

// report writes err to standard error, one line for each problem.
func (a *app) report(err error) {
	if err == nil {
		return
	}
	if several, ok := err.(interface{ Unwrap() []error }); ok { // a join itself, not an error that wraps one
		for _, e := range several.Unwrap() {
			a.report(e)
		}
		return
	}
	line := "ivd: " + strings.Join(strings.Fields(err.Error()), " ")
	if remedy := ivd.RemedyOf(err); remedy != "" {
		line += "; " + remedy
	}
	fmt.Fprintln(a.errs, telemetry.Safe(line))
}
