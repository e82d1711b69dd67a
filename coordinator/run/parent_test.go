package run

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ivdmover/coordinator/plan"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

// What a backup builds on, and how it finds out what to read, over the life of one
// disk. Each step begins where the one before it ended.
func TestWhatABackupBuildsOn(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	d := b.disk("a", 8)
	m := b.mover("m1")
	s, clock := b.service("one"), &skipped{}
	s.now = clock.now
	b.serve(s)
	b.must(b.owner.Track(t.Context(), d.Ref, true))
	step := func(what string, q BackupRequest, mode plan.Mode, parent ivd.PointID, note string) ivd.PointID {
		t.Helper()
		clock.advance(time.Second) // points are named by the second
		q.All = true
		v := b.until(s, b.backup(s, q).ID, ended)
		got := v.Disks[0]
		if v.State != Done || got.Mode != mode || got.Parent != parent || !strings.Contains(got.Note, note) {
			t.Errorf("%s: %s, mode %q, parent %q, note %q, %+v", what, v.State, got.Mode, got.Parent, got.Note, got.Failure)
		}
		return got.Point
	}
	first := step("first", BackupRequest{}, plan.InUse, "", "first")
	second := step("second", BackupRequest{}, plan.Changed, first, "")
	if j := last(m.began()); j.Backup.Parent == nil || j.Backup.Parent.Point != first || len(j.Backup.Parent.Pages) != 1 {
		t.Errorf("the job's parent is %+v", j.Backup.Parent)
	}
	full := step("full", BackupRequest{Full: true}, plan.InUse, second, "asked for")

	damaged := filepath.Join(b.folder, "points", string(full))
	b.must(os.WriteFile(damaged, []byte("damaged"), 0o600))
	third := step("the newest is damaged", BackupRequest{}, plan.Changed, second, "")

	b.must(b.owner.Extend(t.Context(), d.Ref, 9))
	grown := step("grown", BackupRequest{}, plan.Changed, third, "")
	if j := last(m.began()); j.Geometry.Capacity != 9<<20 || j.Backup.Parent.Geometry.Capacity != 8<<20 {
		t.Errorf("the job's disk has %d bytes, its parent %d", j.Geometry.Capacity, j.Backup.Parent.Geometry.Capacity)
	}
	b.must(b.owner.Track(t.Context(), d.Ref, false))
	off := step("tracking is off", BackupRequest{}, plan.Allocated, grown, "off")
	b.must(b.owner.Track(t.Context(), d.Ref, true))
	on := step("tracking is on again", BackupRequest{}, plan.InUse, off, "off at the parent's")
	b.must(b.owner.Track(t.Context(), d.Ref, false))
	b.must(b.owner.Track(t.Context(), d.Ref, true))
	step("tracking was reset", BackupRequest{}, plan.InUse, on, "reset")
	b.nothingLeft(d)
}

func last[T any](list []T) T { return list[len(list)-1] }

// A point that is void, condemned or of a newer program is passed over.
func TestPointsThatCannotBeBuiltOn(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	d := b.disk("a", 8)
	b.mover("m1")
	s, _ := b.serving("one")
	good := b.until(s, b.backup(s, BackupRequest{All: true}).ID, ended).Disks[0]
	p, _, err := b.repo.ReadPoint(t.Context(), good.Point)
	b.must(err)
	put := func(at time.Time, change func(*format.Point)) {
		q := p
		q.ID = ivd.NewPointID(d.Ref.ID(), at, "made")
		change(&q)
		body, err := q.Encode()
		b.must(err)
		b.must(os.WriteFile(filepath.Join(b.folder, "points", string(q.ID)), body, 0o600))
	}
	put(time.Now().Add(time.Hour), func(q *format.Point) { q.LeaseDeadline = time.Now().Add(-time.Hour) })
	put(time.Now().Add(2*time.Hour), func(q *format.Point) { q.Repository = "another" })
	task := backingUp{&task{s: s, log: s.Log, rec: good.Disk}}
	task.rec.Geometry, task.rec.Parent = ivd.Geometry{}, ""
	got, err := task.parent(t.Context())
	if err != nil || got == nil || got.ID != good.Point {
		t.Errorf("parent %+v, %v, want %s", got, err, good.Point)
	}
	// What was decided before a restart stays so, and is refused when it is gone.
	task.rec.Geometry, task.rec.Parent = good.Geometry, ivd.NewPointID(d.Ref.ID(), time.Now(), "gone")
	if _, err := task.parent(t.Context()); ivd.KindOf(err) != ivd.Permanent {
		t.Errorf("a parent that is gone: %v", err)
	}
	if !slices.Contains(b.points(d.Ref.ID()), good.Point) {
		t.Error("a point was touched")
	}
}
