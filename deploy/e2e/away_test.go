package e2e

import (
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"ivdmover/coordinator/api"
	"ivdmover/deploy/stage"
)

// road leads to an address, and can be closed and opened.
type road struct {
	t        *testing.T
	from, to string

	mu    sync.Mutex
	stop  context.CancelFunc // guarded by mu; nil while it is closed
	group sync.WaitGroup
}

// roadTo is a closed road to where a URL points; the URL leads over it then.
func roadTo(t *testing.T, address *string) *road {
	t.Helper()
	u, err := url.Parse(*address)
	must(t, err)
	r := &road{t: t, to: u.Host}
	r.from, err = stage.FreePort()
	must(t, err)
	u.Host = r.from
	*address = u.String()
	t.Cleanup(r.close)
	return r
}

func (r *road) open() {
	r.t.Helper()
	l, err := net.Listen("tcp", r.from)
	must(r.t, err)
	ctx, stop := context.WithCancel(context.Background())
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stop = stop
	context.AfterFunc(ctx, func() { _ = l.Close() })
	r.group.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			r.group.Go(func() { r.carry(ctx, c) })
		}
	})
}

func (r *road) carry(ctx context.Context, c net.Conn) {
	defer c.Close()
	d, err := net.Dial("tcp", r.to)
	if err != nil {
		return
	}
	defer d.Close()
	defer context.AfterFunc(ctx, func() { _, _ = c.Close(), d.Close() })()
	var both sync.WaitGroup
	for _, way := range [2][2]net.Conn{{c, d}, {d, c}} {
		both.Go(func() {
			_, _ = io.Copy(way[0], way[1])
			_, _ = c.Close(), d.Close()
		})
	}
	both.Wait()
}

// close ends all connections, too.
func (r *road) close() {
	r.mu.Lock()
	stop := r.stop
	r.stop = nil
	r.mu.Unlock()
	if stop != nil {
		stop()
		r.group.Wait()
	}
}

// partly runs a command that ends with exit code 3 and says a text.
func partly(t *testing.T, s *stage.Stage, says string, args ...string) {
	t.Helper()
	out, errs, err := s.Command(t.Context(), args...)
	exit := (*exec.ExitError)(nil)
	if !errors.As(err, &exit) || exit.ExitCode() != 3 || !strings.Contains(out+errs, says) {
		t.Errorf("ivd %v: %v, without %q: %s%s", args, err, says, out, errs)
	}
}

// Of two vCenters one is away when the coordinator starts. The other's disks are backed
// up, and it is named; when it is there its disks are backed up too, without a restart. A
// run over both whose coordinator is started again while one is away waits for that one.
func TestCoordinatorStartsWithoutOneVCenter(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	west, east := newStage(t), newStage(t)
	filled(t, west, "disk-west", 16, 8)
	filled(t, east, "disk-east", 16, 8)
	road := roadTo(t, &east.Lab.URL)
	must(t, west.WriteConfig())
	addVCenter(t, west, east, "east")
	const away = "vCenter east is not reached"

	coordinator, movers := serveAs(t, west, "m1")
	partly(t, west, away, "disks")
	partly(t, west, away, "snapshots")
	partly(t, west, away, "backup", "--all", "--wait")
	var points []api.Point
	must(t, west.Ask(ctx, &points, "points"))
	if len(points) != 1 || points[0].Name != "disk-west" {
		t.Fatalf("points %+v", points)
	}

	road.open()
	must(t, coordinator.Await(ctx, "both are there", limit, func() bool {
		var disks []api.Disk
		return west.Quietly(ctx, &disks, "disks") == nil && len(disks) == 2
	}))
	r := backup(t, west, coordinator)
	if len(r.Disks) != 2 || r.Disk("disk-east").VCenter != "east" {
		t.Fatalf("%+v", r)
	}
	road.close() // it is missed as one that never was there
	partly(t, west, "vCenter east: ", "disks")
	partly(t, west, "vCenter east: ", "snapshots")
	partly(t, west, "vCenter east: ", "backup", "--all", "--wait")
	road.open()

	must(t, movers[0].Stop()) // so that the run is in its middle for as long as it takes
	id, err := west.Backup(ctx)
	must(t, err)
	coordinator.Kill()
	_ = coordinator.Wait()
	road.close()
	coordinator, err = west.StartCoordinator(ctx)
	must(t, err)
	_, err = west.StartMover("m1")
	must(t, err)
	must(t, coordinator.Await(ctx, "the one is done, and the other waits", limit, func() bool {
		var now stage.Run
		out, _, _ := west.Command(ctx, "run", "show", id)
		return west.Quietly(ctx, &now, "run", "show", id) == nil && now.Disk("disk-west").Result == "done" && now.State == "running" && strings.Contains(out, away)
	}))
	road.open()
	r, err = west.Ended(ctx, coordinator, id, limit)
	must(t, err)
	if d := r.Disk("disk-east"); d.Result != "done" || d.VCenter != "east" {
		t.Errorf("%+v", r)
	}
	accessEnded(t, west, west.Lab, coordinator)
	accessEnded(t, east, east.Lab, coordinator)
}
