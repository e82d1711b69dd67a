package worker

import (
	"context"
	"sync"

	"ivdmover/mover/pipeline"
	"ivdmover/shared/image"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/repo"
)

// verify reads a part of a point as a restore reads it, or packs, and writes nothing.
// Suspects are the packs of which it could not read something.
func (t *attempt) verify(ctx context.Context) (suspects []image.Suspect, err error) {
	switch {
	case t.job.Verify == nil:
		return nil, ivd.Errorf(ivd.Unsupported, "a verification of a kind that this mover does not know")
	case t.job.Restore == nil:
		return nil, t.verifyPacks(ctx)
	}
	im, err := pipeline.OpenImage(ctx, t.w.Repository, *t.job, t.reading(0))
	if err != nil {
		return nil, err
	}
	defer im.Close(ctx)
	err = pipeline.Verify{
		Job: *t.job, From: t.record.rec, Image: im, Meter: &t.a.meter, Limits: t.w.Limits, Stop: t.w.stop, Checkpoint: t.store,
	}.Run(ctx)
	return im.Suspects(), err
}

func (t *attempt) verifyPacks(ctx context.Context) error {
	p := pipeline.Packs{
		Job: *t.job, From: t.record.rec, Repository: t.w.Repository, Memory: t.w.Memory,
		Meter: &t.a.meter, Limits: t.w.Limits, Stop: t.w.stop, Checkpoint: t.store,
	}
	if t.job.Verify.Depth == job.Proof && t.w.Repository.OpensChunks() != nil {
		k := &keychain{w: t.w, claim: t.claim(), touch: t.a.touch}
		p.Keys = proofKeys{k, t.job.Verify.Packs}
	}
	return p.Run(ctx)
}

// proofKeys has the keys of the packs of a proof.
type proofKeys struct {
	*keychain
	packs []job.PackWork
}

var _ repo.PackKeys = proofKeys{}

// ChunkKey asks for a pack's key, and for those of the packs behind it in the list.
func (k proofKeys) ChunkKey(ctx context.Context, ref ivd.PackRef) (ivd.KeyID, ivd.Key, error) {
	return k.get(ctx, ref, 0, func() []ivd.PackRef {
		list, behind := []ivd.PackRef{ref}, false
		for _, p := range k.packs {
			if _, known := k.known(p.Ref); behind && !known && len(list) < job.MaxPackKeys {
				list = append(list, p.Ref)
			}
			behind = behind || p.Ref == ref
		}
		return list
	})
}

// maxPasses is how often a mover leaves the proof of its own packs to another.
const maxPasses = 10

// passes counts how often this process has left a job to others.
type passes struct {
	mu sync.Mutex
	of map[jobKey]int // guarded by mu
}

// leaves reports whether this process leaves a job to other movers: the proof of what its
// own mover has stored, a few times, since there may be no other.
func (p *passes) leaves(mover string, j *job.Job) bool {
	if j.Verify == nil || j.Verify.Writer != mover {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.of == nil || len(p.of) > maxKeys {
		p.of = map[jobKey]int{}
	}
	p.of[keyOf(j)]++
	return p.of[keyOf(j)] <= maxPasses
}
