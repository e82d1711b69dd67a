package cli

import (
	"cmp"
	"fmt"
	"io"
	"regexp"
	"strings"

	"ivdmover/coordinator/api"
	"ivdmover/coordinator/catalogue"
	"ivdmover/coordinator/cli/progress"
	"ivdmover/coordinator/cli/text"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/telemetry"
)

// writeRun shows a run for people: what it is, its disks, and what went wrong.
func writeRun(w io.Writer, v api.RunDetail) error {
	if err := writeFacts(w, runFacts(v)); err != nil {
		return err
	}
	if len(v.Disks) == 0 {
		return nil
	}
	fmt.Fprintln(w)
	var t *text.Table
	switch v.Kind {
	case job.Restore:
		t = restoreDisks(v)
	case job.Verify:
		t = verifiedPoints(v)
	default:
		t = backupDisks(v)
	}
	if err := t.Write(w); err != nil {
		return err
	}
	heading := "\nnot done:\n"
	for _, d := range v.Disks {
		if d.Failure == nil {
			continue
		}
		fmt.Fprintf(w, "%s  %s: %s\n", heading, text.Name(nameOf(d)), withName(progress.Failure(d.Failure), d))
		heading = ""
	}
	return writeReasons(w, v)
}

// fact is a line "name   what".
type fact struct{ name, what string }

func writeFacts(w io.Writer, facts []fact) error {
	width := 0
	for _, f := range facts {
		width = max(width, text.Width(f.name))
	}
	for _, f := range facts {
		if f.what == "" {
			continue
		}
		if _, err := fmt.Fprintf(w, "%-*s  %s\n", width, f.name, telemetry.Safe(f.what)); err != nil {
			return err
		}
	}
	return nil
}

func runFacts(v api.RunDetail) []fact {
	what := string(v.Kind)
	if v.Policy != "" {
		what += " of policy " + v.Policy
	}
	if v.Full {
		what += ", full"
	}
	state := string(v.State)
	if v.Cancelling && !v.State.Ended() {
		state += ", being cancelled"
	}
	started := text.Time(v.Created)
	if t := took(v.Created, v.Ended); t != "" {
		started += ", took " + t
	}
	facts := []fact{{"run", string(v.ID)}, {"kind", what}, {"state", state}, {"started", started}}
	if v.Waiting != "" {
		facts = append(facts, fact{"waiting", v.Waiting})
	}
	if v.Failure != nil {
		facts = append(facts, fact{"failure", progress.Failure(v.Failure)})
	}
	if n := len(v.Forgotten); n > 0 {
		facts = append(facts, fact{"forgotten", fmt.Sprintf("%d restore points that the policy does not keep", n)})
	}
	if v.NotForgotten != "" {
		facts = append(facts, fact{"not forgotten", v.NotForgotten})
	}
	s := v.Stats
	if v.Kind == job.Restore {
		return append(facts, fact{"written", telemetry.Bytes(s.WrittenBytes)})
	}
	if v.Kind == job.Verify {
		return append(facts, fact{"read", telemetry.Bytes(s.ReadBytes) + ", and checked"})
	}
	asked := ""
	if s.Asked > 0 {
		asked = fmt.Sprintf("%d requests for packs that were built on", s.Asked)
	}
	if s.AskedLists > 0 {
		asked += fmt.Sprintf(", %d of them of listings", s.AskedLists)
	}
	return append(facts,
		fact{"read", fmt.Sprintf("%s: %s zero, %s stored before%s, %s new", telemetry.Bytes(s.ReadBytes), telemetry.Bytes(s.ZeroBytes), telemetry.Bytes(s.DedupBytes), unproven(s), telemetry.Bytes(s.NewBytes))},
		fact{"stored", fmt.Sprintf("%s in %d packs", telemetry.Bytes(s.StoredBytes), s.Packs)},
		fact{"asked", asked})
}

// unproven says how much was built on the word of other movers alone.
func unproven(s ivd.Stats) string {
	if s.UnprovenBytes == 0 {
		return ""
	}
	return ", of which " + telemetry.Bytes(s.UnprovenBytes) + " unproven, in packs of other movers"
}

func backupDisks(v api.RunDetail) *text.Table {
	t := &text.Table{Columns: []text.Column{
		text.Left("DISK"), text.Left("NAME"), text.Left("VCENTER"), text.Left("STATE"), text.Left("MODE"), text.Right("CAPACITY"),
		text.Right("READ"), text.Right("STORED"), text.Right("TOOK"), text.Left("BY"), text.Left("ON"),
	}}
	several := several(v.Disks, func(d api.RunDisk) string { return d.VCenter })
	for _, d := range v.Disks {
		if d.Unread != nil {
			t.Row(d.Key, "?", "", "?", "?", "?", "?", "?", "?")
			continue
		}
		t.Row(string(d.ID), d.Name, several(d), stateOf(d), string(d.Mode), capacity(d),
			telemetry.Bytes(d.Stats.ReadBytes), telemetry.Bytes(d.Stats.StoredBytes), took(d.Started, d.Ended), strings.Join(d.Transports, ","), strings.Join(d.Movers, ","))
	}
	return t
}

func restoreDisks(v api.RunDetail) *text.Table {
	t := &text.Table{Columns: []text.Column{
		text.Left("NEW DISK"), text.Left("NAME"), text.Left("STATE"), text.Right("CAPACITY"), text.Right("WRITTEN"), text.Right("TOOK"), text.Left("BY"), text.Left("ON"),
	}}
	for _, d := range v.Disks {
		if d.Unread != nil {
			t.Row("?", d.Key, "?", "?", "?", "?")
			continue
		}
		t.Row(string(d.ID), nameOf(d), stateOf(d), capacity(d), telemetry.Bytes(d.Stats.WrittenBytes), took(d.Started, d.Ended), strings.Join(d.Transports, ","), strings.Join(d.Movers, ","))
	}
	return t
}

func verifiedPoints(v api.RunDetail) *text.Table {
	t := &text.Table{Columns: []text.Column{
		text.Left("POINT"), text.Left("NAME"), text.Left("VCENTER"), text.Left("STATE"), text.Left("DEPTH"), text.Right("CAPACITY"), text.Right("READ"), text.Right("TOOK"), text.Left("ON"),
	}}
	several := several(v.Disks, func(d api.RunDisk) string { return d.VCenter })
	for _, d := range v.Disks {
		if d.Unread != nil {
			t.Row("?", d.Key, "", "?", "?", "?", "?", "?")
			continue
		}
		depth := string(d.Depth)
		if d.Percent > 0 {
			depth += fmt.Sprintf(" of %d%%", d.Percent)
		}
		point := ""
		if d.From != "" {
			point = catalogue.Short(d.From)
		}
		t.Row(point, d.Name, several(d), stateOf(d), depth, capacity(d), telemetry.Bytes(d.Stats.ReadBytes), took(d.Started, d.Ended), strings.Join(d.Movers, ","))
	}
	return t
}

// stateOf is a disk's step, or its result.
func stateOf(d api.RunDisk) string {
	if d.Step == api.Ended {
		return string(d.Result)
	}
	return string(d.Step)
}

// capacity is a disk's size, once it is known.
func capacity(d api.RunDisk) string {
	if d.Capacity == 0 {
		return ""
	}
	return telemetry.Bytes(d.Capacity)
}

// withName says the name of the disk's datastore where a text has its id.
func withName(text string, d api.RunDisk) string {
	id := string(d.DatastoreID)
	if id == "" || d.Datastore == "" {
		return text
	}
	return regexp.MustCompile(`\b`+regexp.QuoteMeta(id)+`\b`).ReplaceAllLiteralString(text, d.Datastore)
}

// nameOf is what people call the disk: of a restore, the new one.
func nameOf(d api.RunDisk) string { return cmp.Or(d.Target, d.Name, string(d.ID)) }
