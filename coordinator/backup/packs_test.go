package backup_test

import (
	"bytes"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ivdmover/coordinator/backup"
	"ivdmover/coordinator/coordtest"
	"ivdmover/coordinator/engine"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/repo/repotest"
	"ivdmover/shared/store/faults"
)

// scrub compares what a store lists with the runs' lists of packs, as somebody does
// who can open nothing: the names of what is missing or of another length, and how
// often each pack is listed.
func scrub(t *testing.T, r *repo.Repository) (wrong []string, listed map[string]int) {
	t.Helper()
	there := map[string]int64{}
	for _, folder := range []string{"data/", "index/"} {
		for info, err := range r.Store().List(t.Context(), folder) {
			if err != nil {
				t.Fatal(err)
			}
			there[string(info.Name)] = info.Size
		}
	}
	listed = map[string]int{}
	for run, err := range r.Runs(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		packs, err := r.StoredPacks(t.Context(), run)
		if err != nil {
			t.Fatal(err)
		}
		for id, p := range packs {
			name := string(r.PackName(p.Kind, id))
			listed[name]++
			if size, ok := there[name]; !ok || size != p.Length {
				wrong = append(wrong, name)
			}
		}
	}
	for name := range there {
		if listed[name] == 0 {
			t.Errorf("%s is on no list", name)
		}
	}
	return wrong, listed
}

// Whoever may only list the store sees by the runs' lists which pack is missing, and
// which was cut off.
func TestMissingPackIsSeenWithoutAKey(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	b.Disk("a", 8)
	b.Disk("c", 8)
	b.Mover("m1")
	s, _ := b.Serving("one")
	for range 2 {
		v := b.Until(s, b.Begin(s, backup.Request{All: true}).ID, coordtest.Ended)
		if v.State != engine.Done {
			t.Fatalf("%s: %+v", v.State, v.Items)
		}
	}
	wrong, listed := scrub(t, b.Repo)
	if len(wrong) != 0 || len(listed) != 2*2*3 {
		t.Fatalf("wrong: %v; %d packs are listed", wrong, len(listed))
	}
	for name, n := range listed {
		if n != 1 {
			t.Errorf("%s is on %d lists", name, n)
		}
	}
	names := slices.Sorted(maps.Keys(listed))
	gone, short := names[0], names[len(names)-1]
	b.Must(os.Remove(filepath.Join(b.Folder, gone)))
	b.Must(os.Truncate(filepath.Join(b.Folder, short), 100))
	wrong, _ = scrub(t, b.Repo)
	if slices.Sort(wrong); !slices.Equal(wrong, []string{gone, short}) {
		t.Errorf("wrong are %v, want %s and %s", wrong, gone, short)
	}
}

// A list that cannot be stored now is stored later; one that cannot be stored at all
// does not take the run's record with it.
func TestPackListIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		kind ivd.Kind
		list bool
	}{
		"for a moment": {ivd.Transient, true},
		"for good":     {ivd.Denied, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := coordtest.New(t)
			b.Disk("a", 8)
			b.Faulty(faults.Fault{On: faults.Put, Prefix: "runs/", Before: ivd.Errorf(c.kind, "no")})
			b.Mover("m1")
			s, _ := b.Serving("one")
			v := b.Until(s, b.Begin(s, backup.Request{All: true}).ID, coordtest.Ended)
			if sum, err := b.Repo.ReadRun(t.Context(), v.ID); err != nil || len(sum.Points) != 1 {
				t.Errorf("the run's record: %+v, %v", sum, err)
			}
			if _, err := b.Repo.StoredPacks(t.Context(), v.ID); (err == nil) != c.list {
				t.Errorf("the list: %v", err)
			}
		})
	}
}

// chain is a disk's points, each of a run of its own and built on the one before.
type chain struct {
	*testing.T
	r    *repotest.Repository
	w    *backup.Workflow
	log  bytes.Buffer
	disk *repotest.Disk
	rnd  *rand.Rand
	last *format.Point
	kept map[ivd.RunID]ivd.PointID
}

func newChain(t *testing.T) *chain {
	c := &chain{T: t, r: repotest.New(t), rnd: rand.New(rand.NewPCG(1, 2)), kept: map[ivd.RunID]ivd.PointID{}}
	c.disk = repotest.NewDisk(ivd.Geometry{Capacity: 2*ivd.SpansPerPage*ivd.ChunksPerSpan*ivd.MinChunkSize + 5, ChunkSize: ivd.MinChunkSize})
	c.w = &backup.Workflow{Deps: backup.Deps{Repo: c.r.Repository, Log: slog.New(slog.NewTextHandler(&c.log, nil))}}
	return c
}

func (c *chain) must(err error) {
	c.Helper()
	if err != nil {
		c.Fatal(err)
	}
}

// point commits the disk as a run's point, on top of the last one.
func (c *chain) point(run ivd.RunID) {
	c.Helper()
	p := c.r.Save(c.disk, repotest.Layout{ChunksPerPack: 2, NodesPerPack: 1}).Point
	p.ID, p.Run = ivd.NewPointID(c.r.Domain(), repotest.Source, repotest.DiskID, p.Time, run), run
	p.Parent = nil
	if c.last != nil {
		p.Parent = &format.PointParent{Point: c.last.ID, Sum: ivd.ContentID{1}}
	}
	lease := c.r.Lease(repo.WriteLease)
	p.SealedAt = time.Time{}
	_, err := c.r.Commit(c.Context(), lease, p)
	c.must(err)
	c.must(c.r.EndLease(c.Context(), lease.ID))
	c.last, c.kept[run] = &p, p.ID
}

func (c *chain) list(run ivd.RunID) map[ivd.PackID]format.StoredPack {
	c.Helper()
	c.must(c.w.ListPacks(c.Context(), run, c.kept[run]))
	packs, err := c.r.StoredPacks(c.Context(), run)
	c.must(err)
	return packs
}

// needs is what a run's point needs, by its pages.
func (c *chain) needs(run ivd.RunID) map[ivd.PackID]bool {
	c.Helper()
	p, _, err := c.r.ReadPoint(c.Context(), c.kept[run])
	c.must(err)
	all := map[ivd.PackID]bool{}
	for _, ref := range p.Pages {
		page, err := c.r.Page(c.Context(), ref, p.Geometry)
		c.must(err)
		all[ref.Place.Pack] = true
		for _, x := range page.Packs {
			all[x.Pack] = true
		}
	}
	return all
}

// A run's list has what its points need and their parents do not, so that the lists
// of a chain have all of it together; where a run before has no list, or the parent
// is gone, it has all.
func TestPackListOfAChain(t *testing.T) {
	c := newChain(t)
	c.disk.Fill(c.rnd, 20, 1<<20)
	c.point("first")
	first := c.list("first")
	if needs := c.needs("first"); len(first) != len(needs) || len(needs) < 20 {
		t.Fatalf("%d packs are listed, %d are needed", len(first), len(needs))
	}
	c.disk.Fill(c.rnd, 2, 1000)
	c.point("second")
	second := c.list("second")
	fresh := 0
	for id := range c.needs("second") {
		_, before := first[id]
		if _, now := second[id]; before == now {
			t.Errorf("pack %s: listed before %v, now %v", id, before, now)
		}
		if !before {
			fresh++
		}
	}
	if fresh == 0 || fresh != len(second) {
		t.Errorf("%d packs are new, %d are listed", fresh, len(second))
	}
	all := len(c.needs("second"))
	name := "runs/" + c.r.Domain().String() + "/first.packs"
	body, err := os.ReadFile(filepath.Join(c.r.Dir, name))
	c.must(err)
	c.must(os.Remove(filepath.Join(c.r.Dir, name)))
	if got := c.list("second"); len(got) != all {
		t.Errorf("where the run before has no list: %d packs, want %d", len(got), all)
	}
	c.must(os.WriteFile(filepath.Join(c.r.Dir, name), body, 0o600))
	if got := c.list("second"); len(got) != len(second) {
		t.Errorf("where it has one again: %d packs, want %d", len(got), len(second))
	}
	c.must(os.Remove(filepath.Join(c.r.Dir, "points", string(c.kept["first"]))))
	if got := c.list("second"); len(got) != all {
		t.Errorf("where the parent is gone: %d packs, want %d", len(got), all)
	}
}

// A pack that a new point needs and the store does not have is told of, and stays on
// the list.
func TestPackOfANewPointIsMissing(t *testing.T) {
	c := newChain(t)
	c.disk.Fill(c.rnd, 3, 1000)
	c.point("first")
	var lost ivd.PackID
	for id, p := range c.list("first") {
		if p.Kind == format.DataPack {
			lost = id
		}
	}
	c.r.Delete(format.DataPack, lost)
	if p := c.list("first")[lost]; p.Kind != format.DataPack || p.Length != 0 {
		t.Errorf("%+v", p)
	}
	if !strings.Contains(c.log.String(), "level=ERROR") || !strings.Contains(c.log.String(), lost.String()) {
		t.Errorf("log: %s", c.log.String())
	}
}
