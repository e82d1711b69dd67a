package queue

import (
	"fmt"
	"regexp"
	"strings"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// Names on the server.
const (
	jobStream   = "IVD_JOBS"
	stateBucket = "IVD_STATE"
	moverBucket = "IVD_MOVERS"

	anyLogin       = "ivd.login.*"
	examineSubject = "ivd.examine"
	renewedSubject = "ivd.renewed" // a part of the queue was made again
)

// kinds are all kinds of job; each has one durable consumer of its name.
var kinds = []job.Kind{job.Backup, job.Restore}

// A job's subject is ivd.job.<kind>.<class>.<run>.<disk>.<job>: the first four
// tokens place it, the others let a run's jobs be withdrawn in one request.
func jobSubject(j *job.Job) string {
	return fmt.Sprintf("ivd.job.%s.%s.%s.%s.%s", j.Kind, j.Class, j.Run, token(string(j.Disk.Ref.ID())), j.ID)
}

// token is one token of a subject or of a key, of a name that may have dots: a
// source's, or that of a VM's own disk. No such name has a slash.
func token(name string) string { return strings.ReplaceAll(name, ".", "/") }

func kindFilter(kind job.Kind) string { return fmt.Sprintf("ivd.job.%s.>", kind) }

func moverSubject(name string) string { return "ivd.mover." + name + ".request" }

// loginSubject is where logins to a source are asked for: only coordinators that
// know it listen there.
func loginSubject(source ivd.SourceID) (string, error) {
	s := "ivd.login.vc-" + token(string(source))
	return s, checkKey(s)
}

func progressSubject(run ivd.RunID) string { return "ivd.progress." + string(run) }

func jobKey(run ivd.RunID, disk ivd.DiskID, id ivd.JobID) string {
	return jobPrefix(run) + "." + token(string(disk)) + "." + string(id)
}

func jobPrefix(run ivd.RunID) string { return "job." + string(run) }

var (
	tokenPattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)
	keyPattern   = regexp.MustCompile(`^[A-Za-z0-9_/=-]+(\.[A-Za-z0-9_/=-]+)*$`)
	namePattern  = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)
)

// checkToken refuses what is not one token of a subject and of a key: an id with
// a dot or a wildcard would reach other things than it names.
func checkToken[T ~string](what string, s T) error {
	if !tokenPattern.MatchString(string(s)) {
		return ivd.Errorf(ivd.Invalid, "%s %q: want 1 to 128 letters, digits, '-' and '_'", what, string(s))
	}
	return nil
}

// checkDisk is checkToken for what token makes one of: an id may have dots.
func checkDisk(id ivd.DiskID) error {
	if checkToken("", strings.ReplaceAll(string(id), ".", "-")) != nil {
		return ivd.Errorf(ivd.Invalid, "disk %q: want 1 to 128 letters, digits, '-', '_' and '.'", string(id))
	}
	return nil
}

func checkKey(key string) error {
	if !keyPattern.MatchString(key) {
		return ivd.Errorf(ivd.Invalid, "key %q: want letters, digits, '-', '_', '/' and '=', with single dots between", key)
	}
	return nil
}

// checkMover accepts host names too, so dots are allowed between other characters.
func checkMover(name string) error {
	if len(name) > 128 || !namePattern.MatchString(name) {
		return &ivd.Error{
			Kind:   ivd.Invalid,
			Op:     fmt.Sprintf("mover name %q", name),
			Err:    fmt.Errorf("want at most 128 letters, digits, '-', '_' and single dots between them"),
			Remedy: "change mover.name in the configuration",
		}
	}
	return nil
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
