// Package disk is one disk that is open through VDDK, in bytes, and the calls
// about a disk that need no handle.
//
// It keeps what a mover has to know of the library beside package vddk: which
// transports serve a disk on this host, in which order, and which have failed
// lately; that a call may hang, and is given up then; that a disk must be as large
// as the job says; that a relocation left disabled by a crashed run is enabled
// again, once; what an error of the library means for a job. It never retries
// beyond that, and opens one handle for one disk: several on one disk are slower
// than one.
package disk

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/vddk"
)

// Identity is that of PrepareForAccess and EndAccess where nobody gives one.
const Identity = "ivd"

// Spec says which disk to open and for what.
type Spec struct {
	Run      ivd.RunID // that it is opened for
	Disk     job.Disk
	Snapshot ivd.SnapshotID // empty: the disk itself
	Login    job.Login
	Write    bool
	Identity string      // of the EndAccess that an earlier run may have missed
	Allows   *job.Allows // nil: nothing is known of the disk
}

// Disk is an open disk. Its methods may be called from several goroutines at once.
type Disk struct {
	name       string
	connection *vddk.Connection
	handle     *vddk.Handle
	write      bool
	host       *Host
	rate       rate
	close      sync.Once
	failed     atomic.Bool // its path did not serve to the end
	kept       atomic.Bool // given up, and open for writing

	// Of a disk of a vCenter alone:
	disk     job.Disk
	login    job.Login // for what is to be cleaned up behind it
	refused  []job.Refusal
	attached *Attachment // by HotAdd; nil: not
}

// Transport is the one in use, as VDDK names it.
func (d *Disk) Transport() string { return d.handle.Transport() }

// Refused are the transports that would have been preferred to the one in use, and
// why they do not serve.
func (d *Disk) Refused() []job.Refusal { return d.refused }

// Tuning is how the disk is best moved.
func (d *Disk) Tuning() Tuning { return tuningOf(d.Transport()) }

// Rate is bytes a second, while requests were under way; 0 before the first ended.
func (d *Disk) Rate() int64 {
	bytes, busy := d.rate.total()
	if busy <= 0 {
		return 0
	}
	return int64(float64(bytes) / busy.Seconds())
}

// Info is what VixDiskLib_GetInfo said at the opening.
func (d *Disk) Info() vddk.Info { return d.handle.Info() }

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
	return d.transfer(ctx, d.handle.Read, buf, off)
}

// WriteAt writes buf, of Alloc's memory, at a byte offset.
func (d *Disk) WriteAt(ctx context.Context, buf []byte, off int64) error {
	return d.transfer(ctx, d.handle.Write, buf, off)
}

func (d *Disk) transfer(ctx context.Context, call func([]byte, uint64) error, buf []byte, off int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := aligned(off, int64(len(buf))); err != nil {
		return err
	}
	defer d.guard(d.host.limits.transfer)()
	d.rate.begin()
	err := call(buf, uint64(off)/vddk.SectorSize)
	d.rate.end(len(buf), err == nil)
	return d.fail(err)
}

// Flush makes what was written durable.
func (d *Disk) Flush(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	defer d.guard(d.host.limits.flush)()
	return d.fail(d.handle.Flush())
}

// guard gives the handle up when a call takes longer than its limit: the call then
// returns, and the job fails, while others go on. The function returned ends it.
func (d *Disk) guard(limit time.Duration) func() bool {
	return time.AfterFunc(limit, d.handle.Abandon).Stop
}

// fail classifies an error, and has the path cool down where it is to blame.
func (d *Disk) fail(err error) error {
	if err == nil {
		return nil
	}
	blame := abandoned(err)
	if blame && d.write && !d.kept.Swap(true) {
		d.host.keptOpen.Add(1)
	}
	switch class(err) {
	case vddk.Fallback, vddk.Transient, vddk.Generic:
		blame = true
	}
	if blame && !d.failed.Swap(true) && d.disk.Ref.Datastore() != "" {
		d.host.paths.fail(pathOf(d.disk.Ref, d.Transport()), err.Error())
	}
	return classify(err)
}

// Close closes the disk and its connection, both in any case. A second Close does
// nothing.
func (d *Disk) Close() (err error) {
	d.close.Do(func() {
		stop := d.guard(d.host.closeLimit())
		err = d.handle.Close()
		stop()
		err = d.fail(errors.Join(err, d.host.disconnect(d.connection)))
		d.settle(err)
	})
	return err
}

// settle tells the host what became of the disk.
func (d *Disk) settle(err error) {
	if d.disk.Ref.Datastore() == "" {
		return
	}
	if !d.failed.Load() {
		bytes, busy := d.rate.total()
		d.host.paths.work(pathOf(d.disk.Ref, d.Transport()), d.write, bytes, busy)
	}
	if d.attached != nil {
		d.detached(err)
	}
}

// closeLimit has room for an opening that hangs: closing waits for its end.
func (h *Host) closeLimit() time.Duration {
	if h.turn.since.Load() != 0 {
		return h.limits.open + h.limits.close
	}
	return h.limits.close
}

func (h *Host) disconnect(c *vddk.Connection) error {
	defer time.AfterFunc(h.closeLimit(), c.Abandon).Stop()
	return c.Disconnect()
}

func aligned(off, length int64) error {
	if off%vddk.SectorSize != 0 || length%vddk.SectorSize != 0 {
		return ivd.Errorf(ivd.Permanent, "%d bytes at %d: not whole sectors", length, off)
	}
	return nil
}
