package engine

import (
	"context"
	"reflect"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// vouch returns the record of a job that a mover vouches for. One that nobody does is
// not believed: the job begins anew, which counts as an attempt.
func (t *Task) vouch(ctx context.Context, rec job.Record) (job.Record, error) {
	if rec.Fresh() || reflect.DeepEqual(rec, t.vouched[rec.ID]) {
		return rec, nil
	}
	err := t.g.d.e.Fleet.Vouched(ctx, rec)
	switch {
	case ivd.KindOf(err) == ivd.Denied:
		return t.disown(ctx, rec, err)
	case err != nil:
		return rec, err
	}
	if t.vouched == nil {
		t.vouched = map[ivd.JobID]job.Record{}
	}
	t.vouched[rec.ID] = rec
	return rec, nil
}

// disown stores the record of a job that begins anew in the place of one that nobody
// vouches for.
func (t *Task) disown(ctx context.Context, rec job.Record, why error) (job.Record, error) {
	q := t.g.d.e.Queue
	there, rev, err := q.JobRecord(ctx, rec.Run, rec.Disk, rec.ID)
	if err != nil {
		return rec, err
	}
	if err := t.g.d.e.Fleet.Vouched(ctx, there); ivd.KindOf(err) != ivd.Denied {
		return there, err // it has changed since, and the watch tells that
	}
	if there.Attempt >= jobAttempts {
		return rec, why
	}
	t.log.Warn("a job's record is not believed; the job begins anew", "job", rec.ID, "err", why)
	if err := t.retried(ctx, why.Error()); err != nil {
		return rec, err
	}
	anew := t.newRecord(rec.ID, t.g.d.lease().ID)
	anew.Attempt = max(there.Attempt, 0) + 1
	if _, err := q.UpdateJobRecord(ctx, anew, rev); err != nil {
		return rec, err
	}
	t.published = false // its message may have been acknowledged
	t.g.d.putJob(anew)
	return anew, nil
}
