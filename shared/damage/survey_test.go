package damage_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"

	"ivdmover/shared/damage"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo/repotest"
	"ivdmover/shared/store/faults"
)

// A survey finds all that is wrong with what a point needs, reads nothing twice, and says
// of how much it knows nothing where it ends before.
func TestSurvey(t *testing.T) {
	r := repotest.New(t)
	p, data := plant(t, r)
	node, home := p.Nodes[1].Place, p.Pages[0].Place
	survey := func(s *damage.Survey) (packs []ivd.PackID, unread int64, err error) {
		found, unread, err := s.Run(t.Context(), r.Repository, p.Pages, geometry)
		for _, d := range found {
			if d.Index != (d.Pack == node.Pack || d.Pack == home.Pack) {
				t.Errorf("%+v", d)
			}
			packs = append(packs, d.Pack)
		}
		return damage.Sorted(packs), unread, err
	}
	if found, unread, err := survey(&damage.Survey{Room: 9}); err != nil || unread != 0 || len(found) != 0 {
		t.Errorf("of a whole point: %v, %d, %v", found, unread, err)
	}
	r.Damage(format.DataPack, data[0], 100)
	r.Delete(format.DataPack, data[1])
	r.Damage(format.IndexPack, node.Pack, node.Offset+60)
	var ticks atomic.Int64
	want := damage.Sorted([]ivd.PackID{data[0], data[1], node.Pack})
	if found, unread, err := survey(&damage.Survey{Room: 9, Known: []ivd.PackID{{1}}}); err != nil || unread != 0 || !slices.Equal(found, want) {
		t.Errorf("found %v, want %v; %d, %v", found, want, unread, err)
	}
	known := []ivd.PackID{data[0], node.Pack}
	asked := r.Store.Calls(faults.Stat)
	if found, unread, err := survey(&damage.Survey{Room: 9, Known: known, Tick: func() { ticks.Add(1) }}); err != nil || unread != 0 || !slices.Equal(found, data[1:]) {
		t.Errorf("beside those that are known: %v, %d, %v", found, unread, err)
	}
	if n := r.Store.Calls(faults.Stat) - asked; n != 3 || ticks.Load() == 0 { // one is missing, and there are the other node and the page
		t.Errorf("%d packs were asked for, %d ticks", n, ticks.Load())
	}
	for name, s := range map[string]*damage.Survey{"no room": {}, "no time": {Room: 9, Over: func() bool { return true }}} {
		if found, unread, err := survey(s); err != nil || unread != geometry.Capacity || len(found) != 0 {
			t.Errorf("%s: %v, %d, %v", name, found, unread, err)
		}
	}
	why := errors.New("nobody waits")
	ctx, cancel := context.WithCancelCause(t.Context())
	givenUp := &damage.Survey{Room: 9, Over: func() bool { cancel(why); return true }}
	if _, unread, err := givenUp.Run(ctx, r.Repository, p.Pages, geometry); !errors.Is(err, why) || unread != geometry.Capacity {
		t.Errorf("of one that was given up: %d, %v", unread, err)
	}
	r.Damage(format.IndexPack, home.Pack, home.Offset+60) // which packs it needs is not known any more
	if found, unread, err := survey(&damage.Survey{Room: 9}); err != nil || unread != 0 || !slices.Equal(found, []ivd.PackID{home.Pack}) {
		t.Errorf("without its page: %v, %d, %v", found, unread, err)
	}
	r.Store.Add(faults.Fault{On: faults.ReadAt, Before: faults.ErrInjected})
	if found, unread, err := survey(&damage.Survey{Room: 9}); ivd.KindOf(err) != ivd.Transient || unread != geometry.Capacity || len(found) != 0 {
		t.Errorf("an outage: %v, %d, %v", found, unread, err)
	}
}
