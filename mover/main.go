// Program ivd-mover takes backup and restore jobs off a queue and moves the data
// between disks, through VDDK, and a repository.
//
// It is two processes: the first one supervises, the second one, its child, alone
// loads VDDK and does the work. A child that dies is replaced; it never outlives
// its parent. The exit status is 0 when it was asked to end and did, 1 when it
// failed, 2 when its command line or its configuration is wrong.
package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"

	"ivdmover/shared/dump"
	"ivdmover/shared/ivd"
	"ivdmover/shared/supervise"
	"ivdmover/shared/telemetry"
)

// VDDK is initialised on the main thread.
func init() { runtime.LockOSThread() }

const (
	exitFailed = 1
	exitUsage  = 2
)

// usageError is a wrong command line or a wrong configuration.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func main() { os.Exit(run()) }

func run() int {
	err := dump.None() // logins are in this process, and in its child
	if err == nil {
		err = command().Execute()
	}
	var usage usageError
	var child said
	switch {
	case err == nil:
		return 0
	case errors.Is(err, supervise.ErrFinal), errors.Is(err, errChecksFailed):
		return status(exitFailed) // the child, or the report, has the reason
	case errors.As(err, &child):
		return child.status
	case errors.As(err, &usage):
		report(err)
		return status(exitUsage)
	}
	report(err)
	return exitFailed
}

// status is the exit status of an end for good, as `ivd serve` wants it from its own
// movers, or else as documented.
func status(documented int) int {
	if os.Getenv(supervise.ReasonVariable) != "" {
		return supervise.ExitFinal
	}
	return documented
}

// oneLine is an error with its remedy.
func oneLine(err error) string {
	line := strings.ReplaceAll(err.Error(), "\n", "; ")
	if remedy := ivd.RemedyOf(err); remedy != "" {
		line += "; " + remedy
	}
	return telemetry.Safe(line)
}

// report writes one line with the error and its remedy, also for `ivd serve` whose
// mover this is.
func report(err error) {
	line := oneLine(err)
	fmt.Fprintln(os.Stderr, "ivd-mover: "+line)
	if file := os.Getenv(supervise.ReasonVariable); file != "" {
		_ = os.WriteFile(file, []byte(line), 0o600) // the line above says it, too
	}
}
