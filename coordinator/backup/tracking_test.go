package backup_test

import (
	"context"
	"errors"
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
	"ivdmover/shared/job"
)

const (
	changeCall = "RetrieveSnapshotDetails"
	areasCall  = "VstorageObjectVCenterQueryChangedDiskAreas"
	flagsCall  = "SetVStorageObjectControlFlags"
)

// nights are backups of one disk, one a night.
type nights struct {
	*coordtest.Bench
	c    *coordtest.Coordinator
	disk owner.Disk
}

// tracked is a disk of 8 MiB with tracking, and its first backup.
func tracked(t *testing.T) *nights {
	b := coordtest.New(t)
	n := &nights{Bench: b, disk: b.Disk("a", 8), c: b.Coordinator("one")}
	b.Mover("m1")
	b.Must(b.Owner.Track(t.Context(), n.disk.Ref, true))
	b.Serve(n.c)
	n.night("the first", plan.InUse, "first backup")
	return n
}

// night writes to the disk and backs it up, which must be done at the first attempt,
// and by the mode and with the reason given.
func (n *nights) night(what string, mode plan.Mode, notes ...string) backup.Disk {
	n.Helper()
	n.Write(n.disk, 1<<20, 64<<10)
	n.c.Clock.Advance(time.Second)
	v := n.Until(n.c, n.Begin(n.c, backup.Request{All: true}).ID, coordtest.Ended)
	it := v.Items[0]
	d := n.Backup(it)
	if v.State != engine.Done || it.Retries != 0 {
		n.Fatalf("%s: %s after %d retries (%s): %+v", what, v.State, it.Retries, it.Retried, it.Failure)
	}
	p, _, err := n.Repo.ReadPoint(n.Context(), d.Point)
	n.Must(err)
	if d.Mode != mode || string(p.Tracking.Mode) != string(mode) {
		n.Errorf("%s: mode %q, want %q: %s", what, d.Mode, mode, p.Tracking.Why)
	}
	for _, note := range notes {
		if !strings.Contains(p.Tracking.Why, note) {
			n.Errorf("%s: the point says %q, and not %q", what, p.Tracking.Why, note)
		}
	}
	n.NothingLeft(n.disk)
	return d
}

// answer has the laboratory's vCenter answer as told.
func (n *nights) answer(rules ...script.Answer) {
	n.Helper()
	n.Must(script.WriteAnswers(n.LabDir, rules...))
}

func change(id string) script.Answer { return script.Answer{Call: changeCall, ChangeID: &id} }

func changed(length int64, areas ...[2]int64) script.Answer {
	return script.Answer{Call: areasCall, Areas: &script.Areas{Length: length, Areas: areas}}
}

// No failure of a call about tracking costs more than a read of what is allocated, and
// the night after is as any other.
func TestTrackingThatFails(t *testing.T) {
	t.Parallel()
	for fault, text := range map[string]string{
		"SystemError": "SystemError", "NoPermission": "no permission", "NotFound": "NotFound", "InvalidState": "InvalidState", "TaskInProgress": "TaskInProgress",
		"FileFault": "FileFault", "InvalidDatastore": "InvalidDatastore", "RuntimeFault": "RuntimeFault", // a fault that says nothing
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			n := tracked(t)
			n.answer(script.Answer{Call: changeCall, Fault: fault})
			n.night("no change id", plan.Allocated, "change id", text)
			n.answer()
			n.night("the night after", plan.InUse, "the parent has no change id")
			n.night("and the next", plan.Changed)
			n.answer(script.Answer{Call: areasCall, Fault: fault})
			n.night("no areas", plan.Allocated, "changed", text)
			n.answer()
			n.night("the night after", plan.Changed)
		})
	}
}

// Where only one of the two questions for areas has no answer the other's counts.
func TestOneQuestionForAreasFails(t *testing.T) {
	t.Parallel()
	n := tracked(t)
	d := n.night("as it should be", plan.Changed)
	n.answer(script.Answer{Call: areasCall, Since: string(d.ChangeID), Fault: "InvalidArgument"})
	n.night("none since the parent", plan.InUse, "InvalidArgument")
	n.answer(script.Answer{Call: areasCall, Since: "*", Fault: "NotSupported"})
	n.night("none in use", plan.Changed)
}

// A change id that says nothing is none.
func TestChangeIDsThatSayNothing(t *testing.T) {
	t.Parallel()
	n := tracked(t)
	real := n.night("as it should be", plan.Changed).ChangeID
	for what, c := range map[string]struct {
		id, note string
		mode     plan.Mode
	}{
		"missing":       {"", "off", plan.Allocated},
		"no number":     {"garbage", "change id", plan.Allocated},
		"no series":     {"/7", "change id", plan.Allocated},
		"everything":    {"*", "change id", plan.Allocated},
		"letters":       {real.Series() + "/seven", "change id", plan.Allocated},
		"negative":      {real.Series() + "/-7", "change id", plan.Allocated},
		"huge":          {strings.Repeat("x", 1<<20) + "/7", "change id", plan.Allocated},
		"two lines":     {"a\nb/7", "change id", plan.Allocated},
		"not grown":     {real.Series() + "/1", "not grown", plan.InUse},
		"foreign":       {"52 de c0 d9 b9 43 9d 10-61 d5 4c 1b e9 7b 65 63/81", "reset", plan.InUse},
		"beyond 64 bit": {real.Series() + "/99999999999999999999", "change id", plan.Allocated},
	} {
		n.answer(change(c.id))
		d := n.night(what, c.mode, c.note)
		if len(d.ChangeID) > 200 || len(d.Note) > 1000 {
			t.Errorf("%s: %d bytes of change id and %d of a note are kept", what, len(d.ChangeID), len(d.Note))
		}
		n.answer()
		n.night("the night after "+what, plan.InUse)
		n.night("and the next", plan.Changed)
	}
}

// Wrong areas cost no more than a read of what is allocated; what is only untidy is
// taken as it is.
func TestAreasThatAreWrong(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	n := tracked(t)
	start := int64(4 * mib)
	for what, c := range map[string]struct {
		mode  plan.Mode
		rules []script.Answer
	}{
		"overlapping":            {plan.Changed, []script.Answer{changed(8*mib, [2]int64{mib, mib / 2}, [2]int64{mib, mib / 4}, [2]int64{mib + 1, 9})}},
		"unsorted":               {plan.Changed, []script.Answer{changed(8*mib, [2]int64{5 * mib, 9}, [2]int64{mib, 65536})}},
		"empty ones":             {plan.Changed, []script.Answer{changed(8*mib, [2]int64{mib, 65536}, [2]int64{7, 0})}},
		"over the end":           {plan.Changed, []script.Answer{changed(8*mib, [2]int64{mib, 65536}, [2]int64{8*mib - 9, mib})}},
		"more than was asked":    {plan.Changed, []script.Answer{changed(1<<62, [2]int64{mib, 65536})}},
		"beyond the end":         {plan.Allocated, []script.Answer{changed(8*mib, [2]int64{9 * mib, mib})}},
		"negative offset":        {plan.Allocated, []script.Answer{changed(8*mib, [2]int64{-mib, 2 * mib})}},
		"negative length":        {plan.Allocated, []script.Answer{changed(8*mib, [2]int64{mib, -1})}},
		"more than there can be": {plan.Allocated, []script.Answer{changed(8*mib, [2]int64{mib, 1<<63 - 1})}},
		"nothing covered":        {plan.Allocated, []script.Answer{changed(0)}},
		"negative cover":         {plan.Allocated, []script.Answer{changed(-5)}},
		"a gap":                  {plan.Allocated, []script.Answer{{Call: areasCall, Areas: &script.Areas{Start: &start, Length: 4 * mib}}}},
		"endless pages":          {plan.Allocated, []script.Answer{changed(512)}},
		"a page that fails": {plan.Allocated, []script.Answer{
			{Call: areasCall, From: 1, Fault: "InvalidArgument"}, changed(2*mib, [2]int64{mib, 65536}),
		}},
		"one over everything": {plan.Allocated, []script.Answer{changed(8*mib, [2]int64{0, 8 * mib})}},
		"everything in many":  {plan.Allocated, []script.Answer{changed(8*mib, [2]int64{4 * mib, 4 * mib}, [2]int64{0, 5 * mib})}},
		"more than is in use": {plan.InUse, []script.Answer{
			{Call: areasCall, Since: "*", Areas: &script.Areas{Length: 8 * mib, Areas: [][2]int64{{0, 2 * mib}}}}, changed(8*mib, [2]int64{0, 7 * mib}),
		}},
	} {
		n.answer(c.rules...)
		d := n.night(what, c.mode)
		if c.mode != plan.Changed && d.Note == "" {
			t.Errorf("%s: the point does not say why", what)
		}
		n.answer()
		n.night("the night after "+what, plan.Changed)
	}
}

// That nothing is in use is not believed: it would be a disk of zeros.
func TestNothingInUse(t *testing.T) {
	t.Parallel()
	n := tracked(t)
	n.answer(script.Answer{Call: changeCall, Fault: "SystemError"})
	n.night("no change id", plan.Allocated)
	n.answer(changed(8 << 20))
	n.night("an empty answer", plan.Allocated, "nothing is in use")
}

// Tracking that cannot be turned on keeps no disk from being backed up.
func TestTrackingThatCannotBeTurnedOn(t *testing.T) {
	t.Parallel()
	for fault, text := range map[string]string{"SystemError": "SystemError", "NoPermission": "no permission", "InvalidState": "InvalidState"} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			b := coordtest.New(t)
			n := &nights{Bench: b, disk: b.Disk("a", 8), c: b.Coordinator("one")}
			b.Mover("m1")
			p := config.DefaultPolicy()
			p.Name, p.CBT = "track", "enable"
			n.c.Backup.Policies = []config.Policy{p}
			b.Serve(n.c)
			night := func(what string, mode plan.Mode, note string) {
				t.Helper()
				n.c.Clock.Advance(time.Second)
				v := b.Until(n.c, b.Begin(n.c, backup.Request{Policy: "track"}).ID, coordtest.Ended)
				d := b.Backup(v.Items[0])
				if v.State != engine.Done || v.Items[0].Retries != 0 || d.Mode != mode || !strings.Contains(d.Note, note) {
					t.Fatalf("%s: %s, mode %q, %q, %+v", what, v.State, d.Mode, d.Note, v.Items[0].Failure)
				}
			}
			n.answer(script.Answer{Call: flagsCall, Fault: fault})
			night("first", plan.Allocated, text)
			night("second", plan.Allocated, text)
			n.answer()
			night("third", plan.InUse, "off at the parent's backup")
			night("fourth", plan.Changed, "")
		})
	}
}

// What passes is asked again, and costs nothing else. A vCenter that is away altogether
// is waited for: it is not tracking that fails.
func TestTrackingThatFailsForAMoment(t *testing.T) {
	t.Parallel()
	for _, call := range []string{changeCall, areasCall} {
		t.Run(call, func(t *testing.T) {
			t.Parallel()
			n := tracked(t)
			var calls atomic.Int64
			n.Wire.Intercept(func(m, _ string) error {
				if m == call && calls.Add(1) == 1 {
					return errors.New("away")
				}
				return nil
			})
			n.night("once", plan.Changed)
			n.Wire.Intercept(func(m, _ string) error {
				if m == call {
					return errors.New("away")
				}
				return nil
			})
			n.night("for as long as it is asked", plan.Allocated, "503")
			var away, refused atomic.Bool
			n.Wire.Intercept(func(m, _ string) error {
				if m == call && !away.Swap(true) {
					refused.Store(true)
					time.AfterFunc(6*time.Second, func() { refused.Store(false) })
				}
				if refused.Load() {
					return errors.New("the vCenter is away")
				}
				return nil
			})
			n.Write(n.disk, 1<<20, 64<<10)
			n.c.Clock.Advance(time.Second)
			v := n.Until(n.c, n.Begin(n.c, backup.Request{All: true}).ID, coordtest.Ended)
			if d := n.Backup(v.Items[0]); v.State != engine.Done || d.Mode == plan.Allocated {
				t.Errorf("the vCenter was away: %s, mode %q, %q", v.State, d.Mode, d.Note)
			}
		})
	}
}

// A coordinator that takes a disk up in the middle plans what was planned, whatever
// vSphere says of it by then.
func TestTrackingThatFailsAfterARestart(t *testing.T) {
	t.Parallel()
	for what, rule := range map[string]script.Answer{
		"no answer":      {Call: areasCall, Fault: "SystemError"},
		"another answer": changed(8<<20, [2]int64{6 << 20, 1 << 20}),
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			b := coordtest.New(t)
			n := &nights{Bench: b, disk: b.Disk("a", 8), c: b.Coordinator("one")}
			m := b.Mover("m1")
			b.Must(b.Owner.Track(t.Context(), n.disk.Ref, true))
			stop := b.Serve(n.c)
			n.night("the first", plan.InUse)
			n.Write(n.disk, 1<<20, 64<<10)
			hold := make(chan struct{})
			m.Set(func(p *coordtest.Puppet) {
				p.Work = holding(hold)
			})
			n.c.Clock.Advance(time.Second)
			id := b.Begin(n.c, backup.Request{All: true}).ID
			b.Until(n.c, id, func(v engine.View) bool { return coordtest.AtStep(engine.Moving)(v) && len(m.Began()) == 2 })
			stop()
			n.answer(rule)
			next, _ := b.Serving("one")
			b.Until(next, id, coordtest.AtStep(engine.Moving))
			close(hold)
			v := b.Until(next, id, coordtest.Ended)
			if d := b.Backup(v.Items[0]); v.State != engine.Done || d.Mode != plan.Changed || v.Items[0].Retries != 0 || len(m.Began()) != 2 {
				t.Errorf("%s, mode %q, %d retries (%s), %d attempts: %+v", v.State, d.Mode, v.Items[0].Retries, v.Items[0].Retried, len(m.Began()), v.Items[0].Failure)
			}
			if keys := n.keys("plan."); len(keys) != 0 {
				t.Errorf("what is kept of plans: %v", keys)
			}
			n.NothingLeft(n.disk)
		})
	}
}

// keys are those of the state bucket below a prefix.
func (n *nights) keys(prefix string) []string {
	n.Helper()
	keys, err := n.Queue.State().Keys(n.Context(), prefix)
	n.Must(err)
	return keys
}

// holding is a mover's work that lasts until hold is closed.
func holding(hold chan struct{}) func(context.Context, job.Record) error {
	return func(ctx context.Context, _ job.Record) error {
		select {
		case <-hold:
		case <-ctx.Done():
		}
		return nil
	}
}
