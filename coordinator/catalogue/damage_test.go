package catalogue_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"ivdmover/coordinator/catalogue"
	"ivdmover/coordinator/news"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo/repotest"
	"ivdmover/shared/store"
	"ivdmover/shared/store/faults"
)

// two makes a point with a data pack of its own, and a child that needs that and one
// more.
func two(t *testing.T, r *repotest.Repository) (points [2]repotest.Point, data [2]ivd.PackID) {
	t.Helper()
	d := repotest.NewDisk(ivd.Geometry{Capacity: 4 * ivd.MinChunkSize, ChunkSize: ivd.MinChunkSize})
	for i := range points {
		if _, err := d.WriteAt([]byte{byte(i + 1)}, int64(i)*ivd.MinChunkSize); err != nil {
			t.Fatal(err)
		}
		points[i] = r.Save(d, repotest.Layout{})
		data[i] = r.Place(d, ivd.ChunkIndex(i)).Pack
	}
	return points, data
}

func listed(t *testing.T, c *catalogue.Catalogue, look func([]catalogue.Point) error) []catalogue.Point {
	t.Helper()
	points, err := c.Points(t.Context(), catalogue.Disk{})
	if err == nil {
		err = look(points)
	}
	if err != nil {
		t.Fatal(err)
	}
	return points
}

// Points are marked that need a retired pack, and nothing is read where none is.
func TestMark(t *testing.T) {
	r := repotest.New(t)
	_, data := two(t, r)
	c := catalogue.New(r.Repository)
	mark := func() [2]int {
		t.Helper()
		points := listed(t, c, func(p []catalogue.Point) error { return c.Mark(t.Context(), p, false) })
		return [2]int{len(points[0].Damaged), len(points[1].Damaged)}
	}
	reads := r.Store.Calls(faults.ReadAt)
	if got := mark(); got != [2]int{} || r.Store.Calls(faults.ReadAt) != reads {
		t.Errorf("nothing is retired: %v, %d reads", got, r.Store.Calls(faults.ReadAt)-reads)
	}
	r.Retire(data[1])
	if got := mark(); got != [2]int{0, 1} {
		t.Errorf("the child's pack is retired: %v", got)
	}
	reads = r.Store.Calls(faults.ReadAt)
	if got := mark(); got != [2]int{0, 1} || r.Store.Calls(faults.ReadAt) != reads {
		t.Errorf("again: %v, %d reads", got, r.Store.Calls(faults.ReadAt)-reads)
	}
	r.Retire(data[0])
	if got := mark(); got != [2]int{1, 2} {
		t.Errorf("both are retired: %v", got)
	}
	if err := r.Unretire(t.Context(), "a mistake", []ivd.PackID{data[0], data[1]}); err != nil {
		t.Fatal(err)
	}
	if got := mark(); got != [2]int{} {
		t.Errorf("they are lifted: %v", got)
	}
	// An outage marks nothing as whole.
	r.Retire(ivd.PackID{1})
	points, err := c.Points(t.Context(), catalogue.Disk{})
	if err != nil {
		t.Fatal(err)
	}
	r.Store.Add(faults.Fault{On: faults.ReadAt, Before: faults.ErrInjected})
	if err := c.Mark(t.Context(), points, false); ivd.KindOf(err) != ivd.Transient {
		t.Errorf("an outage: %v", err)
	}
	// What is too much for a list is said not to be known, until it is asked for.
	for i := range points {
		points[i].Geometry.Capacity = 1 << 62
	}
	if err := c.Mark(t.Context(), points, false); err != nil || !points[0].Unchecked || !points[1].Unchecked {
		t.Errorf("too much: %+v, %v", points, err)
	}
	for i := range points {
		points[i].Unchecked = false
	}
	if err := c.Mark(t.Context(), points, true); err != nil || points[0].Unchecked {
		t.Errorf("asked for: %+v, %v", points, err)
	}
}

// A check asks for every pack, has retired what is missing or not in its length, and
// marks who needs it.
func TestCheck(t *testing.T) {
	for name, damage := range map[string]func(*repotest.Repository, [2]repotest.Point, [2]ivd.PackID) (bad ivd.PackID, hurt [2]int){
		"nothing": func(*repotest.Repository, [2]repotest.Point, [2]ivd.PackID) (ivd.PackID, [2]int) {
			return ivd.PackID{}, [2]int{}
		},
		"a data pack is gone": func(r *repotest.Repository, _ [2]repotest.Point, data [2]ivd.PackID) (ivd.PackID, [2]int) {
			r.Delete(format.DataPack, data[0])
			return data[0], [2]int{1, 1}
		},
		"an index pack is gone": func(r *repotest.Repository, p [2]repotest.Point, _ [2]ivd.PackID) (ivd.PackID, [2]int) {
			r.Delete(format.IndexPack, p[1].Nodes[0].Place.Pack)
			return p[1].Nodes[0].Place.Pack, [2]int{0, 1}
		},
		"a page is damaged": func(r *repotest.Repository, p [2]repotest.Point, _ [2]ivd.PackID) (ivd.PackID, [2]int) {
			r.Damage(format.IndexPack, p[0].Pages[0].Place.Pack, p[0].Pages[0].Place.Offset+60)
			return p[0].Pages[0].Place.Pack, [2]int{1, 0}
		},
	} {
		for _, readOnly := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				r := repotest.New(t)
				p, data := two(t, r)
				bad, hurt := damage(r, p, data)
				if readOnly && bad != (ivd.PackID{}) {
					r.Store.Add(faults.Fault{On: faults.Put, Prefix: "retired/", Before: faults.ErrInjected})
				}
				c := catalogue.New(r.Repository)
				var told []string // by one goroutine, until all points are checked
				ctx := news.To(t.Context(), func(line string) {
					if strings.HasPrefix(line, "checked ") {
						told = append(told, line)
					}
				})
				points := listed(t, c, func(p []catalogue.Point) error { return c.Check(ctx, p) })
				if n := len(points); len(told) != n || told[n-1] != fmt.Sprintf("checked %d of %d restore points", n-1, n) {
					t.Errorf("told %q of %d points", told, n)
				}
				for i := range points {
					if len(points[i].Damaged) != hurt[i] || hurt[i] > 0 && points[i].Damaged[0] != bad {
						t.Errorf("point %d: damaged %v, want %d", i, points[i].Damaged, hurt[i])
					}
				}
				x, err := r.Retired(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if got := x.Packs(); !readOnly && bad != (ivd.PackID{}) && !slices.Equal(got, []ivd.PackID{bad}) {
					t.Errorf("retired: %v", got)
				}
			})
		}
	}
}

// A check asks for many packs by listing the folders that they lie in.
func TestCheckLists(t *testing.T) {
	r := repotest.New(t)
	r.Store.ListPage = 1000
	d := repotest.NewDisk(ivd.Geometry{Capacity: 20 * ivd.MinChunkSize, ChunkSize: ivd.MinChunkSize})
	for i := range int64(20) {
		if _, err := d.WriteAt([]byte{byte(i + 1)}, i*ivd.MinChunkSize); err != nil {
			t.Fatal(err)
		}
	}
	r.Save(d, repotest.Layout{ChunksPerPack: 1, Alike: true})
	r.Save(d, repotest.Layout{ChunksPerPack: 1, Alike: true}) // a second point of the same packs
	gone := r.Place(d, 3).Pack
	r.Delete(format.DataPack, gone)
	c := catalogue.New(r.Repository)
	stats := r.Store.Calls(faults.Stat)
	r.Store.Add(faults.Fault{On: faults.List, Prefix: "data/", Do: func(store.Name) {}}) // a test fails where it does not happen
	points := listed(t, c, func(p []catalogue.Point) error { return c.Check(t.Context(), p) })
	for i := range points {
		if !slices.Equal(points[i].Damaged, []ivd.PackID{gone}) {
			t.Errorf("point %d: damaged %v", i, points[i].Damaged)
		}
	}
	// The one that is gone, twice, and each point's two index packs.
	if n := r.Store.Calls(faults.Stat) - stats; n != 2+4 {
		t.Errorf("%d HEADs", n)
	}
}
