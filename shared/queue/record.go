package queue

import (
	"context"
	"fmt"

	"ivdmover/shared/ivd"
)

// JobRecord reads a job's record and its revision.
func (q *Queue) JobRecord(ctx context.Context, run ivd.RunID, disk ivd.DiskID, job ivd.JobID) (JobRecord, uint64, error) {
	if err := checkJobKey(run, disk, job); err != nil {
		return JobRecord{}, 0, err
	}
	e, err := q.state.get(ctx, jobKey(run, disk, job))
	if err != nil {
		return JobRecord{}, 0, err
	}
	rec, err := decodeRecord(e)
	return rec, e.Revision, err
}

// CreateJobRecord writes the record of a new job; kind Exists when there is one.
func (q *Queue) CreateJobRecord(ctx context.Context, rec JobRecord) (revision uint64, err error) {
	if err := checkRecord(&rec); err != nil {
		return 0, err
	}
	return q.state.Create(ctx, jobKey(rec.Run, rec.Disk, rec.ID), rec)
}

// UpdateJobRecord writes a record that is still at revision and returns the new
// one. Kind Conflict: another one was faster, the job is lost to it.
func (q *Queue) UpdateJobRecord(ctx context.Context, rec JobRecord, revision uint64) (uint64, error) {
	if err := checkRecord(&rec); err != nil {
		return 0, err
	}
	return q.state.Update(ctx, jobKey(rec.Run, rec.Disk, rec.ID), rec, revision)
}

// JobRecords reads all records of a run, by disk and job.
func (q *Queue) JobRecords(ctx context.Context, run ivd.RunID) ([]JobRecord, error) {
	if err := checkToken("run", run); err != nil {
		return nil, err
	}
	entries, err := q.state.List(ctx, jobPrefix(run))
	if err != nil {
		return nil, err
	}
	recs := make([]JobRecord, len(entries))
	for i, e := range entries {
		if recs[i], err = decodeRecord(e); err != nil {
			return nil, err
		}
	}
	return recs, nil
}

// JobEvent is a job's record as WatchJobs tells it.
type JobEvent struct {
	Record   JobRecord
	Revision uint64
	Deleted  bool // the record is gone: only its Run, Disk and ID are set
	Current  bool // once: all records that were there have been told
	// Err says that a record cannot be used, and which; the watch goes on.
	Err error
}

// WatchJobs tells the records of a run as Bucket.Watch does.
func (q *Queue) WatchJobs(ctx context.Context, run ivd.RunID) (<-chan JobEvent, error) {
	if err := checkToken("run", run); err != nil {
		return nil, err
	}
	events, err := q.state.Watch(ctx, jobPrefix(run))
	if err != nil {
		return nil, err
	}
	out := make(chan JobEvent)
	q.background(ctx, func(ctx context.Context) {
		defer close(out)
		for e := range events {
			select {
			case out <- jobEvent(e):
			case <-ctx.Done():
			}
		}
	})
	return out, nil
}

func jobEvent(e Event) JobEvent {
	switch {
	case e.Current:
		return JobEvent{Current: true}
	case e.Deleted:
		rec, err := recordOfKey(e.Key)
		return JobEvent{Record: rec, Revision: e.Revision, Deleted: true, Err: err}
	}
	rec, err := decodeRecord(e.Entry)
	return JobEvent{Record: rec, Revision: e.Revision, Err: err}
}

// DeleteRun withdraws a run's jobs and deletes their records, without telling who
// watches them.
func (q *Queue) DeleteRun(ctx context.Context, run ivd.RunID) error {
	if err := q.Withdraw(ctx, run); err != nil {
		return err
	}
	return q.state.DeletePrefix(ctx, jobPrefix(run))
}

func decodeRecord(e Entry) (JobRecord, error) {
	var rec JobRecord
	err := decode("job record "+e.Key, e.Value, &rec)
	if err == nil && e.Key != jobKey(rec.Run, rec.Disk, rec.ID) {
		err = ivd.Errorf(ivd.Corrupt, "job record %s: it says that it is %s", e.Key, jobKey(rec.Run, rec.Disk, rec.ID))
	}
	return rec, err
}

func recordOfKey(key string) (JobRecord, error) {
	tokens := splitKey(key)
	if len(tokens) != 4 {
		return JobRecord{}, ivd.Errorf(ivd.Corrupt, "key %q of a job record: want job.<run>.<disk>.<job>", key)
	}
	return JobRecord{Run: ivd.RunID(tokens[1]), Disk: ivd.DiskID(tokens[2]), ID: ivd.JobID(tokens[3])}, nil
}

func checkJobKey(run ivd.RunID, disk ivd.DiskID, job ivd.JobID) error {
	return firstError(checkToken("run", run), checkToken("disk", disk), checkToken("job", job))
}

func checkRecord(rec *JobRecord) error {
	if err := checkJobKey(rec.Run, rec.Disk, rec.ID); err != nil {
		return err
	}
	if rec.Version < 1 || rec.Version > Version {
		return &ivd.Error{Kind: ivd.Invalid, Op: "job record", Err: fmt.Errorf("version %d, this program writes %d", rec.Version, Version)}
	}
	return nil
}
