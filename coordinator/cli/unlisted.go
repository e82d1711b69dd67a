package cli

import (
	"fmt"
	"io"
	"strings"

	"ivdmover/coordinator/cli/progress"
	"ivdmover/shared/ivd"
	"ivdmover/shared/telemetry"
)

// unlisted are the members of a list that could not be told of, each with why.
type unlisted []string

// add notes a member by what it is, such as "disk X of datastore Y".
func (u *unlisted) add(what string, f *ivd.Failure) {
	name := telemetry.Safe(what) + ": "
	*u = append(*u, name+strings.TrimPrefix(progress.Failure(f), name)) // which may name it itself
}

// write names them below the list, if there are any.
func (u unlisted) write(w io.Writer, heading string) error {
	if len(u) == 0 {
		return nil
	}
	_, err := fmt.Fprintf(w, "\n%s:\n  %s\n", heading, strings.Join(u, "\n  "))
	return err
}

// verdict is the error of a list that lacks them: it ends the command as a run does of
// which some disks failed, whatever the format is in which they were shown.
func (u unlisted) verdict() error {
	if len(u) == 0 {
		return nil
	}
	text := "the list lacks " + u[0]
	if len(u) > 1 {
		text = fmt.Sprintf("the list lacks %d entries, such as %s", len(u), u[0])
	}
	return marked{errPartly, text}
}

// ofPlace says which part of the estate is meant, from the whole vCenter to a disk.
func ofPlace(vcenter, datastore string, disk ivd.DiskID) string {
	switch {
	case disk != "":
		return fmt.Sprintf("disk %s on %s of %s", disk, datastore, vcenter)
	case datastore != "":
		return fmt.Sprintf("datastore %s of %s", datastore, vcenter)
	}
	return "vCenter " + vcenter
}
