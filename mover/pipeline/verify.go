package pipeline

import (
	"context"
	"errors"
	"iter"

	"ivdmover/shared/format"
	"ivdmover/shared/image"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// Verify is one job's part of a restore point that is read, and checked by being read.
// Nothing is written.
type Verify struct {
	Job    job.Job
	From   job.Record   // the checkpoint to go on from
	Image  *image.Image // OpenImage's, for this job alone
	Meter  *Meter
	Limits Limits // Bytes are those read: 4 GiB

	// Checkpoint stores what the verification has come to. Its error ends the job.
	Checkpoint func(context.Context, Batch) error
	// Stop, closed, asks for the end at the next span.
	Stop <-chan struct{}
}

// Run does the job, or what is left of it. It returns nil when all was read and the last
// checkpoint says so, and ErrStopped when it was asked to stop.
func (v Verify) Run(ctx context.Context) error {
	r := Restore{Job: v.Job, From: v.From, Image: v.Image, Meter: v.Meter, Limits: v.Limits, Checkpoint: v.Checkpoint, Stop: v.Stop}
	err := r.check()
	if err == nil && v.Job.Verify == nil {
		err = errors.New("a verification that does not say how it reads")
	}
	if err != nil {
		return restoreError(v.Job, err)
	}
	if r.Limits.Bytes <= 0 {
		r.Limits.Bytes = restoreBytes
	}
	r.Limits.defaults(0)
	w := &verification{restore: restore{Restore: r}, reads: newReads(v.Meter, r.Limits, v.Checkpoint, v.Stop)}
	if v.Job.Verify.Depth == job.Structure {
		return w.structure(ctx)
	}
	return w.content(ctx)
}

// verification is a Verify under way: what of a job it has in common with a restore, and
// no disk.
type verification struct {
	restore restore
	reads   reads
	done    int64
}

// structure reads what the job's pages are made of.
func (w *verification) structure(ctx context.Context) error {
	last := ivd.SpanIndex(-1)
	for e, err := range w.restore.Image.Structure(ctx, w.restore.extents()) {
		if err != nil {
			return err
		}
		if err := w.read(ctx, &last, ivd.Stats{DiskBytes: e.Length}, e); err != nil {
			return err
		}
	}
	return w.all(ctx, w.restore.extents())
}

// content reads what the job's pages hold: all of it, or the spans of a sample.
func (w *verification) content(ctx context.Context) error {
	last := ivd.SpanIndex(-1)
	for p, err := range w.restore.Image.Pieces(ctx, w.chosen()) {
		if err != nil {
			return err
		}
		s := ivd.Stats{DiskBytes: p.Length}
		if !p.Zero() {
			s.ReadBytes = p.Length
		}
		p.Release()
		if err := w.read(ctx, &last, s, p.Extent); err != nil {
			return err
		}
	}
	return w.all(ctx, w.chosen())
}

// read counts an extent that was read, and between spans says now and then how far all is.
func (w *verification) read(ctx context.Context, last *ivd.SpanIndex, s ivd.Stats, e ivd.Extent) error {
	w.restore.Meter.tick()
	at := ivd.SpanIndex(e.Offset / w.restore.Job.Geometry.SpanSize())
	if *last >= 0 && at != *last {
		if _, err := w.reads.between(ctx, Batch{Next: at}, false); err != nil {
			return err
		}
	}
	*last = at
	w.done += e.Length
	w.restore.Meter.add(s)
	return nil
}

// all refuses an end before all was read, and stores that it was.
func (w *verification) all(ctx context.Context, of iter.Seq[ivd.Extent]) error {
	var todo int64
	for e := range of {
		todo += e.Length
	}
	if w.done != todo {
		return ivd.Errorf(ivd.Permanent, "verify %s: %d bytes are read of %d", w.restore.Job.Restore.Point, w.done, todo)
	}
	return w.reads.seal(ctx, Batch{Next: w.restore.end(), Done: true})
}

// chosen yields the spans that are read of the job's pages: another sample each run, and
// the same one after a restart.
func (w *verification) chosen() iter.Seq[ivd.Extent] {
	how := w.restore.Job.Verify
	if how.Depth != job.Sample {
		return w.restore.extents()
	}
	g := w.restore.Job.Geometry
	return func(yield func(ivd.Extent) bool) {
		for e := range w.restore.extents() {
			for off := e.Offset; off < e.End(); off += g.SpanSize() {
				span := ivd.SpanIndex(off / g.SpanSize())
				if inSample(w.restore.Job.Run, w.restore.Job.Restore.Point, span, how.Percent) && !yield(g.Span(span)) {
					return
				}
			}
		}
	}
}

// inSample reports whether a run's sample of a point has a span.
func inSample(run ivd.RunID, point ivd.PointID, span ivd.SpanIndex, percent int) bool {
	h := format.NewPackHash()
	_, _ = h.Write([]byte(string(run) + "\n" + string(point) + "\n")) // never fails
	_, _ = h.Write([]byte{byte(span >> 24), byte(span >> 16), byte(span >> 8), byte(span)})
	sum := h.Sum(nil)
	return (int(sum[0])<<16|int(sum[1])<<8|int(sum[2]))%100 < percent
}
