package e2e

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"ivdmover/coordinator/broker"
	"ivdmover/deploy/lab"
)

// What a backup of a whole estate of small disks costs for one disk of it: there is
// little to read, so that it is what the programs do around a disk. It must not grow
// with the number of the others.

// cost is that of one disk.
type cost struct {
	calls    float64 // of the vCenter's API
	messages float64 // that the queue's server receives and sends
	bytes    float64 // of these
	requests float64 // of the S3 server
	time     time.Duration
}

// sum is what everything has cost until now.
type sum struct {
	calls, requests int
	queue           broker.Traffic
	at              time.Time
}

// perDisk is what one of n disks has cost between two sums.
func perDisk(before, after sum, n int) cost {
	one := func(a, b int64) float64 { return float64(b-a) / float64(n) }
	return cost{
		calls:    one(int64(before.calls), int64(after.calls)),
		messages: one(before.queue.Messages, after.queue.Messages),
		bytes:    one(before.queue.Bytes, after.queue.Bytes),
		requests: one(int64(before.requests), int64(after.requests)),
		time:     after.at.Sub(before.at) / time.Duration(n),
	}
}

// costOf backs up n disks of 1 MiB with 64 KiB of content each: the first backup of
// all, and then an increment of which nothing has changed, so many disks at once.
func costOf(t testing.TB, n, handles int) (first, second cost) {
	t.Helper()
	ctx := t.Context()
	s := newStage(t)
	var making errgroup.Group
	making.SetLimit(4)
	for i := range n {
		making.Go(func() error {
			d, err := s.Owner.Create(ctx, fmt.Sprintf("datastore%d", i%2+1), fmt.Sprintf("disk-%04d", i), 1)
			if err == nil {
				_, err = lab.Write(ctx, s.Path("lab"), d.Ref.ID(), 0, lab.Random(uint64(i), 64<<10))
			}
			return err
		})
	}
	must(t, making.Wait())

	vcenter := newProxy(t, s.Lab.URL)
	s.Lab.URL, s.Lab.Thumbprint = vcenter.url, vcenter.thumbprint
	dir := t.TempDir()
	socket := filepath.Join(dir, "socket")
	server, err := broker.Start(ctx, broker.Options{Dir: filepath.Join(dir, "queue"), Socket: socket, Creds: dir})
	must(t, err)
	t.Cleanup(server.Close)
	_, err = s.StartS3(ctx)
	must(t, err)
	store, requests := countRequests(t, s.Config.Endpoint)
	s.Config.Endpoint = store
	s.Config.Queue = fmt.Sprintf("url: unix://%s, creds_file: %s", socket, filepath.Join(dir, "coordinator.creds"))
	s.Config.Handles, s.Config.Memory = handles, "2GiB" // which small disks never use
	coordinator, _ := serve(t, s, "m1")

	now := func() sum {
		traffic, err := server.Traffic()
		must(t, err)
		return sum{calls: vcenter.counted(), requests: int(requests().All()), queue: traffic, at: time.Now()}
	}
	run := func() cost {
		before := now()
		id, err := s.Backup(ctx)
		must(t, err)
		must(t, s.Followed(ctx, id)) // which costs the coordinator what has changed
		r, err := s.Ended(ctx, coordinator, id, limit)
		must(t, err)
		if len(r.Disks) < n { // the laboratory has disks of its own
			t.Fatalf("the run has %d disks, want %d", len(r.Disks), n)
		}
		c := perDisk(before, now(), len(r.Disks))
		t.Logf("%d disks: %+v for each", len(r.Disks), c)
		return c
	}
	return run(), run()
}

// Ten times as many disks cost ten times as much at the most: calls of the vCenter,
// messages and requests are counted, of a first backup and of an increment. A mover
// tells of its progress each second, of as many disks as it has handles: fewer than
// there are disks in either case.
func TestCostOfADiskDoesNotGrowWithTheEstate(t *testing.T) {
	t.Parallel()
	const handles = 4
	few, fewAgain := costOf(t, 5, handles)
	many, manyAgain := costOf(t, 50, handles)
	for _, c := range []struct {
		what      string
		few, many float64
	}{
		{"calls of a first backup", few.calls, many.calls},
		{"calls of an increment", fewAgain.calls, manyAgain.calls},
		{"messages of a first backup", few.messages, many.messages},
		{"messages of an increment", fewAgain.messages, manyAgain.messages},
		{"requests of a first backup", few.requests, many.requests},
		{"requests of an increment", fewAgain.requests, manyAgain.requests},
	} {
		t.Logf("%s: %.1f for each disk of 5, %.1f for each of 50", c.what, c.few, c.many)
		if c.many > c.few*1.25 { // one more for each of the others were 45 more
			t.Errorf("%s: %.1f for each disk of 50, and %.1f for each of 5", c.what, c.many, c.few)
		}
	}
}

// sizes are the numbers of disks of BenchmarkBackupOfAnEstate: IVD_ESTATE_SIZES says others.
func sizes(b *testing.B) (list []int) {
	for _, text := range strings.Split(cmp.Or(os.Getenv("IVD_ESTATE_SIZES"), "200,2000"), ",") {
		n, err := strconv.Atoi(text)
		must(b, err)
		list = append(list, n)
	}
	return list
}

// BenchmarkBackupOfAnEstate prints what one disk of 200 and one of 2,000 cost. The two
// are to be alike.
func BenchmarkBackupOfAnEstate(b *testing.B) {
	for _, n := range sizes(b) {
		b.Run(fmt.Sprintf("%d-disks", n), func(b *testing.B) {
			for range b.N {
				first, second := costOf(b, n, 16)
				for _, c := range []struct {
					of string
					cost
				}{{"first", first}, {"again", second}} {
					b.ReportMetric(c.calls, c.of+"-calls/disk")
					b.ReportMetric(c.messages, c.of+"-messages/disk")
					b.ReportMetric(c.bytes, c.of+"-queue-B/disk")
					b.ReportMetric(c.requests, c.of+"-requests/disk")
					b.ReportMetric(float64(c.time.Milliseconds()), c.of+"-ms/disk")
				}
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}
