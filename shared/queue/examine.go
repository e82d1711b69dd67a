package queue

import (
	"context"
	"fmt"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/sealed"
)

// examineAnswer is what travels. It is never stored.
type examineAnswer struct {
	Version     int              `json:"version"`
	Failure     *ivd.Failure     `json:"failure,omitempty"`
	Examination *job.Examination `json:"examination,omitempty"`
	Sealed      []byte           `json:"sealed,omitempty"`
}

// BeginExamination asks all coordinators for a disk. The one that finds it answers;
// key is the private half of the key in this doctor's heartbeat. Kind Transient: no
// coordinator answers; NotFound: none of them has the disk.
func (q *Queue) BeginExamination(ctx context.Context, req job.ExamineRequest, key *sealed.Key) (job.Examination, error) {
	req.Op = job.ExamineBegin
	op := fmt.Sprintf("ask for disk %q", req.Disk)
	a, err := q.examine(ctx, op, req)
	if err != nil {
		return job.Examination{}, err
	}
	if a.Examination == nil {
		return job.Examination{}, ivd.Errorf(ivd.Corrupt, "%s: the answer has no disk", op)
	}
	x := *a.Examination
	if x.Login, err = openLogin(sealFor(req, x), key, a.Sealed); err != nil {
		return x, &ivd.Error{Kind: ivd.Denied, Op: op, Err: err}
	}
	return x, nil
}

// EndExamination tells the coordinators that a doctor is done, and waits until its
// snapshot is deleted. An error leaves that to them: a snapshot whose doctor has no
// heartbeat any more is deleted without being asked for.
func (q *Queue) EndExamination(ctx context.Context, req job.ExamineRequest) error {
	req.Op = job.ExamineEnd
	_, err := q.examine(ctx, "end the examination of disk "+req.Disk, req)
	return err
}

func (q *Queue) examine(ctx context.Context, op string, req job.ExamineRequest) (examineAnswer, error) {
	var a examineAnswer
	if err := checkMover(req.Doctor); err != nil {
		return a, err
	}
	if err := q.askAll(ctx, op, examineSubject(moverOf(req.Doctor)), req, &a); err != nil {
		return a, err
	}
	if err := a.Failure.Err(); err != nil {
		return a, &ivd.Error{Op: op, Err: err}
	}
	return a, nil
}

// ServeExaminations answers doctors' questions from now until stop is called, or ctx
// or the queue ends, as ServeRequests does; but every coordinator gets every question, since
// only one may know the disk's vCenter. examine answers NotFound where it does not
// know the disk, and Conflict where another one does what was asked. It gets the
// doctor's heartbeat, which may be gone at the end of an examination: then it is
// empty. The login is sealed to the key in that heartbeat.
func (q *Queue) ServeExaminations(ctx context.Context, examine func(context.Context, job.ExamineRequest, job.Mover) (job.Examination, error)) (stop func(), err error) {
	return q.serveAll(ctx, anyExamination, func(ctx context.Context, subject string, body []byte) any {
		a, err := q.answerExamine(ctx, subject, body, examine)
		if err != nil {
			a = examineAnswer{Failure: ivd.FailureOf(err)}
		}
		a.Version = job.Version
		return a
	})
}

func (q *Queue) answerExamine(ctx context.Context, subject string, body []byte, examine func(context.Context, job.ExamineRequest, job.Mover) (job.Examination, error)) (a examineAnswer, err error) {
	var req job.ExamineRequest
	if err := decode("question of a doctor", body, &req); err != nil {
		return a, err
	}
	if err := saidBy(subject, req.Doctor); err != nil {
		return a, err
	}
	m, err := q.Mover(ctx, req.Doctor)
	switch {
	case err == nil && m.Process != req.Process:
		return a, ivd.Errorf(ivd.Denied, "the heartbeat of doctor %s is of another process", req.Doctor)
	case ivd.KindOf(err) == ivd.NotFound && req.Op != job.ExamineEnd:
		return a, ivd.Errorf(ivd.Transient, "doctor %s has no heartbeat, so there is no key to seal a login to", req.Doctor)
	case err != nil && req.Op != job.ExamineEnd:
		return a, err
	}
	x, err := examine(ctx, req, m)
	if err != nil || req.Op != job.ExamineBegin {
		return a, err
	}
	a.Examination = &x
	a.Sealed, err = sealLogin(sealFor(req, x), m.PublicKey, x.Login)
	return a, err
}

// sealFor is what an examination's login is bound to.
func sealFor(req job.ExamineRequest, x job.Examination) job.LoginRequest {
	return job.LoginRequest{Mover: req.Doctor, Process: req.Process, Run: x.Run, Disk: x.Disk.Ref}
}
