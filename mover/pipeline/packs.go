package pipeline

import (
	"bytes"
	"context"
	"encoding/binary"
	"slices"

	"ivdmover/shared/budget"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/repo"
)

// Packs is a verification of packs, which are read whole, one after the other: those of
// a list, of which every frame is opened, or all of a folder, which are compared with
// their names. Nothing is written.
type Packs struct {
	Job        job.Job
	From       job.Record // the checkpoint to go on from
	Repository *repo.Repository
	Keys       repo.PackKeys // nil: the repository opens packs itself
	Memory     *budget.Memory
	Meter      *Meter
	Limits     Limits // Bytes are those read: 4 GiB
	// Checkpoint stores what the verification has come to. Its error ends the job.
	Checkpoint func(context.Context, Batch) error
	// Stop, closed, asks for the end at the next pack.
	Stop <-chan struct{}
}

// packMemory is what a verification of packs takes, in bytes: a piece of a pack, and the
// content of a frame.
const packMemory = 4 << 20

// Run does the job, or what is left of it. Packs that are damaged end no job.
func (p Packs) Run(ctx context.Context) error {
	if p.Limits.Bytes <= 0 {
		p.Limits.Bytes = restoreBytes
	}
	p.Limits.defaults(0)
	if err := reserve(ctx, p.Memory, packMemory); err != nil {
		return err
	}
	defer p.Memory.Release(packMemory)
	w := &packs{Packs: p, reads: newReads(p.Meter, p.Limits, p.Checkpoint, p.Stop)}
	switch how := p.Job.Verify; {
	case how.Depth == job.Proof && len(how.Packs) <= job.MaxProof:
		return w.proof(ctx, how.Packs)
	case how.Depth == job.Scrub && how.Folder != nil:
		return w.scrub(ctx, *how.Folder)
	}
	return ivd.Errorf(ivd.Unsupported, "a verification %q of packs, which this mover does not know", p.Job.Verify.Depth)
}

// packs is a Packs under way.
type packs struct {
	Packs
	reads    reads
	damaged  []ivd.Damage // of the batch
	unproven []ivd.PackID // of the batch
}

// proof opens every frame of each pack. One that is gone may have been collected; one
// that cannot be judged here is not proven, and that is no damage.
func (w *packs) proof(ctx context.Context, list []job.PackWork) error {
	for i := min(int(w.From.Next), len(list)); i < len(list); i++ {
		id := list[i].Ref.Pack
		d, err := w.Repository.ProvePackWith(ctx, id, w.Keys, w.Meter.tick)
		switch kind := ivd.KindOf(err); {
		case kind == ivd.Denied || kind == ivd.Unsupported:
			w.unproven = append(w.unproven, id)
		case err != nil:
			return err
		case d != nil:
			w.unproven = append(w.unproven, id)
			if d.Why != repo.Missing {
				w.damaged = append(w.damaged, *d)
			}
		}
		w.Meter.add(ivd.Stats{DiskBytes: list[i].Length, ReadBytes: list[i].Length})
		if err := w.between(ctx, ivd.SpanIndex(i+1)); err != nil {
			return err
		}
	}
	return w.reads.seal(ctx, w.batch(ivd.SpanIndex(len(list)), true))
}

// scrub compares each pack of a folder with its name, in the order of their ids. One that
// is gone by then was collected.
func (w *packs) scrub(ctx context.Context, f job.Folder) error {
	kind := format.DataPack
	if f.Index {
		kind = format.IndexPack
	}
	var list []repo.ListedPack
	for p, err := range w.Repository.PacksIn(ctx, kind, f.First) {
		if err != nil {
			return err
		}
		if position(p.ID) >= w.From.Next {
			list = append(list, p)
		}
	}
	w.Meter.tick()
	slices.SortFunc(list, func(a, b repo.ListedPack) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	for _, p := range list {
		d, err := w.Repository.CheckPack(ctx, kind, p.ID, w.Meter.tick)
		if err != nil {
			return err
		}
		if d != nil && d.Why != repo.Missing {
			w.damaged = append(w.damaged, *d)
		}
		w.Meter.add(ivd.Stats{DiskBytes: p.Length, ReadBytes: p.Length})
		if err := w.between(ctx, position(p.ID)+1); err != nil {
			return err
		}
	}
	return w.reads.seal(ctx, w.batch(endOfFolder, true))
}

// position is where a pack lies in its folder: the next six bytes of its id. Two packs in
// one place are read in one batch or, after a restart, one of them again.
func position(id ivd.PackID) ivd.SpanIndex {
	return ivd.SpanIndex(binary.BigEndian.Uint64(id[:8]) & (1<<56 - 1) >> 8)
}

// endOfFolder is behind every position.
const endOfFolder ivd.SpanIndex = 1 << 48

func (w *packs) between(ctx context.Context, next ivd.SpanIndex) error {
	sealed, err := w.reads.between(ctx, w.batch(next, false), len(w.damaged) > 0)
	if sealed {
		w.damaged, w.unproven = nil, nil
	}
	return err
}

// batch is what the batch has come to.
func (w *packs) batch(next ivd.SpanIndex, done bool) Batch {
	return Batch{Next: next, Damaged: w.damaged, Unproven: w.unproven, Done: done}
}
