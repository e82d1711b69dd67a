package worker

import (
	"context"
	"errors"
	"fmt"

	"ivdmover/mover/disk"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/telemetry"
)

// answer does what a coordinator asks for outside of any job.
func (w *Worker) answer(ctx context.Context, req job.Request) job.Reply {
	reply := job.Reply{Version: job.Version}
	err := w.serve(ctx, req, &reply)
	log := w.Log.With(telemetry.Run(req.Run), telemetry.Disk(req.Disk.Ref.ID()))
	if ivd.KindOf(err) == ivd.Cancelled { // by us, who end or hang: whoever asked has cancelled nothing
		err = &ivd.Error{Kind: ivd.Transient, Err: fmt.Errorf("the mover ends, and has not done it: %w", err)}
	}
	if err != nil {
		log.Warn("request failed", "op", req.Op, telemetry.Err(err))
	} else {
		log.Debug("request answered", "op", req.Op)
	}
	reply.Failure = ivd.FailureOf(err)
	return reply
}

func (w *Worker) serve(ctx context.Context, req job.Request, reply *job.Reply) error {
	login, err := w.login(ctx, job.LoginRequest{Run: req.Run, Disk: req.Disk.Ref, Warrant: req.Warrant}, func() {})
	if err != nil {
		return err
	}
	switch req.Op {
	case job.PrepareAccess:
		return w.Disks.PrepareAccess(ctx, req.Disk, login, req.Identity)
	case job.EndAccess:
		return w.Disks.EndAccess(ctx, req.Disk, login, req.Identity)
	case job.Inspect:
		return w.inspect(ctx, req, login, reply)
	}
	return &ivd.Error{Kind: ivd.Unsupported, Err: errors.New("this mover does not know how to " + string(req.Op)), Remedy: "upgrade the mover"}
}

// inspect opens a disk, reads what VDDK says of it and closes it again. It takes
// no handle of the jobs', or a mover that is busy could not be asked.
func (w *Worker) inspect(ctx context.Context, req job.Request, login job.Login, reply *job.Reply) error {
	d, err := w.Disks.Open(ctx, disk.Spec{Run: req.Run, Disk: req.Disk, Snapshot: req.Snapshot, Login: login, Identity: req.Identity, Allows: bearing(login, req.Allows)})
	if err != nil {
		return err
	}
	reply.Capacity, reply.Transport, reply.Refused = d.Capacity(), d.Transport(), d.Refused()
	return d.Close()
}
