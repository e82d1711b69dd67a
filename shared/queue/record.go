package queue

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// JobRecord reads a job's record and its revision. Of one that cannot be read it returns
// the names, and the revision, with the error.
func (q *Queue) JobRecord(ctx context.Context, run ivd.RunID, disk ivd.DiskID, id ivd.JobID) (job.Record, uint64, error) {
	if err := checkJobKey(run, disk, id); err != nil {
		return job.Record{}, 0, err
	}
	e, err := q.records.get(ctx, jobKey(run, disk, id))
	if err != nil {
		return job.Record{}, 0, err
	}
	rec, err := decodeRecord(e)
	return rec, e.Revision, err
}

// CreateJobRecord writes the record of a new job; kind Exists when there is one.
func (q *Queue) CreateJobRecord(ctx context.Context, rec job.Record) error {
	if err := checkRecord(&rec); err != nil {
		return err
	}
	_, err := q.records.Create(ctx, jobKey(rec.Run, rec.Disk, rec.ID), rec)
	return err
}

// UpdateJobRecord writes a record that is still at revision and returns the new
// one. Kind Conflict: another one was faster, the job is lost to it.
func (q *Queue) UpdateJobRecord(ctx context.Context, rec job.Record, revision uint64) (uint64, error) {
	if err := checkRecord(&rec); err != nil {
		return 0, err
	}
	return q.records.Update(ctx, jobKey(rec.Run, rec.Disk, rec.ID), rec, revision)
}

// JobRecords reads all records of a run, by disk and job.
func (q *Queue) JobRecords(ctx context.Context, run ivd.RunID) ([]job.Record, error) {
	if err := checkToken("run", run); err != nil {
		return nil, err
	}
	entries, err := q.records.List(ctx, jobPrefix(run))
	if err != nil {
		return nil, err
	}
	recs := make([]job.Record, len(entries))
	for i, e := range entries {
		if recs[i], err = decodeRecord(e); err != nil {
			return nil, err
		}
	}
	return recs, nil
}

// WatchJobs yields the records of a run that are there, and then each one that
// changes, until ctx or the queue ends. It survives reconnections as Bucket.Watch
// does. Deletions are not told. Of a record that cannot be read it yields the names,
// with the error, and goes on; an error without names is the last.
func (q *Queue) WatchJobs(ctx context.Context, run ivd.RunID) iter.Seq2[job.Record, error] {
	return func(yield func(job.Record, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		if err := checkToken("run", run); err != nil {
			yield(job.Record{}, err)
			return
		}
		events, err := q.records.Watch(ctx, jobPrefix(run))
		if err != nil {
			yield(job.Record{}, err)
			return
		}
		for e := range events {
			if e.Current || e.Deleted {
				continue
			}
			rec, err := decodeRecord(e.Entry)
			if !yield(rec, err) {
				return
			}
		}
	}
}

// DeleteJobRecords takes a disk's jobs off the queue, those in progress as well,
// and deletes their records, without telling who watches them.
func (q *Queue) DeleteJobRecords(ctx context.Context, run ivd.RunID, disk ivd.DiskID) error {
	err := firstError(checkToken("run", run), checkDisk(disk))
	if err == nil {
		err = q.deleteJobs(ctx, string(run)+"."+token(string(disk)))
	}
	return err
}

// DeleteRun is DeleteJobRecords for all disks of a run.
func (q *Queue) DeleteRun(ctx context.Context, run ivd.RunID) error {
	if err := checkToken("run", run); err != nil {
		return err
	}
	return q.deleteJobs(ctx, string(run))
}

func (q *Queue) deleteJobs(ctx context.Context, whose string) error {
	if err := q.purge(ctx, jobStream, "ivd.job.*.*."+whose+".>"); err != nil {
		return fail(err, "take the jobs of %s off the queue", whose)
	}
	return q.records.DeletePrefix(ctx, whose)
}

func decodeRecord(e Entry) (job.Record, error) {
	var rec job.Record
	err := decode("job record "+e.Key, e.Value, &rec)
	if err == nil && e.Key != jobKey(rec.Run, rec.Disk, rec.ID) {
		err = ivd.Errorf(ivd.Corrupt, "job record %s: it says that it is %s", e.Key, jobKey(rec.Run, rec.Disk, rec.ID))
	}
	if err != nil {
		return namedBy(e.Key), err
	}
	return rec, nil
}

// namedBy is a record of which no more is known than its key.
func namedBy(key string) job.Record {
	run, rest, _ := strings.Cut(key, ".")
	disk, id, _ := strings.Cut(rest, ".")
	return job.Record{Run: ivd.RunID(run), Disk: ivd.DiskID(strings.ReplaceAll(disk, "/", ".")), ID: ivd.JobID(id)}
}

// JobsOf are the jobs of a run that have records, readable or not, by their disks.
func (q *Queue) JobsOf(ctx context.Context, run ivd.RunID) (map[ivd.DiskID][]ivd.JobID, error) {
	if err := checkToken("run", run); err != nil {
		return nil, err
	}
	keys, err := q.records.Keys(ctx, jobPrefix(run))
	if err != nil {
		return nil, err
	}
	jobs := map[ivd.DiskID][]ivd.JobID{}
	for _, key := range keys {
		rec := namedBy(key)
		jobs[rec.Disk] = append(jobs[rec.Disk], rec.ID)
	}
	return jobs, nil
}

func checkJobKey(run ivd.RunID, disk ivd.DiskID, id ivd.JobID) error {
	return firstError(checkToken("run", run), checkDisk(disk), checkToken("job", id))
}

func checkRecord(rec *job.Record) error {
	if err := checkJobKey(rec.Run, rec.Disk, rec.ID); err != nil {
		return err
	}
	if rec.Version < 1 || rec.Version > job.Version {
		return &ivd.Error{Kind: ivd.Invalid, Op: "job record", Err: fmt.Errorf("version %d, this program writes %d", rec.Version, job.Version)}
	}
	return nil
}
