package backup_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ivdmover/coordinator/backup"
	"ivdmover/coordinator/coordtest"
	"ivdmover/coordinator/engine"
	"ivdmover/coordinator/plan"
	"ivdmover/deploy/lab/owner"
	"ivdmover/deploy/lab/script"
	"ivdmover/shared/config"
)

// never is longer than any test.
const never = script.Duration(time.Hour)

// A call about tracking that is never answered costs a disk the time that it has for all
// such calls, once, and no attempt.
func TestTrackingThatHangs(t *testing.T) {
	t.Parallel()
	for call, what := range map[string]string{changeCall: "change id", areasCall: "what changed", flagsCall: "turned on"} {
		t.Run(call, func(t *testing.T) {
			t.Parallel()
			b := coordtest.New(t)
			n := &nights{Bench: b, disk: b.Disk("a", 8), c: b.Coordinator("one")}
			b.Mover("m1")
			if call != flagsCall {
				b.Must(b.Owner.Track(t.Context(), n.disk.Ref, true))
			}
			p := config.DefaultPolicy()
			p.Name, p.CBT = "track", "enable"
			n.c.Backup.Policies = []config.Policy{p}
			b.Serve(n.c)
			night := func() (engine.View, backup.Disk) {
				n.Write(n.disk, 1<<20, 64<<10)
				n.c.Clock.Advance(time.Second)
				v := n.Until(n.c, n.Begin(n.c, backup.Request{Policy: "track"}).ID, coordtest.Ended)
				return v, n.Backup(v.Items[0])
			}
			if call != flagsCall {
				night()
			}
			n.c.Backup.SetTrackingTime(2 * time.Second)
			n.answer(script.Answer{Call: call, Delay: never})
			v, d := night()
			if v.State != engine.Done || v.Items[0].Retries != 0 || d.Mode != plan.Allocated {
				t.Fatalf("%s after %d retries, mode %q: %+v", v.State, v.Items[0].Retries, d.Mode, v.Items[0].Failure)
			}
			point, _, err := n.Repo.ReadPoint(t.Context(), d.Point)
			n.Must(err)
			for _, text := range []string{what, "not answered within 2s"} {
				if !strings.Contains(point.Tracking.Why, text) {
					t.Errorf("the point says %q, and not %q", point.Tracking.Why, text)
				}
			}
			if d.Asked < time.Second*19/10 || d.Asked > time.Minute {
				t.Errorf("%s went by with calls about tracking", d.Asked)
			}
			n.NothingLeft(n.disk)
		})
	}
}

// Whose calls about tracking hang is not asked for each disk of an estate: for some
// minutes its disks are backed up without, then one of them asks.
func TestEstateWhoseTrackingHangs(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	n := &nights{Bench: b, c: b.Coordinator("one")}
	b.Mover("m1")
	disks := make([]owner.Disk, 6)
	for i := range disks {
		disks[i] = b.Disk(fmt.Sprintf("disk-%d", i), 2)
		b.Must(b.Owner.Track(t.Context(), disks[i].Ref, true))
	}
	var asked, ahead atomic.Int64
	b.Wire.Intercept(func(m, _ string) error {
		if m == changeCall {
			asked.Add(1)
		}
		return nil
	})
	n.c.Backup.SetTrackingTime(2 * time.Second)
	n.c.Backup.SetNow(func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) })
	b.Serve(n.c)
	night := func(what string, least, most int64, note string) {
		t.Helper()
		asked.Store(0)
		n.c.Clock.Advance(time.Second)
		v := n.Until(n.c, n.Begin(n.c, backup.Request{All: true}).ID, coordtest.Ended)
		if v.State != engine.Done {
			t.Fatalf("%s: %s: %+v", what, v.State, v.Items)
		}
		if got := asked.Load(); got < least || got > most {
			t.Errorf("%s: %d calls about tracking, want %d to %d", what, got, least, most)
		}
		noted := int64(0)
		for _, it := range v.Items {
			if d := n.Backup(it); strings.Contains(d.Note, note) {
				noted++
			}
		}
		if noted != int64(len(disks))-asked.Load() {
			t.Errorf("%s: %d of %d disks say %q, %d have asked", what, noted, len(disks), note, asked.Load())
		}
	}
	const passedOver = "are made again at"
	n.answer(script.Answer{Call: changeCall, Delay: never})
	night("the first", 3, 4, passedOver) // as many as are under way at once
	night("soon after", 0, 0, passedOver)
	ahead.Add(int64(6 * time.Minute))
	night("later", 1, 1, passedOver)
	n.answer()
	night("when it would answer, and nobody knows", 0, 0, passedOver)
	ahead.Add(int64(6 * time.Minute))
	night("when one asks and has an answer", 1, 6, passedOver)
	night("when it is known to answer", 6, 6, passedOver)
}
