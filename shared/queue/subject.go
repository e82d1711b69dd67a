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
	jobStream    = "IVD_JOBS"
	stateBucket  = "IVD_STATE"
	recordBucket = "IVD_RECORDS"
	moverBucket  = "IVD_MOVERS"

	anyLogin       = "ivd.login.*.*"
	anyExamination = "ivd.examine.*"
	renewedSubject = "ivd.renewed" // a part of the queue was made again
)

// kinds are all kinds of job; each has one durable consumer of its name.
var kinds = []job.Kind{job.Backup, job.Restore, job.Verify}

// A job's subject is ivd.job.<kind>.<class>.<run>.<disk>.<job>: the first four
// tokens place it, the others let a run's jobs be withdrawn in one request.
func jobSubject(j *job.Job) string {
	return fmt.Sprintf("ivd.job.%s.%s.%s.%s.%s", j.Kind, j.Class, j.Run, token(string(j.Key())), j.ID)
}

// token is one token of a subject or of a key, of a name that may have dots: a
// source's, or that of a VM's own disk. No such name has a slash.
func token(name string) string { return strings.ReplaceAll(name, ".", "/") }

func kindFilter(kind job.Kind) string { return fmt.Sprintf("ivd.job.%s.>", kind) }

// What a mover says and what it is asked has its name in the subject, so that the
// server can hold it to that name (Rights).

func moverSubject(name string) string { return "ivd.mover." + heartbeatKey(name) + ".request" }

// loginSubject is where a mover asks for logins to a source: only coordinators that
// know it listen there. The mover "*" is any.
func loginSubject(source ivd.SourceID, mover string) (string, error) {
	s := "ivd.login.vc-" + token(string(source))
	return s + "." + token(moverOf(mover)), checkKey(s)
}

// examineSubject is where the doctors of a mover ask.
func examineSubject(mover string) string { return "ivd.examine." + token(mover) }

// progressSubject is where a mover tells the progress of a run. Both may be "*".
func progressSubject(run ivd.RunID, mover string) string {
	return "ivd.progress." + string(run) + "." + token(moverOf(mover))
}

// heartbeatKey is the key of a mover's heartbeat: its name; that of one of its parts
// is below that.
func heartbeatKey(name string) string {
	mover, part, isPart := strings.Cut(name, partSeparator)
	if !isPart {
		return token(name)
	}
	return token(mover) + "." + part
}

const partSeparator = "/"

// PartName is the name of a process that works under a mover's name and beside it, with
// a heartbeat of its own: a doctor, or a second child.
func PartName(mover, part string) string { return mover + partSeparator + part }

// moverOf is the mover that a name, which may be of a part, belongs to.
func moverOf(name string) string {
	mover, _, _ := strings.Cut(name, partSeparator)
	return mover
}

// saidBy refuses what names another mover, or a part of another one, than its subject,
// of which the mover is the last token.
func saidBy(subject, name string) error {
	if said := subject[strings.LastIndexByte(subject, '.')+1:]; said != token(moverOf(name)) {
		return ivd.Errorf(ivd.Denied, "mover %s asks in the name of %q", said, name)
	}
	return nil
}

func jobKey(run ivd.RunID, disk ivd.DiskID, id ivd.JobID) string {
	return jobPrefix(run) + "." + token(string(disk)) + "." + string(id)
}

func jobPrefix(run ivd.RunID) string { return string(run) }

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

// checkMover accepts host names too, so dots are allowed between other characters, and
// the names of parts.
func checkMover(name string) error {
	if mover, part, isPart := strings.Cut(name, partSeparator); isPart {
		return firstError(checkMover(mover), checkToken("part of a mover", part))
	}
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
