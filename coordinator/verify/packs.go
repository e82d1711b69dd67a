package verify

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"ivdmover/coordinator/engine"
	"ivdmover/coordinator/harm"
	"ivdmover/shared/damage"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/repo"
	"ivdmover/shared/telemetry"
)

// Packs says which packs are verified.
type Packs string

// The choices.
const (
	NewPacks Packs = "new" // those that backups have stored and nobody has proven: every frame is opened
	DuePacks Packs = "due" // a share of all, those first that were read the longest ago, so that each is read within the time
	AllPacks Packs = "all" // every pack
)

func (w *Workflow) packs(ctx context.Context, which Packs) (s engine.Spec, err error) {
	s = engine.Spec{Kind: Kind, Lease: format.ReadLease}
	switch which {
	case NewPacks:
		s.Items, err = w.unproven(ctx)
	case DuePacks:
		var due []job.Folder
		due, err = w.due(ctx)
		s.Items = scrubs(due)
	case AllPacks:
		s.Items = scrubs(folders())
	default:
		return s, ivd.Errorf(ivd.Invalid, "which packs: %q: want new, due or all", which)
	}
	if err == nil && len(s.Items) == 0 {
		err = &ivd.Error{Kind: ivd.NotFound, Err: fmt.Errorf("there are no new packs: all that backups have stored is proven"), Remedy: "`ivd verify --packs all` reads every pack again"}
	}
	return s, err
}

// ReadsPacks are the packs that an item proves.
func (w *Workflow) ReadsPacks(it engine.Item) ([]ivd.PackRef, error) {
	var c Check
	if err := it.Decode(&c); err != nil {
		return nil, err
	}
	refs := make([]ivd.PackRef, len(c.How.Packs))
	for i, p := range c.How.Packs {
		refs[i] = p.Ref
	}
	return refs, nil
}

// proofLookback is of how many of the times within which packs are to be proven the runs
// are looked through for packs that nobody has.
const proofLookback = 10

// maxProofs bounds the items of one run: what is left has its turn in the next.
const maxProofs = 400

// unproven makes items of the packs that runs have stored lately and nobody has proven, by
// the mover that has stored them. The oldest runs come first.
func (w *Workflow) unproven(ctx context.Context) ([]engine.ItemSpec, error) {
	for _, may := range []error{w.Repo.OpensChunks(), w.Repo.MayVerify()} {
		if may != nil {
			return nil, may
		}
	}
	proven, err := w.proven(ctx)
	if err != nil {
		return nil, err
	}
	retired, err := w.Repo.Retired(ctx)
	if err != nil {
		return nil, err
	}
	runs, err := w.runsSince(ctx, proofLookback*w.NewPacks)
	if err != nil {
		return nil, err
	}
	g := gathering{w: w, open: map[string][]job.PackWork{}, movers: map[ivd.WriterID]string{}}
	for _, run := range runs {
		packs, err := w.Repo.StoredPacks(ctx, run)
		if ivd.KindOf(err) == ivd.NotFound {
			continue // no backup, or one that has added nothing
		}
		if err != nil {
			return nil, err
		}
		for _, id := range damage.Sorted(slices.Collect(maps.Keys(packs))) {
			if p := packs[id]; p.Kind != format.DataPack || p.Length == 0 || proven[id] || retired.Pack(id) {
				continue
			}
			proven[id] = true // it is taken
			if err := g.add(ctx, packs[id]); err != nil {
				return nil, err
			}
		}
		if len(g.items) >= maxProofs {
			break
		}
	}
	g.flush()
	return g.items, nil
}

// proven are the packs that stand on lists.
func (w *Workflow) proven(ctx context.Context) (map[ivd.PackID]bool, error) {
	names, err := w.Repo.VerifiedLists(ctx)
	if err != nil {
		return nil, err
	}
	proven := map[ivd.PackID]bool{}
	for _, name := range names {
		_, packs, err := w.Repo.Verified(ctx, name)
		switch ivd.KindOf(err) {
		case ivd.Corrupt, ivd.Unsupported, ivd.NotFound: // it proves nothing
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, id := range packs {
			proven[id] = true
		}
	}
	return proven, nil
}

// runsSince are the runs with a record whose ids say that they began within so much time,
// the oldest first.
func (w *Workflow) runsSince(ctx context.Context, within time.Duration) ([]ivd.RunID, error) {
	first := string(ivd.NewRunID(w.Repo.Now().Add(-within)))[:len("20060102t150405")]
	var runs []ivd.RunID
	for id, err := range w.Repo.Runs(ctx) {
		if err != nil {
			return nil, err
		}
		if string(id) >= first {
			runs = append(runs, id)
		}
	}
	slices.Sort(runs) // ids begin with the time
	return runs, nil
}

// gathering makes items of packs.
type gathering struct {
	w      *Workflow
	movers map[ivd.WriterID]string
	open   map[string][]job.PackWork // by the mover that has stored them
	items  []engine.ItemSpec
}

// add takes a pack, by its writer and nonce, which the writer has signed: whoever is to
// prove it gets the key that belongs to them, and must not get another pack's. Of one
// that does not show them there is no key: it is judged by its bytes. One that is gone was
// collected.
func (g *gathering) add(ctx context.Context, p format.StoredPack) error {
	d, _, err := g.w.Repo.Directory(ctx, p.ID)
	switch ivd.KindOf(err) {
	case ivd.NotFound:
		return nil
	case ivd.Corrupt, ivd.Unsupported, ivd.Denied:
		d, err = repo.Directory{Ref: ivd.PackRef{Pack: p.ID}}, nil
	}
	if err != nil {
		return err
	}
	mover, known := g.movers[d.Ref.Writer]
	if !known {
		writer, err := g.w.Repo.ReadWriter(ctx, d.Ref.Writer)
		if err != nil && ivd.KindOf(err).Retry() {
			return err
		}
		mover = writer.Mover
		g.movers[d.Ref.Writer] = mover
	}
	list := append(g.open[mover], job.PackWork{Ref: d.Ref, Length: p.Length})
	if g.open[mover] = list; len(list) == job.MaxProof {
		g.close(mover)
	}
	return nil
}

func (g *gathering) close(mover string) {
	n := len(g.items) + 1
	g.items = append(g.items, engine.ItemSpec{Key: engine.ItemKey(fmt.Sprintf("proof-%04d", n)), Body: Check{
		Name: fmt.Sprintf("%d new packs of mover %s", len(g.open[mover]), mover),
		How:  job.VerifySpec{Depth: job.Proof, Packs: g.open[mover], Writer: mover},
	}})
	delete(g.open, mover)
}

func (g *gathering) flush() {
	for mover, list := range g.open {
		if len(list) > 0 {
			g.close(mover)
		}
	}
}

// judge retires what a job has found damaged and the coordinator finds so too, and stores
// which packs are proven. Kind Corrupt: some are damaged.
func (w *Workflow) judge(ctx context.Context, t *engine.Task, c Check, recs []job.Record) error {
	rec := recs[0]
	found, whole, err := w.retire(ctx, t, rec)
	if err != nil {
		return err
	}
	if c.How.Depth == job.Proof {
		if err := w.prove(ctx, t.Log(), c, rec, whole); err != nil {
			return err
		}
	}
	if len(found) == 0 {
		return nil
	}
	hurt, err := harm.Hurt(ctx, w.Repo, w.Catalogue, found)
	if err != nil {
		t.Log().Warn("finding out which restore points need the damaged packs failed", telemetry.Err(err))
	}
	why := make([]string, 0, len(found))
	for _, d := range found {
		why = append(why, damage.Name(w.Repo, d)+" "+d.Why)
	}
	return &ivd.Error{
		Kind: ivd.Corrupt, Err: fmt.Errorf("%d packs are damaged, and retired: %s; %s", len(found), some(why), hurt),
		Remedy: "the next backup of each disk stores anew what it still has; put the packs back from another copy, and lift them with `ivd repo unretire`",
	}
}

// some are the first of a list.
func some(list []string) string {
	const told = 5
	if n := len(list); n > told {
		list = append(slices.Clip(list[:told]), fmt.Sprintf("and %d more", n-told))
	}
	return strings.Join(list, "; ")
}

// retire reads each pack that a job has found damaged, and retires those that are so here
// too: by their bytes or, where those are what the name says, by what their frames hold.
// Whole are those that are not damaged, and are proven here where they were to be.
func (w *Workflow) retire(ctx context.Context, t *engine.Task, rec job.Record) (found []ivd.Damage, whole []ivd.PackID, err error) {
	if len(rec.Damaged) == 0 {
		return nil, nil, nil
	}
	by := "mover " + rec.Mover + ", in run " + string(rec.Run)
	c, err := damage.Retire(ctx, w.Repo, by, rec.Damaged)
	if err != nil {
		return nil, nil, err
	}
	found = c.Damaged
	var lies []ivd.PackID
	for _, id := range c.Whole {
		if !slices.Contains(rec.Unproven, id) {
			whole = append(whole, id)
			continue
		}
		d, err := w.Repo.ProvePack(ctx, id, nil)
		switch {
		case err != nil:
			return nil, nil, err
		case d == nil:
			whole = append(whole, id)
		default:
			found, lies = append(found, *d), append(lies, id)
		}
	}
	if len(lies) > 0 {
		if err := w.Repo.Retire(ctx, "found by "+by+": its frames are not what its writer says", lies); err != nil {
			return nil, nil, err
		}
	}
	harm.Tell(w.Repo, t.Log(), found)
	for _, id := range whole {
		t.Log().Warn("a mover reads a pack as damaged that is whole when the coordinator reads it: look at its memory and network", "mover", rec.Mover, "pack", id)
	}
	return found, whole, nil
}

// prove stores which packs a job has proven: not those of the mover that did it, where
// there is another one that could.
func (w *Workflow) prove(ctx context.Context, log *slog.Logger, c Check, rec job.Record, here []ivd.PackID) error {
	proven := slices.Clone(here) // by this process
	others, err := w.others(ctx, c.How.Writer)
	if err != nil {
		return err
	}
	if c.How.Writer == "" || rec.Mover != c.How.Writer || !others {
		for _, p := range c.How.Packs {
			if !slices.Contains(rec.Unproven, p.Ref.Pack) {
				proven = append(proven, p.Ref.Pack)
			}
		}
	} else {
		log.Warn("a mover has read its own packs, and there is another one: they are not proven yet, and have their turn again", "mover", rec.Mover)
	}
	if len(proven) == 0 {
		return nil
	}
	return w.Repo.PutVerified(ctx, "opened by mover "+rec.Mover+", in run "+string(rec.Run), proven)
}

// others reports whether there is a mover of another name.
func (w *Workflow) others(ctx context.Context, mover string) (bool, error) {
	movers, err := w.Fleet.Movers(ctx)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(movers, func(m job.Mover) bool {
		name, _, _ := strings.Cut(m.Name, "/") // a part of a mover is the mover
		return name != mover && !m.Doctor
	}), nil
}
