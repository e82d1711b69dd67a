package cli

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"ivdmover/coordinator/api"
	"ivdmover/coordinator/cli/progress"
	"ivdmover/coordinator/cli/text"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/telemetry"
)

// diskTable is the disks that are listed, and those that are not.
func diskTable(disks []api.Disk) (*text.Table, unlisted) {
	t := &text.Table{Columns: []text.Column{
		text.Left("ID"), text.Left("NAME"), text.Left("VCENTER"), text.Left("DATASTORE"), text.Right("CAPACITY"),
		text.Left("ATTACHED TO"), text.Left("CBT"), text.Left("LAST POINT"),
	}}
	several := several(disks, func(d api.Disk) string { return d.VCenter })
	var not unlisted
	for _, d := range disks {
		vcenter := several(d)
		last := "never"
		if d.LastPoint != nil {
			last = text.Time(d.LastPointTime)
		}
		if d.Unfinished != "" {
			last = "made by " + string(d.Unfinished)
		}
		attached := some(d.AttachedTo)
		if d.Unsure != nil {
			attached = strings.TrimPrefix(attached, "-") + "?"
			not.add("what is attached to "+string(d.ID), d.Unsure)
		}
		if d.Failure != nil {
			not.add(ofPlace(d.VCenter, d.Datastore, d.ID), d.Failure)
			if d.ID != "" {
				t.Row(string(d.ID), "?", vcenter, d.Datastore, "?", "?", "?", last)
			}
			continue
		}
		t.Row(string(d.ID), d.Name, vcenter, d.Datastore, capacityOf(d), attached, onOff(d.CBT), last)
	}
	return t, not
}

// several shows the vCenter of an entry where a list has more than one: an array that
// copies a disk copies its id and its name.
func several[T any](list []T, vcenter func(T) string) func(T) string {
	first := ""
	for _, x := range list {
		name := vcenter(x) // empty: it is not shown, or not known
		if first = cmp.Or(first, name); name != "" && name != first {
			return vcenter
		}
	}
	return func(T) string { return "" }
}

// capacityOf is a disk's capacity, of which vSphere tells whole MiB only.
func capacityOf(d api.Disk) string {
	if d.Capacity == 0 {
		return "<1 MiB"
	}
	return telemetry.Bytes(d.Capacity)
}

// some is the first name of a list and the number of the others.
func some(names []string) string {
	switch len(names) {
	case 0:
		return "-"
	case 1:
		return names[0]
	}
	return fmt.Sprintf("%s +%d", names[0], len(names)-1)
}

func onOff(b bool) string {
	if b {
		return "on"
	}
	return "off"
}

// pointTable is restore points, and those that cannot be read.
func pointTable(points []api.Point) (*text.Table, unlisted) {
	t := &text.Table{Columns: []text.Column{
		text.Left("POINT"), text.Left("NAME"), text.Left("VCENTER"), text.Left("TIME"), text.Right("CAPACITY"), text.Right("READ"), text.Right("STORED"),
	}}
	several := several(points, func(p api.Point) string { return p.VCenter })
	locked := slices.ContainsFunc(points, func(p api.Point) bool { return !p.ProtectedUntil.IsZero() })
	if locked {
		t.Columns = append(t.Columns, text.Left("PROTECTED UNTIL"))
	}
	var not unlisted
	for _, p := range points {
		row := []string{p.ShortID, "?", several(p), text.Time(p.Time), "?", "?", "?"} // its name alone says when
		if p.Failure != nil {
			not.add(p.ShortID, p.Failure)
		} else {
			row = []string{p.ShortID, p.Name, several(p), moment(p), telemetry.Bytes(p.Capacity), telemetry.Bytes(p.ReadBytes), telemetry.Bytes(p.StoredBytes)}
		}
		if locked {
			row = append(row, protectedUntil(p))
		}
		t.Row(row...)
	}
	return t, not
}

// protectedUntil is until when a point is locked in the store, as far as that is known.
func protectedUntil(p api.Point) string {
	switch {
	case p.Failure != nil:
		return "?"
	case p.ProtectedUntil.IsZero():
		return "-"
	}
	return text.Time(p.ProtectedUntil)
}

// moment is a point's time, and what is to be known of it.
func moment(p api.Point) string {
	s := text.Time(p.Time)
	if p.TimeDoubted {
		s += " (sealed " + text.Time(p.SealedAt) + ")"
	}
	if p.Partial {
		s += " (partial)"
	}
	if len(p.Damaged) > 0 {
		s += " (damaged)"
	}
	if p.GivenUp {
		s += " (forgotten)"
	} else if p.Kept != "" {
		kept, _, _ := strings.Cut(p.Kept, ": ")
		s += " (" + kept + ")"
	}
	return s
}

// snapshotTable is the snapshots that are listed, and what could not be asked for them.
func snapshotTable(snapshots []api.Snapshot) (*text.Table, unlisted) {
	t := &text.Table{Columns: []text.Column{
		text.Left("DISK"), text.Left("NAME"), text.Left("VCENTER"), text.Left("DATASTORE"), text.Left("CREATED"), text.Right("AGE"), text.Left("SNAPSHOT"), text.Left("OF"),
	}}
	several := several(snapshots, func(s api.Snapshot) string {
		if s.Failure != nil {
			return ""
		}
		return s.VCenter
	})
	var not unlisted
	for _, s := range snapshots {
		if s.Failure != nil {
			not.add(ofPlace(s.VCenter, s.Datastore, s.Disk), s.Failure)
			continue
		}
		age := time.Duration(s.AgeSeconds) * time.Second
		t.Row(string(s.Disk), s.Name, several(s), s.Datastore, text.Time(s.Created), telemetry.Elapsed(age), string(s.ID), madeBy(s))
	}
	return t, not
}

// madeBy is who has made a snapshot.
func madeBy(s api.Snapshot) string {
	switch {
	case s.Run == "":
		return s.Description
	case s.Ours:
		return "run " + string(s.Run)
	}
	return "run " + string(s.Run) + " of another repository, or of an older ivd"
}

// runTable is the runs that are listed, and those that cannot be read.
func runTable(runs []api.Run) (t *text.Table, not unlisted) {
	t = &text.Table{Columns: []text.Column{
		text.Left("RUN"), text.Left("KIND"), text.Left("POLICY"), text.Left("STATE"), text.Right("DISKS"),
		text.Right("READ"), text.Right("STORED"), text.Right("WRITTEN"), text.Left("STARTED"), text.Right("TOOK"),
	}}
	for _, v := range runs {
		if v.Unread != nil {
			not.add("run "+string(v.ID), v.Unread)
			t.Row(string(v.ID), "?", "?", "?", "?", "?", "?", "?", "?", "?")
			continue
		}
		read, stored, written := telemetry.Bytes(v.Stats.ReadBytes), telemetry.Bytes(v.Stats.StoredBytes), ""
		if v.Kind == job.Restore {
			read, stored, written = "", "", telemetry.Bytes(v.Stats.WrittenBytes)
		}
		t.Row(string(v.ID), string(v.Kind), v.Policy, string(v.State), fmt.Sprintf("%d/%d", v.Counts.Done, v.Counts.Disks),
			read, stored, written, text.Time(v.Created), took(v.Created, v.Ended))
	}
	return t, not
}

// took is a duration in words; empty until the end is known.
func took(from, to time.Time) string {
	if from.IsZero() || to.IsZero() {
		return ""
	}
	return telemetry.Elapsed(to.Sub(from))
}

func unreadMovers(movers []api.Mover) (not unlisted) {
	for _, m := range movers {
		if m.Failure != nil {
			not.add("mover "+m.Name, m.Failure)
		}
	}
	return not
}

func writeMovers(w io.Writer, movers []api.Mover, short *ivd.Failure) error {
	t := &text.Table{Columns: []text.Column{
		text.Left("NAME"), text.Left("HOST"), text.Right("DISKS"), text.Right("FREE"), text.Left("STATE"), text.Left("VDDK"), text.Left("TRANSPORTS"),
	}}
	work := &text.Table{Columns: []text.Column{
		text.Left("MOVER"), text.Left("DISK"), text.Left("KIND"), text.Left("TRANSPORT"), text.Right("READ"), text.Right("STORED"), text.Right("WRITTEN"), text.Left("RUN"),
	}}
	busy := false
	for _, m := range movers {
		if m.Failure != nil {
			t.Row(m.Name, "?", "?", "?", "?", "?", "?")
			continue
		}
		state := "ready"
		switch {
		case m.Hangs:
			state = "opening hangs"
		case m.Draining:
			state = "draining"
		case m.Waits != "":
			state = "waits"
		case m.Alone:
			state = "one job alone"
		case m.NoRestore != "":
			state = "no restores"
		}
		t.Row(m.Name, m.Host, strconv.Itoa(m.Handles), strconv.Itoa(m.Free), state, m.VDDK, strings.Join(m.Transports, ","))
		for _, x := range m.Active {
			busy = true
			read, stored, written := telemetry.Bytes(x.Stats.ReadBytes), telemetry.Bytes(x.Stats.StoredBytes), ""
			if x.Kind == job.Restore {
				read, stored, written = "", "", telemetry.Bytes(x.Stats.WrittenBytes)
			}
			work.Row(m.Name, x.Name, string(x.Kind), x.Transport, read, stored, written, string(x.Run))
		}
	}
	if err := t.Write(w); err != nil {
		return err
	}
	if busy {
		fmt.Fprintln(w)
		if err := work.Write(w); err != nil {
			return err
		}
	}
	if paths, filled := pathTable(movers); filled {
		fmt.Fprintln(w)
		if err := paths.Write(w); err != nil {
			return err
		}
	}
	for _, m := range movers {
		if m.NoRestore != "" {
			fmt.Fprintf(w, "\n%s takes no restores: %s\n", telemetry.Safe(m.Name), telemetry.Safe(m.NoRestore))
		}
		if m.Waits != "" {
			fmt.Fprintf(w, "\n%s takes no jobs yet: it waits for %s\n", telemetry.Safe(m.Name), telemetry.Safe(m.Waits))
		}
	}
	if short == nil {
		return nil
	}
	_, err := fmt.Fprintf(w, "\n%s\n", progress.Failure(short))
	return err
}
