package worker

import (
	"context"
	"time"

	"ivdmover/mover/disk"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/pause"
	"ivdmover/shared/telemetry"
)

// releaseEvery is how long it waits before it tries to release a disk again.
const releaseEvery = 30 * time.Second

func (w *Worker) left() []disk.Attachment {
	if w.Devices == nil {
		return nil
	}
	return w.Devices.Left()
}

// release releases what an earlier process has left attached when it died, without
// waiting for a job: the snapshots cannot be deleted before, and their jobs may be
// another mover's by now.
func (w *Worker) release(ctx context.Context, left []disk.Attachment) {
	for _, a := range left {
		for !w.releaseOne(ctx, a) {
			if pause.For(ctx, releaseEvery) != nil {
				return
			}
		}
	}
}

// releaseOne reports whether there is nothing more to try.
func (w *Worker) releaseOne(ctx context.Context, a disk.Attachment) bool {
	login, err := w.login(ctx, job.LoginRequest{Run: a.Run, Disk: a.Disk.Ref, Warrant: a.Warrant}, func() {})
	switch {
	case err == nil:
		return w.Devices.Release(ctx, a, login)
	case ctx.Err() != nil || ivd.KindOf(err).Retry():
		return false
	}
	w.Log.Warn("a disk may still be attached to this machine, and nobody waits for it: it is released with the next login",
		telemetry.Run(a.Run), telemetry.Disk(a.Disk.Ref.ID()), telemetry.Err(err))
	w.Devices.GiveUp(a)
	return true
}

// tellLeft says at the end what the next start has to release.
func (w *Worker) tellLeft() {
	for _, a := range w.left() {
		w.Log.Warn("a disk is still attached to this machine and keeps its snapshot: the next start of this mover releases it",
			telemetry.Run(a.Run), telemetry.Disk(a.Disk.Ref.ID()), "datastore", a.Disk.Ref.Datastore())
	}
}
