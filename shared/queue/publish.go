package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// Publish puts a job on the queue whose record says that it is queued; when it
// returns nil the job is stored there. To repeat it, at any time, by any
// coordinator, puts no second one there: nothing is done where the job waits
// already, or where its record says that a mover runs it or has done it. A job
// that failed is queued again with the next attempt's number, which is read from
// its record.
func (q *Queue) Publish(ctx context.Context, j job.Job) error {
	op := fmt.Sprintf("queue job %s of disk %s", j.ID, j.Disk.Ref.ID())
	if err := checkJob(&j); err != nil {
		return &ivd.Error{Kind: ivd.Invalid, Op: op, Err: err}
	}
	body, err := json.Marshal(j)
	if err != nil {
		return &ivd.Error{Kind: ivd.Invalid, Op: op, Err: err}
	}
	rec, _, err := q.JobRecord(ctx, j.Run, j.Key(), j.ID)
	if err != nil && ivd.KindOf(err) != ivd.NotFound {
		return &ivd.Error{Op: op, Err: err}
	}
	if rec.State == job.Running || rec.State == job.Done {
		return nil
	}
	id := fmt.Sprintf("%s/%s/%s/%d", j.Run, j.Key(), j.ID, rec.Attempt)
	return fail(q.publish(ctx, jobSubject(&j), id, body), "%s", op)
}

// publish stores a message once. The server knows ids for a while only, so the
// subject, which is the job's own, is looked at first.
func (q *Queue) publish(ctx context.Context, subject, id string, body []byte) error {
	waits, err := q.waits(ctx, subject, id)
	if err != nil || waits {
		return err
	}
	ack, err := q.send(ctx, subject, id, body)
	if err != nil || !ack.Duplicate {
		return err
	}
	if waits, err = q.waits(ctx, subject, id); err != nil || waits {
		return err
	}
	// It was queued and taken off without an attempt: withdrawn, or dropped.
	_, err = q.send(ctx, subject, id+"/"+nuid.Next(), body)
	return err
}

func (q *Queue) send(ctx context.Context, subject, id string, body []byte) (ack *jetstream.PubAck, err error) {
	err = q.retry(ctx, func(ctx context.Context) error {
		ack, err = q.js.Publish(ctx, subject, body, jetstream.WithMsgID(id), jetstream.WithExpectStream(jobStream))
		return err
	})
	return ack, err
}

// waits reports whether the last message of a subject has this id: it is there as
// long as nobody acknowledged it.
func (q *Queue) waits(ctx context.Context, subject, id string) (yes bool, err error) {
	err = q.retry(ctx, func(ctx context.Context) error {
		s, err := q.js.Stream(ctx, jobStream)
		if err != nil {
			return err
		}
		m, err := s.GetLastMsgForSubject(ctx, subject)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil
		}
		if err == nil {
			got := m.Header.Get(jetstream.MsgIDHeader)
			yes = got == id || strings.HasPrefix(got, id+"/")
		}
		return err
	})
	return yes, err
}

// purge removes a stream's messages by subject.
func (q *Queue) purge(ctx context.Context, stream, filter string) error {
	return q.retry(ctx, func(ctx context.Context) error {
		s, err := q.js.Stream(ctx, stream)
		if err != nil {
			return err
		}
		return s.Purge(ctx, jetstream.WithPurgeSubject(filter))
	})
}

func checkJob(j *job.Job) error {
	err := firstError(
		checkToken("kind", j.Kind), checkToken("class", j.Class), checkToken("run", j.Run),
		checkDisk(j.Key()), checkToken("job", j.ID), CheckVersion("job", j.Version, job.Version))
	if err == nil && j.Version < 1 {
		err = errors.New("no version")
	}
	return err
}
