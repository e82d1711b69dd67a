// Package disk is one disk that is open through VDDK, in bytes, and the calls
// about a disk that need no handle.
//
// It keeps what a mover has to know of the library beside package vddk: which
// transports are tried, in which order; that a disk must be as large as the job
// says; that a relocation left disabled by a crashed run is enabled again, once;
// what an error of the library means for a job. It never retries beyond that, and
// opens one handle for one disk: several on one disk are slower than one.
package disk

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"ivdmover/shared/ivd"
	"ivdmover/shared/queue"
	"ivdmover/vddk"
)

// Identity is that of PrepareForAccess and EndAccess where nobody gives one.
const Identity = "ivd"

// Spec says which disk to open and for what.
type Spec struct {
	Ref      ivd.DiskRef
	Snapshot ivd.SnapshotID // empty: the disk itself
	Login    queue.Login
	Write    bool
	Identity string // of the EndAccess that an earlier run may have missed
}

// Host is what this machine can do: the library and the transports allowed.
type Host struct {
	lib   *vddk.Library
	modes []string
}

// NewHost takes of the allowed transports those that the library has, in the
// order of the configuration. None left is an error.
func NewHost(lib *vddk.Library, allowed []string) (*Host, error) {
	has := lib.TransportModes()
	var modes []string
	for _, m := range allowed {
		if slices.Contains(has, m) {
			modes = append(modes, m)
		}
	}
	if len(modes) == 0 {
		return nil, &ivd.Error{
			Kind:   ivd.Invalid,
			Op:     "choose transports",
			Err:    fmt.Errorf("mover.vddk.transports allows %s, VDDK %s has %s", strings.Join(allowed, ", "), lib.Version(), strings.Join(has, ", ")),
			Remedy: "allow one that the library has",
		}
	}
	return &Host{lib: lib, modes: modes}, nil
}

// Modes are the transports that are tried, the best first.
func (h *Host) Modes() []string { return slices.Clone(h.modes) }

// Version is the library's.
func (h *Host) Version() string { return h.lib.Version() }

// Disk is an open disk. Its methods may be called from several goroutines at once.
type Disk struct {
	name       string
	connection *vddk.Connection
	handle     *vddk.Handle
	close      sync.Once
}

// Open opens a disk: with the first transport that works, and, where an earlier
// run left its relocation disabled, once more after EndAccess.
func (h *Host) Open(ctx context.Context, s Spec) (*Disk, error) {
	p := params(s.Ref, s.Snapshot, s.Login)
	open := func() (*Disk, error) {
		return firstOf(ctx, h.modes, func(modes string) (*Disk, error) {
			return h.openWith(p, string(s.Ref.Disk), s.Write, modes)
		})
	}
	d, err := afterEndAccess(open, func() error { return h.EndAccess(ctx, s.Ref, s.Login, s.Identity) })
	return d, classify(err)
}

// afterEndAccess opens once more, after end, where that is what an error asks for.
func afterEndAccess(open func() (*Disk, error), end func() error) (*Disk, error) {
	d, err := open()
	if class(err) != vddk.TransientAfterEndAccess {
		return d, err
	}
	if endErr := end(); endErr != nil {
		return nil, errors.Join(err, endErr)
	}
	return open()
}

// firstOf tries the transports: all that are left are handed to the library, which
// chooses; the best of them is left out when the choice then cannot.
func firstOf(ctx context.Context, modes []string, open func(modes string) (*Disk, error)) (d *Disk, err error) {
	for ; len(modes) > 0; modes = modes[1:] {
		if ctxErr := ctx.Err(); ctxErr != nil {
			return nil, ctxErr
		}
		if d, err = open(strings.Join(modes, ":")); class(err) != vddk.Fallback {
			break
		}
	}
	return d, err
}

func (h *Host) openWith(p vddk.Params, path string, write bool, modes string) (*Disk, error) {
	c, err := h.lib.Connect(p, !write, modes)
	if err != nil {
		return nil, err
	}
	var flags vddk.OpenFlags
	if !write {
		flags = vddk.ReadOnly
	}
	handle, err := c.Open(path, flags)
	if err != nil {
		return nil, errors.Join(err, c.Disconnect())
	}
	return &Disk{name: p.String(), connection: c, handle: handle}, nil
}

// OpenFile opens a local file instead of a disk of a vCenter.
func (h *Host) OpenFile(path string, write bool) (*Disk, error) {
	d, err := h.openWith(vddk.Params{}, path, write, "file")
	if err != nil {
		return nil, classify(err)
	}
	d.name = path
	return d, nil
}

// Transport is the one in use, as VDDK names it.
func (d *Disk) Transport() string { return d.handle.Transport() }

// Capacity is the disk's size in bytes, by VixDiskLib_GetInfo.
func (d *Disk) Capacity() int64 { return int64(d.handle.Info().Capacity) * vddk.SectorSize }

// CheckCapacity refuses a disk of another size than a job was made for; a restore
// may go to a larger one.
func (d *Disk) CheckCapacity(want int64, larger bool) error {
	got := d.Capacity()
	if got == want || larger && got > want {
		return nil
	}
	return &ivd.Error{
		Kind:   ivd.Permanent,
		Op:     "open " + d.name,
		Err:    fmt.Errorf("it has %d bytes, the job is for %d", got, want),
		Remedy: "start the run again: the disk's size changed meanwhile",
	}
}

// ReadAt fills buf, of Alloc's memory, from a byte offset; both are multiples of
// a sector.
func (d *Disk) ReadAt(ctx context.Context, buf []byte, off int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := aligned(off, int64(len(buf))); err != nil {
		return err
	}
	return classify(d.handle.Read(buf, uint64(off)/vddk.SectorSize))
}

// WriteAt writes buf, of Alloc's memory, at a byte offset.
func (d *Disk) WriteAt(ctx context.Context, buf []byte, off int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := aligned(off, int64(len(buf))); err != nil {
		return err
	}
	return classify(d.handle.Write(buf, uint64(off)/vddk.SectorSize))
}

// Flush makes what was written durable.
func (d *Disk) Flush(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return classify(d.handle.Flush())
}

// Close closes the disk and its connection, both in any case. A second Close does
// nothing.
func (d *Disk) Close() (err error) {
	d.close.Do(func() {
		err = classify(errors.Join(d.handle.Close(), d.connection.Disconnect()))
	})
	return err
}

func aligned(off, length int64) error {
	if off%vddk.SectorSize != 0 || length%vddk.SectorSize != 0 {
		return ivd.Errorf(ivd.Permanent, "%d bytes at %d: not whole sectors", length, off)
	}
	return nil
}
