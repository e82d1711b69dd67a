package forget_test

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ivdmover/coordinator/catalogue"
	"ivdmover/coordinator/forget"
	"ivdmover/shared/config"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/repo/repotest"
	"ivdmover/shared/store"
	"ivdmover/shared/store/faults"
)

const (
	disk  ivd.DiskID = "0b7c9d4e-1111-4222-8333-444455556666"
	other ivd.DiskID = "0b7c9d4e-1111-4222-8333-444455557777"
)

// day is the evening of a day of a month.
func day(n int) time.Time { return time.Date(2026, 10, n, 22, 0, 0, 0, time.UTC) }

// save commits a point of a disk.
func save(t *testing.T, r *repotest.Repository, of ivd.DiskID, at time.Time, policy string) ivd.PointID {
	t.Helper()
	run := ivd.NewRunID(at)
	lease := r.Lease(repo.WriteLease)
	p := format.Point{
		ID: ivd.NewPointID(r.Domain(), repotest.Source, of, at, run), Source: format.PointSource{Kind: format.VCenter, ID: repotest.Source},
		Disk:     format.PointDisk{Kind: ivd.IVD, ID: of, Name: "data", Datastore: format.PointDatastore{ID: "datastore-1"}},
		Geometry: ivd.Geometry{Capacity: 1 << 30, ChunkSize: 256 << 10}, Run: run, Time: at, SealedAt: at.Add(time.Hour), Policy: policy,
		Tracking: format.Tracking{CBT: format.CBTOn, Mode: format.ReadChanged}, Consistency: format.CrashConsistent,
	}
	_, err := r.Commit(t.Context(), lease, p)
	must(t, err)
	must(t, r.EndLease(t.Context(), lease.ID))
	return p.ID
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// nightly keeps the newest point of each of the last two days that have one.
func nightly() []config.Policy {
	p := config.DefaultPolicy()
	p.Name, p.Keep = "nightly", config.Keep{Daily: 2}
	all := config.DefaultPolicy()
	all.Name = "all"
	return []config.Policy{p, all}
}

func room(r *repo.Repository) *forget.Room {
	return &forget.Room{Repo: r, Catalogue: catalogue.New(r), Policies: nightly(), Log: slog.New(slog.DiscardHandler)}
}

var theDisk = []catalogue.Disk{{Source: repotest.Source, ID: disk}}

// left are the points of the disk that are not given up, as whoever comes anew sees them.
func left(t *testing.T, r *repo.Repository) (ids []ivd.PointID) {
	t.Helper()
	points, err := catalogue.New(r).Points(t.Context(), theDisk[0])
	must(t, err)
	for _, p := range points {
		if !p.GivenUp {
			ids = append(ids, p.ID)
		}
	}
	return ids
}

func wantLeft(t *testing.T, r *repo.Repository, want ...ivd.PointID) {
	t.Helper()
	slices.Sort(want)
	if got := left(t, r); !slices.Equal(got, want) {
		t.Errorf("left are\n%s\nwant\n%s", got, want)
	}
}

// four are points of four days, the oldest first.
func four(t *testing.T, r *repotest.Repository) (ids []ivd.PointID) {
	t.Helper()
	for n := 1; n <= 4; n++ {
		ids = append(ids, save(t, r, disk, day(n), "nightly"))
	}
	return ids
}

// A policy's rules, of all disks: what they say, what is stored, and what whoever comes
// next is told.
func TestByPolicy(t *testing.T) {
	for what, r := range map[string]*repotest.Repository{"plain": repotest.New(t), "encrypted": repotest.Sealed(t)} {
		t.Run(what, func(t *testing.T) {
			p := four(t, r)
			lone, foreign := save(t, r, other, day(1), "nightly"), save(t, r, other, day(2), "weekly")
			must(t, r.Pin(t.Context(), p[0], "before the upgrade"))
			f := room(r.Repository)
			verdicts, err := f.ByPolicy(t.Context(), "nightly")
			must(t, err)
			var said []string
			for _, v := range verdicts {
				said = append(said, fmt.Sprintf("%s %d %t %s", v.ID.Disk()[32:], v.Time.Day(), v.Stays, strings.Join(v.Reasons, "; ")))
			}
			want := []string{
				"6666 4 true daily 1 of 2; the last good point of its disk", "6666 3 true daily 2 of 2",
				"6666 2 false policy nightly keeps it by none of its rules", "6666 1 true pinned: before the upgrade",
				"7777 2 true of another policy; the last good point of its disk", "7777 1 true daily 1 of 2",
			}
			if !slices.Equal(said, want) {
				t.Errorf("said is\n%s\nwant\n%s", strings.Join(said, "\n"), strings.Join(want, "\n"))
			}
			wantLeft(t, r.Repository, p...) // asking changes nothing
			must(t, f.Forget(t.Context(), verdicts, format.Forgotten{Policy: "nightly", Run: "run-7"}))
			wantLeft(t, r.Repository, p[0], p[2], p[3])
			m, err := r.Mark(t.Context(), p[1])
			must(t, err)
			if x := m.Forgotten; x.Policy != "nightly" || x.Run != "run-7" || x.Reason != "policy nightly keeps it by none of its rules" {
				t.Errorf("the mark says %+v", x)
			}
			for _, id := range append(p, lone, foreign) {
				if _, _, err := r.ReadPoint(t.Context(), id); err != nil {
					t.Errorf("nothing is deleted: %v", err)
				}
			}
			again, err := f.ByPolicy(t.Context(), "nightly")
			must(t, err)
			if len(again) != 5 || slices.ContainsFunc(again, func(v forget.Verdict) bool { return !v.Stays }) {
				t.Errorf("asked again: %+v", again)
			}
		})
	}
	if _, err := room(repotest.New(t).Repository).ByPolicy(t.Context(), "weekly"); ivd.KindOf(err) != ivd.NotFound || !strings.Contains(ivd.RemedyOf(err), "nightly, all") {
		t.Error(err)
	}
}

// What a person asks for, and what of it is refused, and why.
func TestAsked(t *testing.T) {
	r := repotest.New(t)
	p := four(t, r)
	ctx, f := t.Context(), room(r.Repository)
	must(t, r.Pin(ctx, p[0], ""))
	must(t, r.Hold(ctx, p[1], r.Now().Add(24*time.Hour), "case 4711"))
	verdicts, err := f.Asked(ctx, p)
	must(t, err)
	must(t, f.Forget(ctx, verdicts, format.Forgotten{}))
	reasons := map[ivd.PointID]string{}
	for _, v := range verdicts {
		reasons[v.ID] = strings.Join(v.Reasons, "; ")
		if v.Forgotten != (v.ID == p[2]) || v.Stays == v.Forgotten {
			t.Errorf("%s: %+v", v.ID, v)
		}
	}
	for i, want := range []string{"pinned", "held until ", "asked for", "the last good point"} {
		if !strings.HasPrefix(reasons[p[i]], want) {
			t.Errorf("day %d: %q, want %q", i+1, reasons[p[i]], want)
		}
	}
	wantLeft(t, r.Repository, p[0], p[1], p[3])
	verdicts, err = f.Asked(ctx, p[2:3])
	must(t, err)
	if len(verdicts) != 1 || !verdicts[0].Forgotten || verdicts[0].Reasons[0] != "it was forgotten before: asked for" {
		t.Errorf("%+v", verdicts)
	}
	gone := ivd.NewPointID(r.Domain(), repotest.Source, disk, day(9), "run-9")
	if _, err := f.Asked(ctx, append(p[:1:1], gone)); ivd.KindOf(err) != ivd.NotFound || !strings.Contains(err.Error(), string(gone)) {
		t.Error(err)
	}
	if v, err := f.Asked(ctx, nil); len(v) != 0 || err != nil {
		t.Errorf("nothing was asked for: %v, %v", v, err)
	}
}

// The last good point is one that is not damaged, also where a newer one is.
func TestLastGoodPointIsNotDamaged(t *testing.T) {
	r := repotest.New(t)
	d := repotest.NewDisk(ivd.Geometry{Capacity: 4 * ivd.MinChunkSize, ChunkSize: ivd.MinChunkSize})
	var points []repotest.Point
	for _, text := range []string{"first", "second", "third"} {
		_, err := d.WriteAt([]byte(text), 0)
		must(t, err)
		points = append(points, r.Save(d, repotest.Layout{}))
	}
	r.Retire(r.Place(d, 0).Pack) // of the third
	ids := []ivd.PointID{points[0].ID, points[1].ID, points[2].ID}
	f := room(r.Repository)
	verdicts, err := f.Asked(t.Context(), ids)
	must(t, err)
	for _, v := range verdicts {
		if v.Stays != (v.ID == ids[1]) {
			t.Errorf("%s stays: %t, %v", v.ID, v.Stays, v.Reasons)
		}
	}
}

// A run gives up what its policy does not keep of the disks that it has backed up, and of
// no others; a policy that keeps everything gives nothing up.
func TestAfterRun(t *testing.T) {
	r := repotest.New(t)
	p := four(t, r)
	for n := 1; n <= 4; n++ {
		save(t, r, other, day(n), "nightly")
	}
	f := room(r.Repository)
	for _, of := range [][]catalogue.Disk{theDisk, nil} {
		if got, err := f.AfterRun(t.Context(), "all", "run-8", of); err != nil || len(got) != 0 {
			t.Errorf("%v, %v", got, err)
		}
	}
	if got, err := f.AfterRun(t.Context(), "nightly", "run-8", nil); err != nil || len(got) != 0 {
		t.Errorf("of a run without a point: %v, %v", got, err)
	}
	wantLeft(t, r.Repository, p...)
	for range 2 { // what was done before is told of, too
		got, err := f.AfterRun(t.Context(), "nightly", "run-8", theDisk)
		if err != nil || !slices.Equal(got, p[:2]) {
			t.Errorf("%v, %v", got, err)
		}
	}
	if got, err := f.AfterRun(t.Context(), "nightly", "run-9", theDisk); err != nil || len(got) != 0 {
		t.Errorf("the run after that: %v, %v", got, err)
	}
	wantLeft(t, r.Repository, p[2:]...)
	all, err := r.Marks(t.Context(), repo.PointsOf{Source: repotest.Source, Disk: other})
	must(t, err)
	for n := 1; n <= 4; n++ {
		if id := ivd.NewPointID(r.Domain(), repotest.Source, other, day(n), ivd.NewRunID(day(n))); all.Of(id).Forgotten != nil {
			t.Errorf("%s is forgotten", id)
		}
	}
}

// Who only backs up says that it may not, and gives nothing up.
func TestAfterRunOfWhoOnlyBacksUp(t *testing.T) {
	r := repotest.Sealed(t)
	p := four(t, r)
	m, err := r.Master(t.Context(), repotest.Passphrase)
	must(t, err)
	e, err := m.Export(r.Domain(), "coordinator-2", time.Now())
	must(t, err)
	ring, err := m.Ring()
	must(t, err)
	must(t, r.Store.Put(t.Context(), "keys/ring", ring))
	backup, err := repo.OpenWith(t.Context(), r.Store, repo.Keys{Export: &e})
	must(t, err)
	f := room(backup)
	if _, err := f.AfterRun(t.Context(), "nightly", "run-8", theDisk); ivd.KindOf(err) != ivd.Denied || ivd.RemedyOf(err) == "" {
		t.Error(err)
	}
	if _, err := f.AfterRun(t.Context(), "all", "run-8", theDisk); err != nil {
		t.Errorf("a policy that keeps everything: %v", err)
	}
	wantLeft(t, backup, p...)
}

// A pin that comes after it was decided, and before or after the mark is stored, keeps its
// point, and who forgets is told.
func TestPinWhileForgetDecides(t *testing.T) {
	for _, m := range []faults.Method{faults.Put, faults.List} {
		r := repotest.New(t)
		p := four(t, r)
		f := room(r.Repository)
		verdicts, err := f.ByPolicy(t.Context(), "nightly")
		must(t, err)
		someone, err := repo.Open(t.Context(), r.Clock)
		must(t, err)
		prefix := "forgotten/" + string(p[0])
		if m == faults.List { // that looks for marks afterwards
			prefix = "forgotten/"
		}
		r.Store.Add(faults.Fault{On: m, Prefix: prefix, Do: func(store.Name) { must(t, someone.Pin(t.Context(), p[0], "just now")) }})
		must(t, f.Forget(t.Context(), verdicts, format.Forgotten{}))
		for _, v := range verdicts {
			if v.Forgotten != (v.ID == p[1]) || v.Stays == v.Forgotten || v.ID == p[0] && v.Reasons[0] != "pinned: just now" {
				t.Errorf("%s: %+v", v.ID, v)
			}
		}
		wantLeft(t, r.Repository, p[0], p[2], p[3])
	}
}

// Two that forget at once, by what each saw before: the last good point stays.
func TestTwoForgetAtOnce(t *testing.T) {
	r := repotest.New(t)
	p := four(t, r)
	other, err := repo.Open(t.Context(), r.Store)
	must(t, err)
	one, two := room(r.Repository), room(other)
	first, err := one.Asked(t.Context(), p[:3]) // and leaves the newest
	must(t, err)
	// Meanwhile the newest is given up by who has seen the others standing.
	r.Store.Add(faults.Fault{On: faults.Put, Prefix: "forgotten/", Do: func(store.Name) {
		must(t, other.Forget(t.Context(), format.Forgotten{Point: p[3], Reason: "asked for"}))
	}})
	must(t, one.Forget(t.Context(), first, format.Forgotten{}))
	wantLeft(t, r.Repository, p[3])
	if v, err := two.Asked(t.Context(), p[3:]); err != nil || !v[0].Stays {
		t.Errorf("the last one: %+v, %v", v, err)
	}
	// Both by the policy, at the same moment.
	q := []ivd.PointID{save(t, r, disk, day(5), "nightly"), save(t, r, disk, day(6), "nightly"), save(t, r, disk, day(7), "nightly")}
	mine, err := one.ByPolicy(t.Context(), "nightly")
	must(t, err)
	theirs, err := two.ByPolicy(t.Context(), "nightly")
	must(t, err)
	must(t, one.Forget(t.Context(), mine, format.Forgotten{}))
	must(t, two.Forget(t.Context(), theirs, format.Forgotten{}))
	wantLeft(t, r.Repository, q[1:]...)
}

// Whatever dies after whatever request, nothing is given up that should stay, and to do it
// again gives up the rest.
func TestForgetDiesAfterAnyRequest(t *testing.T) {
	for _, lost := range []bool{false, true} { // the request, or its answer
		for call := 1; ; call++ {
			r := repotest.New(t)
			p := four(t, r)
			var asked atomic.Int64 // points are read at the same time
			dead := ivd.Errorf(ivd.Permanent, "dead")
			r.Store.Each = func(faults.Method, string) error {
				if n := int(asked.Add(1)); n >= call && !lost || n > call && lost {
					return dead
				}
				return nil
			}
			_, err := room(r.Repository).AfterRun(t.Context(), "nightly", "run-8", theDisk)
			r.Store.Each = nil
			if err == nil {
				break
			}
			if got := left(t, r.Repository); !slices.Contains(got, p[2]) || !slices.Contains(got, p[3]) {
				t.Fatalf("after call %d left are %v", call, got)
			}
			got, err := room(r.Repository).AfterRun(t.Context(), "nightly", "run-8", theDisk)
			if err != nil || !slices.Equal(got, p[:2]) {
				t.Fatalf("again, after call %d: %v, %v", call, got, err)
			}
			wantLeft(t, r.Repository, p[2:]...)
		}
	}
}
