package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/sealed"
)

// sealedPackKey is a PackKey in the seal.
type sealedPackKey struct {
	DataKey ivd.KeyID `json:"data_key"`
	Key     []byte    `json:"key"`
}

// ErrNoChunks is the error of a question for keys of packs where no coordinator that runs
// opens chunks.
var ErrNoChunks = errors.New("no coordinator that opens chunks answers")

// AskPackKeys asks the coordinators of an encrypted repository for the keys of data packs,
// in the order of the question; key is the private half of the key in this mover's
// heartbeat. Kind Transient: no coordinator answers. Kind Denied: the packs are none of
// the job's, or no coordinator that runs opens chunks.
func (q *Queue) AskPackKeys(ctx context.Context, req job.PackKeysRequest, key *sealed.Key) ([]job.PackKey, error) {
	const op = "ask for the keys of packs"
	ask := func(question string) ([]byte, error) {
		subject, err := keysSubject(question, req.Repository, req.Claim.Mover)
		if err := firstError(err, checkMover(req.Claim.Mover)); err != nil {
			return nil, err
		}
		return q.askSealed(ctx, op, subject, noCoordinatorOf(req.Repository), req, packKeysOf(req), key)
	}
	plain, err := ask(packsQuestion)
	if errors.Is(err, ErrNobody) {
		if plain, err = ask(closedQuestion); ivd.KindOf(err) == ivd.Denied {
			err = fmt.Errorf("%w: %w", ErrNoChunks, err)
		}
	}
	if err != nil {
		return nil, err
	}
	var list []sealedPackKey
	if json.Unmarshal(plain, &list) != nil || len(list) != len(req.Packs) { // the decoder's error could quote it
		return nil, ivd.Errorf(ivd.Corrupt, "%s: the answer does not hold %d keys", op, len(req.Packs))
	}
	keys := make([]job.PackKey, len(list))
	for i, k := range list {
		if len(k.Key) != len(keys[i].Key) {
			return nil, ivd.Errorf(ivd.Corrupt, "%s: a key of %d bytes", op, len(k.Key))
		}
		keys[i] = job.PackKey{DataKey: k.DataKey, Key: ivd.Key(k.Key)}
	}
	return keys, nil
}

// ServePackKeys answers such questions of movers, as ServeGrants does; give gets the
// mover's heartbeat. A coordinator that does not open chunks answers where no other one
// listens.
func (q *Queue) ServePackKeys(ctx context.Context, repository string, opens bool, give func(context.Context, job.PackKeysRequest, job.Mover) ([]job.PackKey, error)) (stop func(), err error) {
	question := packsQuestion
	if !opens {
		question = closedQuestion
	}
	subject, err := keysSubject(question, repository, "*")
	if err != nil {
		return nil, err
	}
	return q.serveSealed(ctx, subject, func(ctx context.Context, subject string, body []byte) ([]byte, error) {
		var req job.PackKeysRequest
		if err := decode("question for the keys of packs", body, &req); err != nil {
			return nil, err
		}
		m, err := q.asker(ctx, subject, req.Claim.Mover, req.Claim.Process)
		if err != nil {
			return nil, err
		}
		keys, err := give(ctx, req, m)
		if err != nil {
			return nil, err
		}
		list := make([]sealedPackKey, len(keys))
		for i, k := range keys {
			list[i] = sealedPackKey{k.DataKey, k.Key.Reveal()}
		}
		plain, err := json.Marshal(list)
		if err != nil {
			return nil, fmt.Errorf("encode the keys of packs: %w", err)
		}
		return sealTo(m.Name, m.PublicKey, packKeysOf(req), plain)
	})
}

// packKeysOf is what the answer is bound to: all of the question.
func packKeysOf(req job.PackKeysRequest) sealed.Question {
	text, err := json.Marshal(req)
	if err != nil {
		panic(err) // it came as JSON, or is about to go so
	}
	return sealed.About("pack keys", job.Version, string(text))
}
