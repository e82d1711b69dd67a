package doctor

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"ivdmover/mover/disk"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/vddk"
)

// Options say what is tried.
type Options struct {
	Program    string // and its version
	LibDir     string
	Settings   disk.Settings
	Transports []string
	Machine    disk.Machine

	Disk     job.Disk // empty: the library alone
	Snapshot ivd.SnapshotID
	Login    job.Login
	Capacity int64  // as vSphere says it, in bytes; 0: not given
	Facts    *Facts // what else vSphere says; nil: nobody asked it
	Measure  int64  // bytes to read by each transport
	// Release: the disk is not opened. The library releases what a process that died
	// has left attached to this machine, with its login.
	Release bool

	// Tell gets the report after each step, Progress what is being done, for people
	// who wait. They are never called at once.
	Tell     func(Report)
	Progress func(string)
}

// examination is one under way.
type examination struct {
	Options
	report Report
	notes  *notes
}

// Run tries everything and returns the report; when ctx ends it closes what is open
// and returns what it has. It runs on the process's main thread, in the environment
// that the library needs.
func Run(ctx context.Context, o Options) Report {
	e := &examination{Options: o, notes: &notes{}}
	r := &e.report
	r.Version, r.Time, r.Program = 1, time.Now().UTC(), o.Program
	r.Host, r.System = system()
	r.VM, r.BIOSUUID, r.LUNs = o.Machine.VM, o.Machine.BIOSUUID, o.Machine.LUNs
	r.Library = Library{LibDir: o.LibDir, Allowed: o.Transports}
	e.symbols()
	if lib := e.load(); lib != nil {
		switch {
		case e.Release:
			e.release(ctx, lib)
		case e.Disk.Ref.ID() != "":
			e.disk(ctx, lib)
		}
		lib.Exit()
	}
	e.tell()
	return e.report
}

func system() (host, kernel string) {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	var u syscall.Utsname
	if syscall.Uname(&u) != nil {
		return host, "unknown"
	}
	text := func(a [65]int8) string {
		var b strings.Builder
		for _, c := range a {
			if c == 0 {
				break
			}
			b.WriteByte(byte(c))
		}
		return b.String()
	}
	return host, text(u.Sysname) + " " + text(u.Release) + " " + text(u.Machine)
}

// step adds a check and tells the report so far.
func (e *examination) step(name string, err error, detail string) bool {
	c := Check{Name: name, Good: err == nil, Detail: detail}
	if err != nil {
		c.Detail, c.Remedy = err.Error(), remedyOf(err)
	}
	e.report.Checks = append(e.report.Checks, c)
	e.tell()
	return err == nil
}

func (e *examination) tell() {
	e.report.Warnings = e.notes.list()
	if e.Tell == nil {
		return
	}
	r := e.report
	r.Checks, r.Transports = slices.Clone(r.Checks), slices.Clone(r.Transports)
	e.Tell(r)
}

func (e *examination) symbols() {
	l := &e.report.Library
	file, err := libraryFile(e.LibDir)
	if err == nil {
		l.File = file
		l.Present, l.Absent, err = lookUp(file)
	}
	e.step("the library's file", err, fmt.Sprintf("%s, %d of %d symbols", file, len(l.Present), len(symbols)))
}

// load writes the settings and loads the library; nil where one of them fails.
func (e *examination) load() *vddk.Library {
	l := &e.report.Library
	file, unknown, err := e.Settings.Write()
	if !e.step("its configuration", err, file) {
		return nil
	}
	if text, err := os.ReadFile(file); err == nil {
		l.Settings = strings.Split(strings.TrimSpace(string(text)), "\n")
	}
	for _, key := range unknown {
		e.notes.add("VDDK is not known to have the key " + key + ", and would ignore it without a word")
	}
	lib, err := vddk.Load(vddk.Options{LibDir: e.LibDir, ConfigFile: file, Log: slog.New(e.notes)})
	if err == nil {
		l.Version, l.Modes = lib.Version(), lib.TransportModes()
	}
	if !e.step("loading and InitEx", err, l.Version) {
		return nil
	}
	l.Maker, l.Lacks = lib.Maker(), disk.Lacks(lib.Missing())
	e.step("disks of their own", lib.CheckIVD(), "")
	e.signals("after loading and InitEx")
	return lib
}

// signals tells which handlers the binding had to repair: it does so by itself.
func (e *examination) signals(when string) {
	repaired := e.notes.about("signal handler")
	detail := "each runs on its own stack"
	if len(repaired) > 0 {
		detail = "repaired: " + strings.Join(repaired, "; ")
	}
	e.step("signal handlers "+when, nil, detail)
}
