package worker

import (
	"context"
	"fmt"
	"sync"
	"time"

	"ivdmover/mover/pipeline"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/pause"
	"ivdmover/shared/queue"
)

// jobKey names a job that this mover holds.
type jobKey struct {
	run  ivd.RunID
	disk ivd.DiskID
	job  ivd.JobID
}

func keyOf(j *job.Job) jobKey { return jobKey{j.Run, j.Key(), j.ID} }

// pull takes jobs of one kind as long as pulling lasts, never more than there are
// free handles: what comes although the other kind was faster goes back at once.
// ctx is that of the jobs.
func (w *Worker) pull(ctx, pulling context.Context, kind job.Kind, jobs *sync.WaitGroup) {
	puller := w.Queue.Jobs(kind)
	for pulling.Err() == nil {
		free := w.waitFree(pulling)
		if free == 0 {
			return
		}
		got, err := puller.Fetch(pulling, free)
		if err != nil && pulling.Err() == nil {
			w.Log.Error("taking jobs off the queue failed", "kind", kind, "err", err)
			_ = pause.For(pulling, 5*time.Second)
		}
		for _, d := range got {
			a, delay := w.take(d)
			if a == nil || w.stopping() {
				w.handBack(ctx, d, delay)
				continue
			}
			jobs.Go(func() { w.do(ctx, a) })
		}
	}
}

// waitFree waits until handles are free and says how many; none when the context
// ended.
func (w *Worker) waitFree(ctx context.Context) int {
	for {
		w.mu.Lock()
		free, freed := w.freeLocked(), w.freed
		w.mu.Unlock()
		if free > 0 {
			return free
		}
		select {
		case <-freed:
		case <-ctx.Done():
			return 0
		}
	}
}

// take takes a handle for a job; nil where none is free, or where this mover holds
// that very job already: it was slow enough for the queue to deliver it again.
func (w *Worker) take(d *queue.Delivery) (a *active, delay time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.active[keyOf(&d.Job)] != nil {
		return nil, later
	}
	if w.freeLocked() == 0 || w.stopping() {
		return nil, 0
	}
	a = newActive(d)
	w.active[keyOf(&d.Job)] = a
	return a, 0
}

// freeLocked is how many jobs may be taken now.
func (w *Worker) freeLocked() int {
	if w.alone != nil {
		return 0
	}
	return w.Handles - len(w.active)
}

// give gives a job's handle back.
func (w *Worker) give(a *active) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.active, keyOf(&a.delivery.Job))
	if w.alone == a {
		w.alone = nil
	}
	close(w.freed)
	w.freed = make(chan struct{})
}

// aloneFrom is how many attempts in a row may be lost before a job runs alone.
const aloneFrom = 2

// beAlone waits until nothing else is done here, and from its call on nothing else
// is taken: a job that took movers down before is not to take its neighbours with it
// again. A second one of its kind goes back.
func (w *Worker) beAlone(ctx context.Context, a *active) error {
	w.mu.Lock()
	if w.alone != nil && w.alone != a {
		w.mu.Unlock()
		return fmt.Errorf("%w: it has to run alone, and so has another job here", errLater)
	}
	w.alone = a
	w.mu.Unlock()
	for {
		w.mu.Lock()
		others, freed := len(w.active)-1, w.freed
		w.mu.Unlock()
		if others <= 0 {
			return nil
		}
		a.touch()
		t := time.NewTimer(beatEvery)
		select {
		case <-freed:
		case <-t.C:
		case <-w.stop:
			t.Stop()
			return pipeline.ErrStopped
		case <-w.relieved:
			t.Stop()
			return pipeline.ErrStopped
		case <-ctx.Done():
			t.Stop()
			return context.Cause(ctx)
		}
		t.Stop()
	}
}

func (w *Worker) handBack(ctx context.Context, d *queue.Delivery, delay time.Duration) {
	if err := d.Return(ctx, delay); err != nil {
		w.Log.Warn("handing a job back failed: it will be delivered again", "job", d.Job.ID, "disk", d.Job.Disk.Ref.ID(), "err", err)
	}
}
