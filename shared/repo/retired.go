package repo

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/store"
)

// Retired is the packs that no new point builds on, since they are damaged: what
// retired/ says, and unretired/ has not lifted. It does not change.
type Retired struct {
	judged map[ivd.PackID]judgement
	// Ignored names lists of retired packs that cannot be read: what they name is
	// built on, which is safe. They are for people to look at.
	Ignored []store.Name
}

// judgement is what the newest list says of a pack.
type judgement struct {
	at      time.Time
	retired bool
	reason  string
}

// Pack reports whether a pack is retired.
func (x *Retired) Pack(id ivd.PackID) bool { return x.judged[id].retired }

// Reason is why a pack is retired, and since when.
func (x *Retired) Reason(id ivd.PackID) (why string, since time.Time) {
	j := x.judged[id]
	return j.reason, j.at
}

// Packs lists the retired packs in the order of their ids.
func (x *Retired) Packs() []ivd.PackID {
	packs := slices.SortedFunc(maps.Keys(x.judged), func(a, b ivd.PackID) int { return bytes.Compare(a[:], b[:]) })
	return slices.DeleteFunc(packs, func(id ivd.PackID) bool { return !x.judged[id].retired })
}

// Retired reads the lists of retired packs and those that lift packs from there: two
// LISTs, and what they name.
func (r *Repository) Retired(ctx context.Context) (*Retired, error) {
	x := &Retired{judged: map[ivd.PackID]judgement{}}
	for _, kind := range []struct {
		dir   string
		magic format.Magic
	}{{retiredDir, format.RetiredMagic}, {unretiredDir, format.UnretiredMagic}} {
		names, err := r.names(ctx, r.folder(kind.dir))
		if err != nil {
			return nil, err
		}
		err = r.each(ctx, names, func(o store.Object) error { return x.judge(ctx, r, kind.magic, o) })
		if err != nil {
			return nil, fmt.Errorf("read the lists of %s packs: %w", strings.TrimSuffix(kind.dir, "/"), err)
		}
	}
	slices.Sort(x.Ignored)
	return x, nil
}

// judge takes a list's word where it is the newest. At the same moment, retired
// counts.
func (x *Retired) judge(ctx context.Context, r *Repository, kind format.Magic, o store.Object) error {
	list, err := decode(ctx, r, o, kind, func(b []byte, at format.At) (format.PackList, error) { return format.DecodePackList(kind, b, at) })
	if err != nil { // to build on a damaged pack costs a backup, and to stop here all of them
		x.Ignored = append(x.Ignored, o.Name)
		return nil
	}
	retired := kind == format.RetiredMagic
	for _, pack := range list.Packs {
		old, known := x.judged[pack]
		if !known || list.Created.After(old.at) || list.Created.Equal(old.at) && retired {
			x.judged[pack] = judgement{list.Created, retired, list.Reason}
		}
	}
	return nil
}

// Retire stores that no new point is to build on these packs. They stay where they
// are, and may be read. It counts over every list that is there now.
func (r *Repository) Retire(ctx context.Context, reason string, packs []ivd.PackID) error {
	return r.putPackLists(ctx, retiredDir, format.PackList{Kind: format.RetiredMagic, Reason: reason, Packs: packs}, 0)
}

// Unretire stores that packs may be built on again. It counts over every list that
// is there now.
func (r *Repository) Unretire(ctx context.Context, reason string, packs []ivd.PackID) error {
	return r.putPackLists(ctx, unretiredDir, format.PackList{Kind: format.UnretiredMagic, Reason: reason, Packs: packs}, time.Second)
}

// maxReason bounds a list's reason, which is for people.
const maxReason = 4 << 10

// putPackLists stores lists that are later, by so much, than what is said of their
// packs so far.
func (r *Repository) putPackLists(ctx context.Context, dir string, list format.PackList, later time.Duration) error {
	before, err := r.Retired(ctx)
	if err != nil {
		return err
	}
	list.Created = r.Now().UTC().Truncate(time.Second)
	for _, id := range list.Packs {
		if least := before.judged[id].at.Add(later); least.After(list.Created) {
			list.Created = least
		}
	}
	list.Reason = clip(list.Reason)
	for part := range slices.Chunk(list.Packs, format.MaxEntries) {
		name := store.Name(r.folder(dir) + uuid.NewString())
		list.Head, list.Packs = r.head(name), part
		body, err := r.encode(name, list)
		if err == nil {
			err = r.st.Put(ctx, name, body)
		}
		if err != nil {
			return fmt.Errorf("store %s: %w", name, err)
		}
	}
	return nil
}
