// Package doctor tries out a host's VDDK, step by step, and tells in one report
// what it found: what somebody sends who has trouble with it.
//
// It only reads. The report names hosts, disks and paths, and no secret. Each step
// is told as soon as it is done, since the library may take the process down in the
// next one; a step that fails never keeps those from being tried that do not need
// it.
package doctor

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"ivdmover/shared/config"
	"ivdmover/shared/telemetry"
)

// Report is what was found.
type Report struct {
	Version int       `json:"version"`
	Time    time.Time `json:"time"`
	Program string    `json:"program"`
	Host    string    `json:"host"`
	System  string    `json:"system"` // its kernel

	VM       bool     `json:"vm"` // of VMware's
	BIOSUUID string   `json:"bios_uuid,omitempty"`
	LUNs     []string `json:"luns,omitempty"`

	Library    Library     `json:"library"`
	Disk       *Disk       `json:"disk,omitempty"`
	Transports []Transport `json:"transports,omitempty"`

	Checks   []Check  `json:"checks"`             // in the order of their trial
	Warnings []string `json:"warnings,omitempty"` // of the library and the binding, the last ones
}

// Library is the one that was loaded.
type Library struct {
	LibDir   string   `json:"libdir"`
	File     string   `json:"file,omitempty"`
	Version  string   `json:"version,omitempty"`
	Maker    string   `json:"maker,omitempty"`      // how it names itself when it is initialised
	Modes    []string `json:"transports,omitempty"` // that it has
	Allowed  []string `json:"allowed"`              // by the configuration
	Present  []string `json:"symbols_present,omitempty"`
	Absent   []string `json:"symbols_absent,omitempty"`
	Lacks    []string `json:"lacks,omitempty"`    // what it cannot do for want of functions
	Settings []string `json:"settings,omitempty"` // lines of its configuration file
}

// Disk is what VixDiskLib_GetInfo says of the disk that was given, and what vSphere
// says.
type Disk struct {
	ID           string `json:"id"`
	Datastore    string `json:"datastore"`
	Snapshot     string `json:"snapshot,omitempty"`
	Capacity     int64  `json:"capacity,omitempty"` // bytes
	UUID         string `json:"uuid,omitempty"`
	Links        int    `json:"links,omitempty"`
	Adapter      int    `json:"adapter,omitempty"`
	LogicalSize  uint32 `json:"logical_sector,omitempty"`
	PhysicalSize uint32 `json:"physical_sector,omitempty"`
	VSphere      *Facts `json:"vsphere,omitempty"`
}

// Facts is what vSphere says of a disk, and who asked it.
type Facts struct {
	Coordinator   string   `json:"coordinator"` // that asked
	VCenter       string   `json:"vcenter"`     // that answered, with its version
	Name          string   `json:"name"`
	Datastore     string   `json:"datastore"` // its name
	DatastoreType string   `json:"datastore_type,omitempty"`
	Capacity      int64    `json:"capacity"` // bytes, in whole MiB
	AttachedTo    []string `json:"attached_to,omitempty"`
	Encrypted     bool     `json:"encrypted,omitempty"`
	Thin          bool     `json:"thin,omitempty"`
	ProxyVMs      []string `json:"proxy_vms,omitempty"`     // of this host, BIOS UUIDs that it can be hot-added to
	LUNs          []string `json:"luns,omitempty"`          // that the datastore lies on
	SnapshotMade  bool     `json:"snapshot_made,omitempty"` // for this examination
}

// Transport is how one fared with the disk.
type Transport struct {
	Name     string `json:"name"`
	Works    bool   `json:"works"`
	Reason   string `json:"reason,omitempty"`   // why it does not
	Requests int    `json:"requests,omitempty"` // at once
	Request  int64  `json:"request,omitempty"`  // bytes of each
	Bytes    int64  `json:"bytes,omitempty"`
	Rate     int64  `json:"rate,omitempty"` // bytes a second
}

// Check is one step.
type Check struct {
	Name   string `json:"name"`
	Good   bool   `json:"good"`
	Detail string `json:"detail,omitempty"`
	Remedy string `json:"remedy,omitempty"`
}

// Good reports whether all steps were.
func (r *Report) Good() bool {
	for _, c := range r.Checks {
		if !c.Good {
			return false
		}
	}
	return true
}

// WriteText writes the report for people.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-12s %s\n", name, telemetry.Safe(fmt.Sprintf(format, args...)))
	}
	line("program", "%s", r.Program)
	line("time", "%s", r.Time.UTC().Format(time.RFC3339))
	line("host", "%s, %s", r.Host, r.System)
	line("vm", "%t, BIOS UUID %s", r.VM, orNone(r.BIOSUUID))
	line("luns", "%s", orNone(strings.Join(r.LUNs, " ")))
	l := r.Library
	line("vddk", "%s in %s, %s", orNone(l.Version), l.LibDir, orNone(l.File))
	line("maker", "%s", cmp.Or(l.Maker, "it does not name itself"))
	line("transports", "it has %s; allowed are %s", orNone(strings.Join(l.Modes, " ")), strings.Join(l.Allowed, " "))
	line("symbols", "%d present; absent: %s", len(l.Present), orNone(strings.Join(l.Absent, " ")))
	for _, s := range l.Lacks {
		line("without", "%s", s)
	}
	for _, s := range l.Settings {
		line("setting", "%s", s)
	}
	if d := r.Disk; d != nil {
		line("disk", "%s on %s, snapshot %s", d.ID, d.Datastore, orNone(d.Snapshot))
		if f := d.VSphere; f != nil {
			line("", "vSphere says %s on %s (%s), %d bytes, attached to %s, LUNs %s", f.Name, f.Datastore, orNone(f.DatastoreType), f.Capacity,
				orNone(strings.Join(f.AttachedTo, " ")), orNone(strings.Join(f.LUNs, " ")))
			line("", "vCenter %s, asked by coordinator %s", f.VCenter, f.Coordinator)
		}
		if d.Capacity > 0 {
			line("", "%d bytes, uuid %s, %d links, adapter %d, sectors of %d/%d bytes",
				d.Capacity, orNone(d.UUID), d.Links, d.Adapter, d.LogicalSize, d.PhysicalSize)
		}
	}
	for _, t := range r.Transports {
		if t.Works {
			line("", "%-7s %.1f MiB/s: %s, %d requests of %s at once", t.Name, float64(t.Rate)/mib, config.Size(t.Bytes), t.Requests, config.Size(t.Request))
		} else {
			line("", "%-7s does not serve: %s", t.Name, t.Reason)
		}
	}
	for _, c := range r.Checks {
		verdict := "good"
		if !c.Good {
			verdict = "BAD"
		}
		line(verdict, "%s%s", c.Name, after(": ", c.Detail))
		if c.Remedy != "" {
			line("", "%s", c.Remedy)
		}
	}
	for _, s := range r.Warnings {
		line("warning", "%s", s)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func after(separator, s string) string {
	if s == "" {
		return ""
	}
	return separator + strings.ReplaceAll(s, "\n", "; ")
}
