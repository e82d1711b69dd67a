// Package damage is what is known of damaged packs: how it is confirmed and kept,
// and what it costs the restore points that need them.
//
// A mover that reads something wrong reads the whole pack once more, and names it in
// its job's record; so it does with packs that it asks for and that are missing or
// not in their length. The coordinator, another host, reads the pack itself (Retire):
// only what both find damaged is retired, so that neither a passing fault nor a
// mover's bad memory gives packs up. The list lies in the repository, where every
// writer reads it: a retired pack counts as absent, and what it held is stored anew.
// Which points a retired pack hurts stands nowhere: their pages name what they need
// (Needs), and what cannot be read of them is found by reading it (Of).
//
// It promises to call nothing damaged that is only not understood, and takes no
// outage for damage. It deletes nothing.
package damage

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
)

// Confirmed is what became of packs that somebody found damaged.
type Confirmed struct {
	Damaged []ivd.Damage // they are, and are retired, or were before
	Whole   []ivd.PackID // they are not
}

// Retire reads each of the packs whole that is not retired yet, and stores that those
// are which are damaged. By tells people who has found them. Where the
// list cannot be stored, what was confirmed is returned with the error.
func Retire(ctx context.Context, r *repo.Repository, by string, found []ivd.Damage) (Confirmed, error) {
	var c Confirmed
	var fresh []ivd.PackID
	retired, err := r.Retired(ctx)
	if err != nil {
		return c, err
	}
	var why []string
	for _, f := range found {
		if retired.Pack(f.Pack) {
			c.Damaged = append(c.Damaged, f)
			continue
		}
		d, err := r.CheckPack(ctx, kindOf(f), f.Pack, nil)
		if err != nil {
			return c, fmt.Errorf("look at a pack that is said to be damaged: %w", err)
		}
		if d == nil {
			c.Whole = append(c.Whole, f.Pack)
			continue
		}
		c.Damaged = append(c.Damaged, *d)
		fresh = append(fresh, d.Pack)
		why = append(why, Name(r, *d)+" "+d.Why)
	}
	if len(fresh) == 0 {
		return c, nil
	}
	const told = 20 // reasons; more are only counted
	if n := len(why); n > told {
		why = append(why[:told], fmt.Sprintf("and %d more", n-told))
	}
	return c, r.Retire(ctx, "found by "+by+": "+strings.Join(why, "; "), fresh)
}

// Lift stores that packs may be built on again. Each is read whole before. Kind
// Corrupt: one is missing or wrong, and none is lifted.
func Lift(ctx context.Context, r *repo.Repository, reason string, packs []ivd.PackID) error {
	for _, id := range packs {
		d, err := r.CheckPack(ctx, format.DataPack, id, nil)
		if err == nil && d != nil && d.Why == repo.Missing {
			d, err = r.CheckPack(ctx, format.IndexPack, id, nil)
		}
		if err != nil {
			return err
		}
		if d != nil {
			return &ivd.Error{Kind: ivd.Corrupt, Err: fmt.Errorf("pack %s %s", id, d.Why), Remedy: "put it back as it was stored, by its name, and run the command again"}
		}
	}
	return r.Unretire(ctx, reason, packs)
}

// Packs are packs, and of which kind each is.
type Packs map[ivd.PackID]format.PackKind

// IDs are theirs, in order.
func (p Packs) IDs() []ivd.PackID { return Sorted(slices.Collect(maps.Keys(p))) }

// Whole reads packs, and returns those that are what their names say, and those that are
// not.
func Whole(ctx context.Context, r *repo.Repository, packs Packs) (whole []ivd.PackID, damaged []ivd.Damage, err error) {
	for id, kind := range packs {
		d, err := r.CheckPack(ctx, kind, id, nil)
		switch {
		case err != nil:
			return nil, nil, err
		case d != nil:
			damaged = append(damaged, *d)
		default:
			whole = append(whole, id)
		}
	}
	return Sorted(whole), damaged, nil
}

func kindOf(d ivd.Damage) format.PackKind {
	if d.Index {
		return format.IndexPack
	}
	return format.DataPack
}

// Name is the object of a damaged pack.
func Name(r *repo.Repository, d ivd.Damage) string { return string(r.PackName(kindOf(d), d.Pack)) }
