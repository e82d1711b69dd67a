package custody

import (
	"context"
	"fmt"
	"math/bits"
	"slices"

	"ivdmover/coordinator/engine"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/repo"
	"ivdmover/shared/telemetry"
)

// PackKeys answers for the keys of data packs that a restore or a verification of the mover
// with that heartbeat reads: of those alone that the page needs which the question names, of
// the point that the run's own item names, or that its item is to prove, under the run's
// lease, which must stand. What is
// given is counted and logged, and no faster than pace allows.
func (d *Desk) PackKeys(ctx context.Context, q job.PackKeysRequest, m job.Mover) ([]job.PackKey, error) {
	if err := d.known(ctx, m); err != nil {
		return nil, err
	}
	switch n := len(q.Packs); {
	case d.Repo.Root().IsZero():
		return nil, d.plain()
	case d.Repo.OpensChunks() != nil:
		return nil, d.refuse(m, d.Repo.OpensChunks())
	case n < 1 || n > job.MaxPackKeys:
		return nil, ivd.Errorf(ivd.Invalid, "keys of %d packs: want 1 to %d", n, job.MaxPackKeys)
	}
	r, err := d.Runs.Reads(ctx, q.Claim.Login())
	if err == nil && r.Lease != "" {
		_, err = d.Repo.Begin(ctx, r.Lease, repo.Reading)
	}
	if err != nil {
		return nil, d.refuse(m, err)
	}
	if err := d.pace.wait(ctx, m.Name, len(q.Packs)); err != nil {
		return nil, err
	}
	set, what, err := d.needs(ctx, r, q.Page)
	if err != nil {
		return nil, err
	}
	keys := make([]job.PackKey, len(q.Packs))
	for i, ref := range q.Packs {
		if !set.has(ref) {
			return nil, d.refuse(m, ivd.Errorf(ivd.Denied, "pack %s of writer %s is none that %s", ref.Pack, ref.Writer, what))
		}
		if keys[i].DataKey, keys[i].Key, err = d.Repo.ChunkKey(ctx, ref); err != nil {
			return nil, fmt.Errorf("the key of pack %s: %w", ref.Pack, err)
		}
	}
	// One line for the first keys, and one whenever their number has doubled.
	if before, now := d.given.add(q.Claim, len(keys)); bits.Len(uint(before)) != bits.Len(uint(now)) {
		d.Log.Info("a job gets keys of packs", telemetry.Mover(m.Name), telemetry.Run(q.Claim.Run), "job", q.Claim.Job, "point", r.Point, "keys", now)
	}
	return keys, nil
}

// needs is the packs whose keys a job may have: those that a page of its point needs, or
// those that it is to prove.
func (d *Desk) needs(ctx context.Context, r engine.Reading, page ivd.PageIndex) (s set, what string, err error) {
	if len(r.Packs) > 0 {
		s = slices.Clone(r.Packs)
		slices.SortFunc(s, byPack)
		return s, "the job is to prove", nil
	}
	s, err = d.sets.get(ctx, d.Repo, r.Point, page)
	return s, fmt.Sprintf("page %d of %s needs", page, r.Point), err
}
