package engine

import (
	"context"

	"ivdmover/coordinator/ledger"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/pause"
)

// followJobs keeps the records of the run's jobs as the bucket has them, by one
// watch for all.
func (d *driver) followJobs(ctx context.Context) {
	for n := 1; ; n++ {
		for rec, err := range d.e.Queue.WatchJobs(ctx, d.id) {
			switch {
			case err == nil:
				d.putJob(rec)
			case ctx.Err() != nil:
			case rec.ID != "":
				d.log.Error("the record of a job cannot be read: it has failed", "disk", rec.Disk, "job", rec.ID, "err", err)
				rec.State, rec.Failure = job.Failed, ivd.FailureOf(err)
				d.putJob(rec)
			default:
				d.log.Error("following the run's jobs failed; it is tried again", "err", err)
			}
		}
		if pause.For(ctx, ledger.Pauses.After(n)) != nil {
			return
		}
	}
}

func (d *driver) followProgress(ctx context.Context) {
	err := d.e.Queue.SubscribeProgress(ctx, d.id, d.putProgress)
	if err != nil && ctx.Err() == nil {
		d.log.Warn("following the movers' progress failed: it will not show", "err", err)
	}
}

// putJob takes note of a record that was read or stored, and wakes the group whose
// disk it is of.
func (d *driver) putJob(rec job.Record) {
	d.mu.Lock()
	defer d.mu.Unlock()
	k := jobKey{rec.Disk, rec.ID}
	d.jobs[k] = rec
	if rec.State != job.Running {
		delete(d.progress, k)
	}
	if g := d.groups[rec.Disk]; g != nil {
		g.rouse()
	}
	d.showLocked(rec.Disk)
}

func (d *driver) putProgress(p job.Progress) {
	d.mu.Lock()
	defer d.mu.Unlock()
	k := jobKey{p.Disk, p.Job}
	if d.jobs[k].State == job.Running {
		d.progress[k] = p
		d.showLocked(p.Disk)
	}
}

// showLocked shows the item of a disk whose jobs have changed.
func (d *driver) showLocked(disk ivd.DiskID) {
	if it, ok := d.board.get(d.disks[disk]); ok {
		d.putLocked(it.Item)
	}
}

// putLocked shows an item with what its jobs' records and movers say.
func (d *driver) putLocked(it Item) {
	v := ItemView{Item: it, Waits: d.waits[it.Key]}
	if it.Step != Ended {
		d.liveLocked(&v)
	}
	d.board.put(v)
	d.wakeLocked()
}

// stored is the run as it is in the bucket.
func (d *driver) stored() (Run, uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.run, d.rev
}

// setRun takes over what is stored of the run, a request to cancel with it.
func (d *driver) setRun(r Run, rev uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.run, d.rev = r, rev
	if r.Cancel && d.cancel != nil {
		d.cancel(errCancelled)
	}
	d.wakeLocked()
}

// publish lets everybody see an item's new state.
func (d *driver) publish(it Item) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if it.Disk != "" {
		d.disks[it.Disk] = it.Key
	}
	if it.Step == Ended { // what its jobs came to is in it
		for _, id := range it.Jobs {
			delete(d.jobs, jobKey{it.Disk, id})
			delete(d.progress, jobKey{it.Disk, id})
		}
		delete(d.groups, it.Disk)
		delete(d.disks, it.Disk)
	}
	d.putLocked(it)
}

// expect has a group woken when a job of the disk changes.
func (d *driver) expect(t *Task) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.groups[t.item.Disk] = t.g
}

func (d *driver) wakeLocked() {
	close(d.changed)
	d.changed = make(chan struct{})
}

// shown is an item as it is shown.
func (d *driver) shown(k ItemKey) (ItemView, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.board.get(k)
}

// summary is the run with the sums of its items as they are now.
func (d *driver) summary() Run {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.sumLocked()
}

// sumLocked is the run with the sums of its items, and for what they wait.
func (d *driver) sumLocked() Run {
	r := d.board.sum(d.run)
	r.Waiting = ""
	if d.board.unmoved > 0 && !r.Cancel && !r.State.Ended() {
		r.Waiting = d.e.short[d.moves()].text()
	}
	return r
}

func (d *driver) allEnded() bool {
	c := d.summary().Counts
	return c.Waiting+c.Working() == 0
}

// result sums the items' results up. A run that left something out is partial, and so is
// one that left something behind.
func (d *driver) result() State {
	r := d.summary()
	switch c := r.Counts; {
	case c.Done == c.Items && c.Done > 0 && r.Failure == nil && c.Left == 0:
		return Done
	case r.Cancel:
		return Cancelled
	case c.Done == 0:
		return Failed
	}
	return Partial
}
