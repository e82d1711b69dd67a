package e2e

import (
	"fmt"
	"testing"
	"time"

	"ivdmover/deploy/lab/owner"
	"ivdmover/deploy/stage"
)

// The coordinator is killed with SIGKILL after each of its vSphere calls in turn,
// of a backup and of a restore, and started again. Every run that was begun comes
// to its end, every point it acknowledges is identical, and nothing stays behind.
// Most of the time is waiting, so the calls are shared out.
func TestCoordinatorKilledAfterEachCall(t *testing.T) {
	t.Parallel()
	const shares = 3
	for share := 1; share <= shares; share++ {
		t.Run(fmt.Sprintf("backup-%d", share), func(t *testing.T) {
			t.Parallel()
			k := newKiller(t)
			k.proxy.arm(0, 0)
			backup(t, k.Stage, k.coordinator)
			calls := k.proxy.counted()
			t.Logf("a backup makes %d vSphere calls", calls)
			for n := share; n <= calls; n += shares {
				k.backup(t, n)
			}
			if len(k.points) == 0 {
				t.Fatal("no backup came to a point")
			}
			for i, a := range k.points {
				restoreAndCompare(t, k.Stage, k.coordinator, a.point, fmt.Sprintf("back-%d", i), a.want)
			}
		})
		t.Run(fmt.Sprintf("restore-%d", share), func(t *testing.T) {
			t.Parallel()
			k := newKiller(t)
			want, err := k.Flat(k.disk)
			must(t, err)
			k.proxy.arm(0, 0)
			restoreAndCompare(t, k.Stage, k.coordinator, k.first, "plain", want)
			calls := k.proxy.counted()
			t.Logf("a restore makes %d vSphere calls", calls)
			for n := share; n <= calls; n += shares {
				k.restore(t, n, k.first)
			}
		})
	}
}

// newKiller is a stage with a coordinator behind a proxy, and a first backup.
func newKiller(t *testing.T) *killer {
	t.Helper()
	ctx := t.Context()
	s := newStage(t)
	disk, err := s.Owner.Create(ctx, "datastore1", "watched", 24)
	must(t, err)
	must(t, s.GuestWrites(ctx, disk, 0, 9<<20, 1))
	must(t, s.Owner.Attach(ctx, disk.Ref, 0))
	p := newProxy(t, s.Lab.URL)
	s.Lab.URL, s.Lab.Thumbprint = p.url, p.thumbprint
	coordinator, _ := serve(t, s, "m1")
	k := &killer{Stage: s, proxy: p, disk: disk, coordinator: coordinator}
	k.first = backup(t, s, coordinator).Disk("watched").Point
	return k
}

type killer struct {
	*stage.Stage
	proxy       *proxy
	disk        owner.Disk
	coordinator *stage.Process
	first       string // the first backup's point
	points      []acknowledged
}

// backup kills the coordinator after the n-th call of a backup.
func (k *killer) backup(t *testing.T, n int) {
	t.Helper()
	must(t, k.GuestWrites(t.Context(), k.disk, int64(n%20)<<20, 1<<20, 100+n))
	flat, err := k.Flat(k.disk)
	must(t, err)
	want := k.Path(fmt.Sprintf("want-%d", n))
	must(t, stage.Copy(t.Context(), flat, want))

	for _, r := range k.struck(t, n, func() (string, error) { return k.Backup(t.Context()) }) {
		if d := r.Disk("watched"); d.Result == "done" {
			k.points = append(k.points, acknowledged{d.Point, want})
		} else {
			t.Errorf("killed after call %d: the disk is %s: %+v", n, d.Result, d.Failure)
		}
	}
}

// restore kills the coordinator after the n-th call of a restore.
func (k *killer) restore(t *testing.T, n int, point string) {
	t.Helper()
	before, err := k.Owner.Disks(t.Context())
	must(t, err)
	name := fmt.Sprintf("killed-%d", n)
	runs := k.struck(t, n, func() (string, error) { return k.Restore(t.Context(), point, name) })
	after, err := k.Owner.Disks(t.Context())
	must(t, err)
	if len(after) != len(before)+len(runs) {
		t.Errorf("killed after call %d: %d disks before, %d after %d restores", n, len(before), len(after), len(runs))
	}
	if _, err := k.ByName(t.Context(), name); len(runs) > 0 && err != nil {
		t.Errorf("killed after call %d: %v", n, err)
	}
}

// struck begins something, has the coordinator killed after the n-th call, starts it
// again, and waits until every run has ended and nothing is left. It returns the
// runs that were begun.
func (k *killer) struck(t *testing.T, n int, begin func() (string, error)) []stage.Run {
	t.Helper()
	ctx := t.Context()
	known := map[string]bool{}
	for _, r := range k.runs(t) {
		known[r.ID] = true
	}
	k.proxy.arm(k.coordinator.PID(), n)
	id, beginErr := begin() // fails when the kill comes before the run is stored, or its answer sent
	if beginErr == nil {
		// The number of calls varies by what is asked while tasks run: this time the
		// run may be over before its n-th.
		_, _ = k.Ended(ctx, k.coordinator, id, limit)
	}
	killed := k.proxy.counted() >= n
	k.proxy.arm(0, 0)
	switch {
	case killed:
		_ = k.coordinator.Wait()
		var err error
		if k.coordinator, err = k.StartCoordinator(ctx); err != nil {
			t.Fatal(err)
		}
	case beginErr != nil:
		t.Fatalf("killed after call %d: %v, and nobody was killed", n, beginErr)
	}
	var begun []stage.Run
	for _, r := range k.runs(t) {
		if known[r.ID] {
			continue
		}
		r, err := k.Ended(ctx, k.coordinator, r.ID, limit)
		if err != nil {
			t.Fatalf("killed after call %d: %v", n, err)
		}
		begun = append(begun, r)
	}
	if beginErr == nil && len(begun) == 0 {
		t.Fatalf("killed after call %d: a run that was acknowledged is gone", n)
	}
	var left []string
	var err error
	err = k.coordinator.Await(ctx, "nothing is left", time.Minute, func() bool {
		left, err = k.Leftovers(ctx)
		return err == nil && len(left) == 0
	})
	if err != nil {
		t.Fatalf("killed after call %d: %v; left: %v", n, err, left)
	}
	return begun
}

func (k *killer) runs(t *testing.T) []stage.Run {
	t.Helper()
	var runs []stage.Run
	must(t, k.Quietly(t.Context(), &runs, "runs"))
	return runs
}
