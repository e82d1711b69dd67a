package catalogue

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/repo/repotest"
	"ivdmover/shared/store"
	"ivdmover/shared/store/faults"
)

// estate is a repository with runs, of several disks each, some of which have records.
type estate struct {
	*repotest.Repository
	points []format.Point
	run    func(at time.Time, recorded bool, disks ...ivd.DiskID)
}

func diskID(i int) ivd.DiskID { return ivd.DiskID(fmt.Sprintf("0b7c9d4e-1111-4222-8333-%012d", i)) }

func newTestEstate(t *testing.T) *estate {
	e := &estate{Repository: repotest.New(t)}
	e.run = func(at time.Time, recorded bool, disks ...ivd.DiskID) {
		id := ivd.NewRunID(at)
		lease, err := e.OpenLease(t.Context(), repo.LeaseSpec{Kind: repo.WriteLease, Owner: "test", Run: id})
		if err != nil {
			t.Fatal(err)
		}
		r := format.Run{ID: id, Sequence: 1, Kind: "backup", State: "done", Coordinator: string(id), Policy: "nightly", Started: at, Ended: at}
		for _, disk := range disks {
			p := format.Point{
				ID: ivd.NewPointID(e.Domain(), "lab", disk, at, id), Source: format.PointSource{Kind: format.VCenter, ID: "lab"},
				Disk:     format.PointDisk{Kind: ivd.IVD, ID: disk, Name: "data", Datastore: format.PointDatastore{ID: "datastore-1", Name: "fast"}},
				Geometry: ivd.Geometry{Capacity: 1 << 30, ChunkSize: 256 << 10}, Run: id, Time: at, SealedAt: at.Add(time.Hour),
				Tracking: format.Tracking{CBT: format.CBTOn, Mode: format.ReadChanged}, Consistency: format.CrashConsistent, Policy: "nightly",
				Stats: ivd.Stats{ReadBytes: 7},
			}
			sum, err := e.Commit(t.Context(), lease, p)
			if err != nil {
				t.Fatal(err)
			}
			e.points = append(e.points, p)
			r.Points = append(r.Points, format.RunPoint{
				Point: p.ID, Sum: sum, Name: p.Disk.Name, Time: p.Time, SealedAt: p.SealedAt, Mode: p.Tracking.Mode, Geometry: p.Geometry,
				Policy: p.Policy, Stats: p.Stats, Datastore: p.Disk.Datastore, Consistency: p.Consistency,
			})
		}
		if recorded {
			if err := e.PutRun(t.Context(), r); err != nil {
				t.Fatal(err)
			}
		}
	}
	return e
}

var sunday = time.Date(2026, 11, 24, 23, 0, 0, 0, time.UTC)

// lists is what listing all points costs: GETs and LISTs.
func (e *estate) lists(t *testing.T, list func(context.Context, Disk) ([]Point, error), want int) (points []Point, gets, lists int) {
	t.Helper()
	gets, lists = e.Store.Calls(faults.Get), e.Store.Calls(faults.List)
	points, err := list(t.Context(), Disk{})
	if err != nil || len(points) != want {
		t.Fatalf("%d points, want %d: %v", len(points), want, err)
	}
	for i, p := range points {
		if p.Failure != nil || p.Name != "data" || p.Datastore != "fast" || p.Disk.Datastore() != "datastore-1" || i > 0 && points[i-1].ID >= p.ID {
			t.Errorf("%+v", p)
		}
	}
	return points, e.Store.Calls(faults.Get) - gets, e.Store.Calls(faults.List) - lists
}

// A catalogue is made of one object a run, and of nothing once it has its file; what
// decides about points has read each of them once.
func TestRebuildCost(t *testing.T) {
	e := newTestEstate(t)
	const listings = 4 // points, forgotten, pins, holds
	for i := range 3 {
		e.run(sunday.AddDate(0, 0, i), i < 2, diskID(1), diskID(2), diskID(3))
	}
	file := filepath.Join(t.TempDir(), "catalogue")
	log := slog.New(slog.DiscardHandler)
	a := Open(e.Repository.Repository, file, log)
	if _, gets, lists := e.lists(t, a.Told, 9); gets != 2+1+3 || lists != listings {
		t.Errorf("made anew with %d GETs and %d LISTs: want one a record, one for that which is not there, and one for each of its points", gets, lists)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	a.Close()
	a = Open(e.Repository.Repository, file, log)
	defer func() { a.Close() }()
	told, gets, lists := e.lists(t, a.Told, 9)
	if gets != 0 || lists != listings {
		t.Errorf("with its file %d GETs and %d LISTs", gets, lists)
	}
	read, gets, _ := e.lists(t, a.Points, 9)
	if gets != 6 {
		t.Errorf("%d points were read that only records told of, want 6", gets)
	}
	for i := range told {
		told[i].told = false
	}
	if !reflect.DeepEqual(told, read) {
		t.Errorf("records tell\n%+v, points say\n%+v", told, read)
	}
	if _, gets, _ = e.lists(t, a.Points, 9); gets != 0 {
		t.Errorf("%d points were read again", gets)
	}
	// What another has committed and deleted is seen at once.
	e.run(sunday.AddDate(0, 0, 3), true, diskID(1), diskID(4))
	if err := os.Remove(filepath.Join(e.Dir, "points", string(e.points[0].ID))); err != nil {
		t.Fatal(err)
	}
	if _, gets, _ = e.lists(t, a.Told, 10); gets != 1 {
		t.Errorf("%d GETs for a new run", gets)
	}
	a.shelf.get(a.state(), Disk{}, func(p Point) {
		if p.ID == e.points[0].ID {
			t.Error("a point that was deleted is kept")
		}
	})
}

// Whatever happens to the file, the points are those of the repository, and the file is
// good again afterwards.
func TestDamagedFile(t *testing.T) {
	e := newTestEstate(t)
	e.run(sunday, true, diskID(1), diskID(2))
	e.run(sunday.AddDate(0, 0, 1), true, diskID(1), diskID(2))
	file := filepath.Join(t.TempDir(), "catalogue")
	var said bytes.Buffer
	log := slog.New(slog.NewTextHandler(&said, nil))
	a := Open(e.Repository.Repository, file, log)
	want, _, _ := e.lists(t, a.Told, 4)
	a.Close()
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(good, []byte("datastore-1"))
	flipped := bytes.ReplaceAll(good, []byte("datastore-1"), []byte("datastore-2"))
	if at < 0 || bytes.Equal(good, flipped) {
		t.Fatal("the file does not hold what was read")
	}
	for what, content := range map[string][]byte{
		"empty": {}, "cut off": good[:at/4096*4096], "cut off early": good[:5000], "noise": bytes.Repeat([]byte("noise"), 9000), "a value flipped": flipped,
		"pages of zeros": append(bytes.Clone(good[:8192]), make([]byte, len(good)-8192)...),
	} {
		said.Reset()
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		a := Open(e.Repository.Repository, file, log)
		got, gets, _ := e.lists(t, a.Told, 4)
		if !reflect.DeepEqual(got, want) || gets != 2 {
			t.Errorf("%s: %d GETs, %+v", what, gets, got)
		}
		if what != "empty" && !bytes.Contains(said.Bytes(), []byte("made anew of the repository")) {
			t.Errorf("%s: nothing was said: %s", what, said.Bytes())
		}
		a.Close()
		a = Open(e.Repository.Repository, file, log)
		if _, gets, _ := e.lists(t, a.Told, 4); gets != 0 {
			t.Errorf("%s: the file was not made anew: %d GETs", what, gets)
		}
		a.Close()
	}
}

// Points of another repository, or of this one in another state, are not taken; where
// there can be no file, or another process has it, points are kept in memory.
func TestShelfOfAnotherState(t *testing.T) {
	file := filepath.Join(t.TempDir(), "catalogue")
	log := slog.New(slog.DiscardHandler)
	p := Point{ID: ivd.NewPointID(ivd.DomainID{1}, "lab", disk, sunday, "run-1"), Name: "data"}
	keeps := func(s *shelf, state string) (n int) {
		s.get(state, Disk{"lab", disk}, func(Point) { n++ })
		return n
	}
	s := &shelf{path: file, log: log}
	s.put("one", map[Disk][]Point{{"lab", disk}: {p}})
	if keeps(s, "one") != 1 || s.db == nil {
		t.Error("what was put is not kept")
	}
	other := &shelf{path: file, log: log}
	other.put("one", map[Disk][]Point{{"lab", disk}: {p, p}})
	if keeps(other, "one") != 2 || other.db != nil || keeps(s, "one") != 1 {
		t.Error("another process does not keep to itself")
	}
	if keeps(s, "two") != 0 || keeps(s, "one") != 0 {
		t.Error("what was put of another state is taken")
	}
	s.close()
	none := &shelf{path: filepath.Join(file, "below"), log: log}
	none.put("one", map[Disk][]Point{{"lab", disk}: {p}})
	if keeps(none, "one") != 1 {
		t.Error("without a file nothing is kept")
	}
}

// All of a point that is kept is what was put; a value that is cut anywhere is refused.
func TestValue(t *testing.T) {
	p := Point{
		ID: ivd.NewPointID(ivd.DomainID{1}, "lab", disk, sunday, "run-1"), Disk: ivd.NewDiskRef("lab", "datastore-1", disk), Name: "data", Datastore: "fast",
		Time: sunday.Add(7), SealedAt: time.Time{}, Parent: "parent", Mode: format.ReadChanged, Consistency: format.Quiesced, Policy: "nightly", Partial: true, told: true,
	}
	for _, of := range []reflect.Value{reflect.ValueOf(&p.Stats).Elem(), reflect.ValueOf(&p.Geometry).Elem()} {
		for i := range of.NumField() {
			of.Field(i).SetInt(int64(1)<<40 + int64(i))
		}
	}
	key := []byte("lab/" + disk)
	v := value(key, []Point{p, {ID: "x"}})
	var got []Point
	if err := newReader().value(key, v, &got); err != nil || len(got) != 2 || !reflect.DeepEqual(got[0], p) {
		t.Errorf("%+v, want %+v: %v", got, p, err)
	}
	for n := range v {
		if err := newReader().value(key, v[:n], &got); err == nil && n != 4 {
			t.Errorf("the first %d bytes are taken", n)
		}
	}
	if err := newReader().value([]byte("lab/other"), v, &got); err == nil {
		t.Error("a value is taken as another disk's")
	}
}

// manyNames is a store that lists the points of a large estate.
type manyNames struct {
	store.Store
	infos []store.Info
}

func (m *manyNames) List(ctx context.Context, prefix string) iter.Seq2[store.Info, error] {
	if prefix != "points/" {
		return m.Store.List(ctx, prefix)
	}
	return func(yield func(store.Info, error) bool) {
		for _, i := range m.infos {
			if !yield(i, nil) {
				return
			}
		}
	}
}

// BenchmarkList lists 10,000 disks with 60 points each.
func BenchmarkList(b *testing.B) {
	r := repotest.New(b)
	many := &manyNames{Store: r.Store}
	opened, err := repo.Open(b.Context(), many)
	if err != nil {
		b.Fatal(err)
	}
	a := Open(opened, filepath.Join(b.TempDir(), "catalogue"), slog.New(slog.DiscardHandler))
	defer a.Close()
	disks := map[Disk][]Point{}
	for i := range 10_000 {
		d := Disk{"6b1f2d0e-7a53-4c1d-9e0f-2b8c5d4a3f21", diskID(i)}
		for day := range 60 {
			at := sunday.AddDate(0, 0, day)
			p := Point{
				ID: ivd.NewPointID(r.Domain(), d.Source, d.ID, at, ivd.RunID(at.Format("20060102t150405z")+"-1f0c2a9b")), Disk: ivd.NewDiskRef(d.Source, "datastore-1", d.ID),
				Name: fmt.Sprintf("pvc-%d", i), Datastore: "fast", Time: at, SealedAt: at, Mode: format.ReadChanged, Consistency: format.CrashConsistent, Policy: "nightly",
				Geometry: ivd.Geometry{Capacity: 1 << 30, ChunkSize: 256 << 10}, told: true,
			}
			disks[d] = append(disks[d], p)
			many.infos = append(many.infos, store.Info{Name: store.Name("points/" + string(p.ID)), Size: 700})
		}
	}
	a.shelf.put(a.state(), disks)
	for b.Loop() {
		if points, err := a.Told(b.Context(), Disk{}); err != nil || len(points) != 600_000 || points[599_999].Failure != nil {
			b.Fatal(len(points), err)
		}
	}
}
