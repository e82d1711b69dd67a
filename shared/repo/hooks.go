package repo

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/store"
)

// PackHooks is a pack's share of the sparse index: a few of its contents, by which its
// directory is found.
type PackHooks struct {
	Ref ivd.PackRef
	IDs []ivd.ContentID
}

const (
	// HooksPerPack is how many hooks a pack leaves: the content that it begins with, by
	// which a copy that is read in the same order meets it first, and its smallest ids,
	// which are the same wherever its contents lie.
	HooksPerPack = 4
	// hookedPacks is how many packs a writer's list of hooks has at most, and rolledPacks
	// one that others were rolled up into.
	hookedPacks = 1024
	rolledPacks = 8 * hookedPacks
	// maxHooks is the bytes of a list of hooks that is read; no list of ours is as large.
	maxHooks = 2 << 20
)

// hooksOf chooses a pack's hooks.
func hooksOf(entries []format.Entry) []ivd.ContentID {
	ids := make([]ivd.ContentID, 0, len(entries))
	for _, e := range entries {
		ids = append(ids, e.ID)
	}
	if len(ids) > 1 {
		slices.SortFunc(ids[1:], func(a, b ivd.ContentID) int { return bytes.Compare(a[:], b[:]) })
	}
	ids = slices.Compact(ids)
	return slices.Clone(ids[:min(len(ids), HooksPerPack)])
}

// Unhooked is how many of the writer's data packs have hooks that are not stored yet, and
// since when the first of them is.
func (w *Writer) Unhooked() (packs int, since time.Time) {
	w.hooking.Lock()
	defer w.hooking.Unlock()
	return len(w.hooks), w.since
}

// hook takes note of a data pack that was stored. Where too many wait to be stored the
// oldest are let go: they are found by no other writer then.
func (w *Writer) hook(h PackHooks) {
	w.hooking.Lock()
	defer w.hooking.Unlock()
	w.keep([]PackHooks{h})
}

// keep keeps what is to be stored, with w.hooking held.
func (w *Writer) keep(more []PackHooks) {
	if len(w.hooks) == 0 {
		w.since = time.Now()
	}
	w.hooks = append(w.hooks, more...)
	w.hooks = slices.Delete(w.hooks, 0, max(0, len(w.hooks)-rolledPacks))
}

// PutHooks stores the hooks of the data packs that the writer has stored since it did so
// before, hooks/<domain>/<run>-<n>. What fails is tried again by the next call.
func (w *Writer) PutHooks(ctx context.Context, run ivd.RunID) error {
	w.hooking.Lock()
	hooks := w.hooks
	w.hooks = nil
	w.hooking.Unlock()
	for len(hooks) > 0 {
		n := min(len(hooks), hookedPacks)
		if _, err := w.r.putHooks(ctx, string(run), w.r.Now(), hooks[:n]); err != nil {
			w.hooking.Lock()
			w.keep(hooks)
			w.hooking.Unlock()
			return err
		}
		hooks = hooks[n:]
	}
	return nil
}

// putHooks stores one list. Of two packs with the same hook the later one has it.
func (r *Repository) putHooks(ctx context.Context, run string, at time.Time, packs []PackHooks) (store.Name, error) {
	n := make([]byte, 8)
	_, _ = rand.Read(n) // it never fails
	name := store.Name(r.folder(hooksDir) + run + "-" + hex.EncodeToString(n))
	list := format.Hooks{Head: r.head(name), Created: at.UTC().Truncate(time.Second)}
	of := map[ivd.ContentID]ivd.PackRef{}
	for _, p := range packs {
		for _, id := range p.IDs {
			of[id] = p.Ref
		}
		list.Packs = append(list.Packs, p.Ref)
	}
	slices.SortFunc(list.Packs, func(a, b ivd.PackRef) int { return comparePacks(a.Pack, b.Pack) })
	list.Packs = slices.CompactFunc(list.Packs, func(a, b ivd.PackRef) bool { return a.Pack == b.Pack })
	for id, ref := range of {
		i, _ := list.Packs.Find(ref.Pack)
		list.Hooks = append(list.Hooks, format.Hook{ID: id, Pack: uint32(i)})
	}
	body, err := r.encode(name, list)
	if err != nil {
		return name, err
	}
	if err := r.st.Put(ctx, name, body); err != nil {
		return name, fmt.Errorf("store %s: %w", name, err)
	}
	return name, nil
}

// HookLists names the lists of hooks, those of the newest runs first: a run is called by
// when it began.
func (r *Repository) HookLists(ctx context.Context) ([]store.Name, error) {
	names, err := r.names(ctx, r.folder(hooksDir))
	slices.Sort(names)
	slices.Reverse(names)
	return names, err
}

// Hooks reads a list of hooks, pack by pack. Nobody vouches for it: it may name any pack
// and any content. It is of no use where it is larger than those that Writer and
// RollUpHooks store, and refused.
func (r *Repository) Hooks(ctx context.Context, name store.Name) (created time.Time, packs []PackHooks, err error) {
	o, err := r.get(ctx, name, maxHooks)
	if err != nil {
		return created, nil, err
	}
	list, err := decode(ctx, r, o, format.HooksMagic, format.DecodeHooks)
	if err != nil {
		return created, nil, fmt.Errorf("%s: %w", name, err)
	}
	packs = make([]PackHooks, len(list.Packs))
	for i, ref := range list.Packs {
		packs[i].Ref = ref
	}
	for _, h := range list.Hooks {
		packs[h.Pack].IDs = append(packs[h.Pack].IDs, h.ID)
	}
	return list.Created, packs, nil
}

// rollFrom is how many small lists of hooks there are before they are rolled up.
const rollFrom = 16

// RollUpHooks makes few lists of hooks out of many: of runs that follow each other, with
// the age of the newest of them, without packs that keep does not want. It leaves alone
// the lists that were made later than before: of packs that were stored meanwhile keep
// knows nothing. It returns the lists that are of no use any more, which who may delete
// deletes: those that were rolled up, and those of whose packs none is kept. Until they
// are gone what they say is said twice, which does no harm. It holds what one list says.
func (r *Repository) RollUpHooks(ctx context.Context, before time.Time, keep func(ivd.PackID) bool) (useless []store.Name, err error) {
	names, err := r.HookLists(ctx)
	if err != nil {
		return nil, err
	}
	var up rolled
	for _, name := range names { // the newest first
		created, packs, err := r.Hooks(ctx, name)
		switch ivd.KindOf(err) {
		case ivd.NotFound, ivd.Corrupt, ivd.Unsupported:
			continue // it is of no use, and none of ours
		}
		if err != nil {
			return useless, err
		}
		if created.After(before) {
			continue
		}
		all := len(packs)
		packs = slices.DeleteFunc(packs, func(p PackHooks) bool { return !keep(p.Ref.Pack) })
		switch {
		case len(packs) == 0:
			useless = append(useless, name)
			continue
		case all >= rolledPacks/2:
			continue
		case len(up.packs)+len(packs) > rolledPacks:
			if err := r.rollUp(ctx, up); err != nil {
				return useless, err
			}
			useless, up = append(useless, up.names...), rolled{}
		}
		up.add(name, created, packs)
	}
	if len(up.names) < rollFrom {
		return useless, nil
	}
	if err := r.rollUp(ctx, up); err != nil {
		return useless, err
	}
	return append(useless, up.names...), nil
}

// rollUp stores one list in place of some.
func (r *Repository) rollUp(ctx context.Context, up rolled) error {
	_, err := r.putHooks(ctx, RunOfHooks(up.names[0]), up.created, up.packs)
	return err
}

// rolled are lists that are rolled up.
type rolled struct {
	names   []store.Name // the newest first
	created time.Time    // of the newest
	packs   []PackHooks  // the newest last
}

// add adds a list, which is older than the others.
func (u *rolled) add(name store.Name, created time.Time, packs []PackHooks) {
	if len(u.names) == 0 {
		u.created = created
	}
	u.names, u.packs = append(u.names, name), append(packs, u.packs...)
}

// RunOfHooks is the run in the name of a list of hooks.
func RunOfHooks(name store.Name) string {
	s := string(name)
	s = s[strings.LastIndexByte(s, '/')+1:]
	return s[:max(0, strings.LastIndexByte(s, '-'))]
}
