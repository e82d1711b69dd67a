package cli

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"ivdmover/coordinator/api"
	"ivdmover/coordinator/cli/text"
	"ivdmover/shared/telemetry"
)

// namesShown is how many disks with one reason are named; more are only counted.
const namesShown = 5

// reasons are texts, each with the names of the disks that it applies to.
type reasons struct {
	order []string
	names map[string][]string
}

func (r *reasons) add(reason, name string) {
	if r.names == nil {
		r.names = map[string][]string{}
	}
	if r.names[reason] == nil {
		r.order = append(r.order, reason)
	}
	r.names[reason] = append(r.names[reason], text.Name(name))
}

func (r *reasons) write(w io.Writer, heading string) error {
	if len(r.order) == 0 {
		return nil
	}
	if _, err := fmt.Fprintf(w, "\n%s:\n", heading); err != nil {
		return err
	}
	for _, reason := range r.order {
		names := r.names[reason]
		shown := strings.Join(names[:min(len(names), namesShown)], ", ")
		if more := len(names) - namesShown; more > 0 {
			shown += fmt.Sprintf(" and %d more", more)
		}
		if _, err := fmt.Fprintf(w, "  %s: %s\n", oneLine(reason), shown); err != nil {
			return err
		}
	}
	return nil
}

func oneLine(s string) string { return telemetry.Safe(strings.Join(strings.Fields(s), " ")) }

// writeReasons writes for what disks wait, why they were read as they were, what was tried again, and why
// transports that movers prefer were not used.
func writeReasons(w io.Writer, v api.RunDetail) error {
	var waiting, notes, retried, refused reasons
	for _, d := range v.Disks {
		if d.Waiting != "" {
			waiting.add("for "+withName(d.Waiting, d), nameOf(d))
		}
		if d.Note != "" {
			notes.add(d.Note, nameOf(d))
		}
		if d.Retries > 0 {
			retried.add("after "+withName(d.Retried, d), fmt.Sprintf("%s (%d)", nameOf(d), d.Retries))
		}
		for _, r := range d.Refused {
			refused.add(r.Transport+": "+r.Reason, nameOf(d))
		}
	}
	if err := waiting.write(w, "waiting"); err != nil {
		return err
	}
	if err := notes.write(w, "notes"); err != nil {
		return err
	}
	if err := retried.write(w, "tried again"); err != nil {
		return err
	}
	return refused.write(w, "transports refused")
}

func severalVCenters(movers []api.Mover) bool {
	seen := map[string]bool{}
	for _, m := range movers {
		for _, p := range m.Paths {
			seen[p.VCenter] = true
		}
	}
	return len(seen) > 1
}

// pathTable shows the rate of each transport of each mover to each datastore.
func pathTable(movers []api.Mover) (t *text.Table, filled bool) {
	t = &text.Table{Columns: []text.Column{
		text.Left("MOVER"), text.Left("VCENTER"), text.Left("DATASTORE"), text.Left("TRANSPORT"), text.Right("READS"), text.Right("WRITES"), text.Left("RESTS UNTIL"), text.Left("WHY"),
	}}
	rate := func(n int64) string {
		if n == 0 {
			return ""
		}
		return telemetry.Bytes(n) + "/s"
	}
	several := severalVCenters(movers)
	for _, m := range movers {
		for _, p := range m.Paths {
			filled = true
			vcenter := ""
			if several {
				vcenter = p.VCenter
			}
			until := ""
			if !p.CoolUntil.IsZero() {
				until = text.Time(p.CoolUntil)
			}
			t.Row(m.Name, vcenter, cmp.Or(p.DatastoreName, string(p.Datastore)), p.Transport, rate(p.ReadRate), rate(p.WriteRate), until, oneLine(p.Reason))
		}
	}
	return t, filled
}
