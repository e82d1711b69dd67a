package doctor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"ivdmover/mover/disk"
	"ivdmover/shared/config"
	"ivdmover/shared/ivd"
	"ivdmover/shared/pause"
	"ivdmover/vddk"
)

const mib = 1 << 20

// sayEvery is how often a measurement tells how far it is.
const sayEvery = 5 * time.Second

// disk opens the disk that was given by each transport by itself.
func (e *examination) disk(ctx context.Context, lib *vddk.Library) {
	e.report.Disk = &Disk{ID: string(e.Disk.Ref.ID()), Datastore: string(e.Disk.Ref.Datastore()), Snapshot: string(e.Snapshot), VSphere: e.Facts}
	looked, works := false, 0
	for _, mode := range e.Transports {
		if ctx.Err() != nil {
			break
		}
		t, err := e.transport(ctx, lib, mode, &looked)
		if err != nil {
			t.Works, t.Reason = false, reasonOf(err)
		} else {
			works++
		}
		e.report.Transports = append(e.report.Transports, t)
		e.tell()
	}
	var err error
	switch {
	case ctx.Err() != nil:
		err = errors.New("it was interrupted")
	case works == 0:
		err = errors.New("no transport serves: see the reason of each")
	}
	e.step("opening the disk", err, fmt.Sprintf("%d of %d transports serve", works, len(e.Transports)))
	e.signals("after opening")
}

// reasonOf is in one line why a transport, tried by itself, does not serve.
func reasonOf(err error) string {
	var u *disk.Unserved
	if errors.As(err, &u) && len(u.Refused) == 1 {
		return u.Refused[0].Reason
	}
	return strings.ReplaceAll(err.Error(), "\n", "; ")
}

// transport opens the disk by one transport and measures it; with the first that
// works, what the disk is like is looked at as well.
func (e *examination) transport(ctx context.Context, lib *vddk.Library, mode string, looked *bool) (t Transport, err error) {
	t.Name = mode
	h, err := disk.NewHost(lib, disk.Options{Transports: []string{mode}, Machine: e.Machine, Log: slog.New(e.notes)})
	if err != nil {
		return t, err
	}
	e.progress("opening the disk by %s", mode)
	d, err := h.Open(ctx, disk.Spec{Disk: e.Disk, Snapshot: e.Snapshot, Login: e.Login, Allows: e.Login.Allows})
	if err != nil {
		return t, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	t.Works, t.Requests, t.Request = true, d.Tuning().Depth, d.Tuning().Request
	if !*looked {
		*looked = true
		e.look(ctx, h, d)
	}
	t.Bytes, err = e.measure(ctx, h, d, mode)
	t.Rate = d.Rate()
	return t, err
}

// Released is the check of an examination that releases.
const Released = "releasing what stayed attached"

func (e *examination) release(ctx context.Context, lib *vddk.Library) {
	h, err := disk.NewHost(lib, disk.Options{Transports: e.Transports, Machine: e.Machine, Log: slog.New(e.notes)})
	if err == nil && !h.Release(ctx, disk.Attachment{Disk: e.Disk}, e.Login) {
		err = &ivd.Error{
			Err:    errors.New(strings.Join(append([]string{"it is not released"}, e.notes.list()...), "; ")),
			Remedy: "examine a disk again on this host, or detach the disk from this VM by hand: its snapshot cannot be deleted before",
		}
	}
	e.step(Released, err, "")
}

// look compares the disk with what vSphere says of it, and reads both of its ends.
func (e *examination) look(ctx context.Context, h *disk.Host, d *disk.Disk) {
	info, r := d.Info(), e.report.Disk
	r.Capacity, r.UUID, r.Links, r.Adapter = d.Capacity(), info.UUID, info.LinkCount, info.AdapterType
	r.LogicalSize, r.PhysicalSize = info.LogicalSectorSize, info.PhysicalSectorSize
	if e.Capacity > 0 {
		var err error
		if diff := e.Capacity - r.Capacity; diff <= -mib || diff >= mib { // vSphere counts whole MiB
			err = &ivd.Error{
				Kind:   ivd.Unmet,
				Err:    fmt.Errorf("VDDK says %d bytes, vSphere %d", r.Capacity, e.Capacity),
				Remedy: "look whether the disk was resized after its snapshot",
			}
		}
		e.step("its size is vSphere's", err, fmt.Sprintf("%d bytes", r.Capacity))
	}
	n := min(mib, r.Capacity)
	e.step("reading its first MiB", e.end(ctx, h, d, 0, n), "")
	e.step("reading its last MiB", e.end(ctx, h, d, r.Capacity-n, n), "")
}

func (e *examination) end(ctx context.Context, h *disk.Host, d *disk.Disk, off, n int64) error {
	buf := h.Alloc(mib)
	defer buf.Free()
	return d.ReadAt(ctx, buf.Bytes()[:n], off)
}

// measure reads from the disk's beginning, with as many requests at once, and as
// large, as a backup has.
func (e *examination) measure(ctx context.Context, h *disk.Host, d *disk.Disk, mode string) (int64, error) {
	end, tuning := min(e.Measure, d.Capacity()), d.Tuning()
	var next, done atomic.Int64
	stop := e.follow(func() { e.progress("reading by %s: %s of %s", mode, config.Size(done.Load()), config.Size(end)) })
	defer stop()
	var readers sync.WaitGroup
	errs := make(chan error, tuning.Depth)
	for range tuning.Depth {
		readers.Go(func() {
			buf := h.Alloc(int(tuning.Request))
			defer buf.Free()
			for {
				off := next.Add(tuning.Request) - tuning.Request
				if off >= end {
					return
				}
				n := min(tuning.Request, end-off)
				if err := d.ReadAt(ctx, buf.Bytes()[:n], off); err != nil {
					errs <- err
					return
				}
				done.Add(n)
			}
		})
	}
	readers.Wait()
	close(errs)
	return done.Load(), <-errs
}

// follow has say tell how far something is, now and again until it is stopped.
func (e *examination) follow(say func()) (stop func()) {
	say()
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() {
		for pause.For(ctx, sayEvery) == nil {
			say()
		}
	})
	return func() { cancel(); group.Wait() }
}

func (e *examination) progress(format string, args ...any) {
	if e.Progress != nil {
		e.Progress(fmt.Sprintf(format, args...))
	}
}
