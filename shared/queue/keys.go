package queue

import (
	"context"

	"ivdmover/shared/job"
	"ivdmover/shared/sealed"
)

// What a mover asks about an encrypted repository's keys has a subject for each kind of
// question, each repository, and each mover.
const (
	grantQuestion  = "grant"
	writerQuestion = "writer"
	packsQuestion  = "packs"    // answered by coordinators that open chunks
	closedQuestion = "no-packs" // asked where there are none: by the others, who say so
)

// keysSubject is where a mover asks for keys of a repository: only its coordinators
// listen there. The mover "*" is any.
func keysSubject(question, repository, mover string) (string, error) {
	return "ivd.keys." + question + "." + repository + "." + token(moverOf(mover)), checkToken("repository", repository)
}

// noCoordinatorOf names who is missing.
func noCoordinatorOf(repository string) string { return "no coordinator of repository " + repository }

// AskGrant asks the coordinators of an encrypted repository for what movers have of its
// keys, encoded; key is the private half of the key in this mover's heartbeat. Kind
// Transient: no coordinator answers.
func (q *Queue) AskGrant(ctx context.Context, req job.GrantRequest, key *sealed.Key) ([]byte, error) {
	subject, err := keysSubject(grantQuestion, req.Repository, req.Mover)
	if err := firstError(err, checkMover(req.Mover)); err != nil {
		return nil, err
	}
	return q.askSealed(ctx, "ask for the keys of repository "+req.Repository, subject, noCoordinatorOf(req.Repository), req, grantOf(req), key)
}

// ServeGrants answers movers' questions for grants of a repository, from now until stop
// is called, or ctx or the queue ends, as ServeRequests does; grant gets the mover's
// heartbeat. Coordinators of one repository share the questions.
func (q *Queue) ServeGrants(ctx context.Context, repository string, grant func(context.Context, job.GrantRequest, job.Mover) ([]byte, error)) (stop func(), err error) {
	subject, err := keysSubject(grantQuestion, repository, "*")
	if err != nil {
		return nil, err
	}
	return q.serveSealed(ctx, subject, func(ctx context.Context, subject string, body []byte) ([]byte, error) {
		var req job.GrantRequest
		if err := decode("question for keys", body, &req); err != nil {
			return nil, err
		}
		m, err := q.asker(ctx, subject, req.Mover, req.Process)
		if err != nil {
			return nil, err
		}
		plain, err := grant(ctx, req, m)
		if err != nil {
			return nil, err
		}
		return sealTo(req.Mover, m.PublicKey, grantOf(req), plain)
	})
}

// grantOf is what the answer is bound to.
func grantOf(req job.GrantRequest) sealed.Question {
	return sealed.About("grant", job.Version, req.Mover, req.Process, req.Repository)
}
