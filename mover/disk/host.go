package disk

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/vddk"
)

// Options say what a host allows, and what it is.
type Options struct {
	Transports []string // that may be used, the best first
	Machine    Machine
	Folder     string       // for what is remembered from one process to the next; empty: nothing
	Log        *slog.Logger // nil: nothing is logged
	// Patience is how long one opening may keep others waiting. 0: 20 s.
	Patience time.Duration
}

// Host is what this machine can do: the library, the transports allowed, and what
// was found out about them.
type Host struct {
	lib     *vddk.Library
	missing []string // the library's functions that it does not have
	modes   []string
	machine Machine
	log     *slog.Logger
	limits  limits
	paths   *paths
	connect connector // the library; tests have others

	turn     turn         // of opening
	keptOpen atomic.Int64 // disks to be written that were given up

	lostBytes atomic.Int64 // of buffers that were given up

	mu      sync.Mutex
	cleaned map[string]bool // vCenters for which Cleanup was called
	hotadds int             // disks open by HotAdd

	left     *left
	cleaning sync.Mutex   // held while what was left is looked for: others wait for that
	devices  sync.RWMutex // read by who attaches a disk, written by who calls Cleanup
}

// NewHost takes of the allowed transports those that the library has, in the
// order of the configuration. None left is an error, and so is a library that
// cannot address disks of their own.
func NewHost(lib *vddk.Library, o Options) (*Host, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if err := lib.CheckIVD(); err != nil && !slices.Equal(o.Transports, []string{file}) {
		return nil, classify(err)
	}
	has := lib.TransportModes()
	var modes, lacking []string
	for _, m := range o.Transports {
		if len(has) == 0 || slices.Contains(has, m) { // one that does not tell may have it
			modes = append(modes, m)
		} else {
			lacking = append(lacking, m)
		}
	}
	if len(modes) == 0 {
		return nil, &ivd.Error{
			Kind:   ivd.Invalid,
			Op:     "choose transports",
			Err:    fmt.Errorf("mover.vddk.transports allows %s, VDDK %s has %s", strings.Join(o.Transports, ", "), lib.Version(), strings.Join(has, ", ")),
			Remedy: "allow one that the library has",
		}
	}
	if len(lacking) > 0 {
		o.Log.Info("transports that this VDDK has not", "lacking", lacking, "has", has)
	}
	h := &Host{
		lib: lib, missing: lib.Missing(), modes: modes, machine: o.Machine, log: o.Log, limits: defaultLimits,
		paths: newPaths(), cleaned: map[string]bool{},
	}
	h.connect = h.openWith
	h.turn.init(o.Patience)
	var err error
	h.left, err = openLeft(o.Folder)
	h.noted(err)
	return h, nil
}

// Modes are the transports that are tried, the best first.
func (h *Host) Modes() []string { return slices.Clone(h.modes) }

// CannotWrite is why this host can write to no disk, whatever it is; empty: it may.
func (h *Host) CannotWrite() string {
	if err := h.needs("", "", writes...); err != nil {
		return errors.Unwrap(err).Error()
	}
	if keep, refused := choose(h.modes, h.machine, wanted{write: true}); len(keep) == 0 {
		return (&Unserved{refused}).Error()
	}
	return ""
}

// Version is the library's.
func (h *Host) Version() string { return h.lib.Version() }

// Facts are what a heartbeat tells of a host.
type Facts struct {
	Machine  Machine
	Paths    []job.Path
	Lost     int   // calls and handles that were given up
	LostKeep int64 // bytes of buffers that are the library's for ever
	Kept     int   // disks to be written that were given up: they are locked until this process ends
	Stuck    bool  // an opening keeps others waiting for long
}

// Facts are as of now.
func (h *Host) Facts() Facts {
	return Facts{Machine: h.machine, Paths: h.paths.list(), Lost: h.lib.Abandoned(), LostKeep: h.lostBytes.Load(), Kept: int(h.keptOpen.Load()), Stuck: h.turn.stuck()}
}

// Buffer is memory for reads and writes; what a call that was given up holds is
// never freed, and counted.
type Buffer struct {
	*vddk.Buffer
	host *Host
}

// Alloc makes a buffer of n bytes.
func (h *Host) Alloc(n int) Buffer { return Buffer{vddk.Alloc(n), h} }

// Free gives the memory back, but what is lost.
func (b Buffer) Free() {
	if b.Lost() {
		b.host.lostBytes.Add(int64(len(b.Bytes())))
	}
	b.Buffer.Free()
}
