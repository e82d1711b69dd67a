package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// worthAnother reports whether a failed job is given another attempt: also one for which
// a mover lacked something, where there is a mover that has not found so yet.
func (t *Task) worthAnother(ctx context.Context, rec job.Record) (bool, error) {
	switch kind := rec.Failure.Kind; kind {
	case ivd.Withheld:
		return true, nil
	case ivd.Unsupported:
		if len(rec.Unable) == 0 || len(rec.Unable) >= maxUnable {
			return false, nil
		}
		return t.g.d.e.Fleet.Able(ctx, t.g.d.moves(), rec)
	default:
		return kind.Retry() && rec.Attempt < jobAttempts, nil
	}
}

// maxUnable is how many movers, or processes of theirs, may find that they cannot do a
// job.
const maxUnable = 64

// strands returns why a job is given up that waits for another mover than those that
// cannot do it, when there has been none for some minutes.
func (t *Task) strands(ctx context.Context, rec job.Record) error {
	if rec.State != job.Queued || len(rec.Unable) == 0 {
		delete(t.stranded, rec.ID)
		return nil
	}
	able, err := t.g.d.e.Fleet.Able(ctx, t.g.d.moves(), rec)
	if able || err != nil {
		delete(t.stranded, rec.ID)
		return nil // where it cannot be told there is a next time
	}
	if t.stranded == nil {
		t.stranded = map[ivd.JobID]int{}
	}
	if t.stranded[rec.ID]++; t.stranded[rec.ID] < strandedLooks {
		return nil
	}
	rec.Failure = &ivd.Failure{Kind: ivd.Unsupported, Message: "no other mover has come"}
	return t.givenUp(ctx, []job.Record{rec})
}

// strandedLooks is for how many looks, recordsEvery apart, no mover may be there that
// could do a job.
const strandedLooks = 3

// unable are the reasons of all movers that cannot do a job.
func unable(rec job.Record, last error) error {
	var reasons []string
	for _, u := range rec.Unable {
		if reason := fmt.Sprintf("mover %s: %s", u.Mover, u.Reason); !slices.Contains(reasons, reason) {
			reasons = append(reasons, reason)
		}
	}
	return &ivd.Error{Kind: ivd.KindOf(last), Err: fmt.Errorf("no mover that is connected can do it: %s", strings.Join(reasons, "; ")), Remedy: ivd.RemedyOf(last)}
}
