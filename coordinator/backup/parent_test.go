package backup_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ivdmover/coordinator/backup"
	"ivdmover/coordinator/coordtest"
	"ivdmover/coordinator/engine"
	"ivdmover/coordinator/plan"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

// What a backup builds on, and how it finds out what to read, over the life of one
// disk. Each step begins where the one before it ended.
func TestWhatABackupBuildsOn(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	d := b.Disk("a", 8)
	m := b.Mover("m1")
	s := b.Coordinator("one")
	b.Serve(s)
	b.Must(b.Owner.Track(t.Context(), d.Ref, true))
	step := func(what string, q backup.Request, mode plan.Mode, parent ivd.PointID, note string) ivd.PointID {
		t.Helper()
		s.Clock.Advance(time.Second) // points are named by the second
		q.All = true
		v := b.Until(s, b.Begin(s, q).ID, coordtest.Ended)
		it := v.Items[0]
		got := b.Backup(it)
		if v.State != engine.Done || got.Mode != mode || got.Parent != parent || !strings.Contains(got.Note, note) {
			t.Errorf("%s: %s, mode %q, parent %q, note %q, %+v", what, v.State, got.Mode, got.Parent, got.Note, it.Failure)
		}
		return got.Point
	}
	first := step("first", backup.Request{}, plan.InUse, "", "first")
	second := step("second", backup.Request{}, plan.Changed, first, "")
	if j := coordtest.Last(m.Began()); j.Backup.Parent == nil || j.Backup.Parent.Point != first || len(j.Backup.Parent.Pages) != 1 {
		t.Errorf("the job's parent is %+v", j.Backup.Parent)
	}
	full := step("full", backup.Request{Full: true}, plan.InUse, second, "asked for")

	damaged := filepath.Join(b.Folder, "points", string(full))
	b.Must(os.WriteFile(damaged, []byte("damaged"), 0o600))
	third := step("the newest is damaged", backup.Request{}, plan.Changed, second, "")

	b.Must(b.Owner.Extend(t.Context(), d.Ref, 9))
	grown := step("grown", backup.Request{}, plan.Changed, third, "")
	if j := coordtest.Last(m.Began()); j.Geometry.Capacity != 9<<20 || j.Backup.Parent.Geometry.Capacity != 8<<20 {
		t.Errorf("the job's disk has %d bytes, its parent %d", j.Geometry.Capacity, j.Backup.Parent.Geometry.Capacity)
	}
	b.Must(b.Owner.Track(t.Context(), d.Ref, false))
	off := step("tracking is off", backup.Request{}, plan.Allocated, grown, "off")
	b.Must(b.Owner.Track(t.Context(), d.Ref, true))
	on := step("tracking is on again", backup.Request{}, plan.InUse, off, "off at the parent's")
	b.Must(b.Owner.Track(t.Context(), d.Ref, false))
	b.Must(b.Owner.Track(t.Context(), d.Ref, true))
	step("tracking was reset", backup.Request{}, plan.InUse, on, "reset")
	b.NothingLeft(d)
}

// A point that is partial, damaged or not understood is passed over, and another
// source's is not looked at.
func TestPointsThatCannotBeBuiltOn(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	d := b.Disk("a", 8)
	b.Mover("m1")
	s, _ := b.Serving("one")
	v := b.Until(s, b.Begin(s, backup.Request{All: true}).ID, coordtest.Ended)
	good := b.Backup(v.Items[0])
	p, _, err := b.Repo.ReadPoint(t.Context(), good.Point)
	b.Must(err)
	put := func(at time.Time, change func(*format.Point)) {
		q := p
		q.Run = "made"
		q.ID = ivd.NewPointID(q.Domain, q.Source.ID, q.Disk.ID, at, q.Run)
		change(&q)
		body, err := q.Encode()
		b.Must(err)
		if q.Run == "newer" {
			body[8]++ // a later version
		}
		file := filepath.Join(b.Folder, "points", string(q.ID))
		b.Must(os.MkdirAll(filepath.Dir(file), 0o700))
		b.Must(os.WriteFile(file, body, 0o600))
	}
	put(time.Now().Add(time.Hour), func(q *format.Point) { q.ID, q.Partial = q.ID.Part(1), &format.Partial{Next: 1} })
	put(time.Now().Add(2*time.Hour), func(q *format.Point) { q.Repository = "another" })
	put(time.Now().Add(3*time.Hour), func(q *format.Point) {
		q.Run = "newer"
		q.ID = ivd.NewPointID(q.Domain, q.Source.ID, q.Disk.ID, time.Now().Add(time.Hour), q.Run)
	})
	put(time.Now().Add(4*time.Hour), func(q *format.Point) { // a storage array copied the disk, its tracking with it
		q.Source.ID = "another-vcenter"
		q.ID = ivd.NewPointID(q.Domain, q.Source.ID, q.Disk.ID, time.Now().Add(time.Hour), q.Run)
	})
	b.Must(os.WriteFile(filepath.Join(b.Folder, "points", filepath.Dir(string(p.ID)), "20990101T000000Z-later.of-a-later-release"), nil, 0o600))
	next := good
	next.Geometry, next.Parent = ivd.Geometry{}, ""
	id, err := s.Backup.ParentOf(t.Context(), next)
	if err != nil || id != good.Point {
		t.Errorf("parent %s, %v, want %s", id, err, good.Point)
	}
	// What was decided before a restart stays so, and is refused when it is gone.
	next.Geometry, next.Parent = good.Geometry, ivd.NewPointID(p.Domain, p.Source.ID, p.Disk.ID, time.Now(), "gone")
	if _, err := s.Backup.ParentOf(t.Context(), next); ivd.KindOf(err) != ivd.Permanent {
		t.Errorf("a parent that is gone: %v", err)
	}
	if !slices.Contains(b.Points(d.Ref.ID()), good.Point) {
		t.Error("a point was touched")
	}
}
