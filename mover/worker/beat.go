package worker

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"ivdmover/mover/disk"
	"ivdmover/mover/pipeline"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/queue"
)

const (
	beatEvery     = 3 * time.Second // heartbeats, and looks at the records of jobs
	progressEvery = time.Second
	// stallLimit is how long a job may have no call completed before the queue is
	// no longer told that it is in progress. A call that hangs is given up before.
	stallLimit = disk.LongestCall
)

// active is a job that holds a handle.
type active struct {
	delivery *queue.Delivery
	meter    pipeline.Meter
	touched  atomic.Int64 // when a call last completed, in Unix nanoseconds
	lose     context.CancelCauseFunc

	mu    sync.Mutex
	disk  *disk.Disk   // once it is open
	heart *queue.Heart // nil before the attempt and after it
	held  bool         // the record says that the job is this process's
}

func newActive(d *queue.Delivery) *active {
	a := &active{delivery: d, lose: func(error) {}}
	a.meter.Touch = a.touch
	a.touch()
	return a
}

func (a *active) touch() { a.touched.Store(time.Now().UnixNano()) }

func (a *active) alive() bool { return time.Since(time.Unix(0, a.touched.Load())) < stallLimit }

func (a *active) opened(d *disk.Disk) {
	a.mu.Lock()
	a.disk = d
	a.mu.Unlock()
}

// way is by which transport the disk is moved, which others do not serve, and how
// fast it is.
func (a *active) way() (transport string, refused []job.Refusal, rate int64) {
	a.mu.Lock()
	d := a.disk
	a.mu.Unlock()
	if d == nil {
		return "", nil, 0
	}
	return d.Transport(), d.Refused(), d.Rate()
}

func (a *active) show() job.Active {
	j := &a.delivery.Job
	transport, refused, rate := a.way()
	return job.Active{
		Run: j.Run, Disk: j.Key(), Name: j.Name, Job: j.ID, Kind: j.Kind,
		Transport: transport, Refused: refused, Rate: rate, Stats: a.meter.Total(),
	}
}

// list is what the worker holds now.
func (w *Worker) list() []*active {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := make([]*active, 0, len(w.active))
	for _, a := range w.active {
		list = append(list, a)
	}
	return list
}

// beat sends a heartbeat. A job is in it before its record says that it runs, and
// until its disk is closed: who reads both never takes a disk for free that is not.
func (w *Worker) beat(ctx context.Context) error {
	w.beating.Lock()
	defer w.beating.Unlock()
	w.beats++
	m := job.Mover{
		Version: job.Version, Name: w.Name, Process: w.process, Host: w.host, Started: w.started, Beat: w.beats,
		PublicKey: w.key.Public(), VerifyKey: w.signer.public(), Handles: w.Handles, Draining: w.stopping(), VDDK: w.VDDK, Modes: w.Modes, NoRestore: w.NoRestore, Hangs: w.hangs(),
	}
	f := w.Facts()
	m.BIOSUUID, m.LUNs, m.Paths, m.Lost, m.LostKeep = f.Machine.BIOSUUID, f.Machine.LUNs, f.Paths, f.Lost+w.LostSlots, f.LostKeep
	list := w.list()
	w.mu.Lock()
	m.Free, m.Alone, m.Waits = w.freeLocked(), w.alone != nil, w.waits
	w.mu.Unlock()
	m.Active = make([]job.Active, 0, len(list))
	for _, a := range list {
		m.Active = append(m.Active, a.show())
	}
	return w.Queue.Beat(ctx, m)
}

// tend sends heartbeats and progress, keeps the deliveries of living jobs alive
// and notices jobs that are somebody else's now, until ended is closed.
func (w *Worker) tend(ctx context.Context, ended <-chan struct{}) {
	var tasks sync.WaitGroup
	defer tasks.Wait()
	every := func(d time.Duration, f func()) {
		tasks.Go(func() {
			tick := time.NewTicker(d)
			defer tick.Stop()
			for {
				select {
				case <-tick.C:
					f()
				case <-ended:
					return
				case <-ctx.Done():
					return
				}
			}
		})
	}
	every(progressEvery, w.tellProgress)
	every(progressEvery, func() {
		f := w.Facts()
		if f.Lost > w.MaxLost || f.Kept > 0 {
			w.replaced.Do(func() { close(w.replace) })
		}
		if f.Stuck && w.Yield != nil {
			w.relief.Do(func() { close(w.relieved); w.Yield() })
		}
	})
	beat := func() {
		if err := w.beat(ctx); err != nil && ctx.Err() == nil && ivd.KindOf(err) != ivd.Withheld { // of which the log has one line
			w.Log.Warn("sending a heartbeat failed", "err", err)
		}
	}
	every(beatEvery, beat)
	tasks.Go(func() { // a server that was started again has forgotten us
		for {
			select {
			case <-w.Queue.Returned():
				beat()
			case <-ended:
				return
			case <-ctx.Done():
				return
			}
		}
	})
	every(beatEvery, func() {
		for _, a := range w.list() {
			w.look(ctx, a)
		}
	})
}

func (w *Worker) tellProgress() {
	for _, a := range w.list() {
		a.mu.Lock()
		heart := a.heart
		a.mu.Unlock()
		transport, refused, rate := a.way()
		if heart == nil {
			continue
		}
		if a.alive() {
			heart.Touch()
		}
		j := &a.delivery.Job
		p := job.Progress{
			Version: job.Version, Run: j.Run, Disk: j.Key(), Job: j.ID,
			Mover: w.Name, Stats: a.meter.Unsealed(), Transport: transport, Refused: refused, Rate: rate,
		}
		if err := w.Queue.PublishProgress(p); err != nil {
			w.Log.Debug("tell progress", "err", err)
		}
	}
}

// look reads a job's record: a job that was cancelled, or taken by another mover,
// is dropped here sooner than its next checkpoint would find out.
func (w *Worker) look(ctx context.Context, a *active) {
	a.mu.Lock()
	held := a.held
	a.mu.Unlock()
	if !held {
		return
	}
	j := &a.delivery.Job
	rec, _, err := w.Queue.JobRecord(ctx, j.Run, j.Key(), j.ID)
	gone := ivd.KindOf(err) == ivd.NotFound
	if err != nil && !gone {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.held && (gone || rec.Process != w.process || rec.State != job.Running) {
		a.lose(errLost)
	}
}
