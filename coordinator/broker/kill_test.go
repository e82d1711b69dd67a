package broker_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"ivdmover/coordinator/broker"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/queue"
)

// serveDir makes this test binary a server on a folder, to be killed.
const serveDir = "IVD_TEST_SERVE_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(serveDir); dir != "" {
		s, err := broker.Start(context.Background(), broker.Options{Dir: dir, Listen: "127.0.0.1:0"})
		if err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		fmt.Println(s.ClientURL())
		select {} // until it is killed
	}
	goleak.VerifyTestMain(m)
}

// serve runs a server in a process of its own.
func serve(t *testing.T, dir string) (url string, kill func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), serveDir+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	var once sync.Once
	kill = func() {
		once.Do(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		})
	}
	t.Cleanup(kill)
	url, err = bufio.NewReader(out).ReadString('\n')
	must(t, err)
	return strings.TrimSpace(url), kill
}

func TestKilledServerLosesNothingAcknowledged(t *testing.T) {
	dir := t.TempDir()
	acknowledged := &sync.Map{} // key to value
	for round := range 3 {
		url, kill := serve(t, dir)
		writeUntilKilled(t, dir, url, kill, round, acknowledged)
	}
	refusedWhile(t, dir)

	s := start(t, broker.Options{Dir: dir})
	q := connect(t, queue.Options{InProcess: s})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	keys, jobs := 0, map[ivd.JobID]bool{}
	acknowledged.Range(func(key, value any) bool {
		switch k := key.(type) {
		case string:
			n, _, err := queue.Get[int](ctx, q.State(), k)
			must(t, err)
			if n < value.(int) {
				t.Fatalf("%s is %d, and %d was acknowledged", k, n, value)
			}
			keys++
		case ivd.JobID:
			jobs[k] = true
		}
		return true
	})
	if keys < 3*writers || len(jobs) < 3*writers {
		t.Fatalf("only %d keys and %d jobs were acknowledged: the test tests nothing", keys, len(jobs))
	}
	for len(jobs) > 0 {
		got, err := q.Jobs(job.Backup).Fetch(ctx, 100)
		if err != nil {
			t.Fatalf("%d acknowledged jobs are lost: %v", len(jobs), err)
		}
		for _, d := range got {
			delete(jobs, d.Job.ID)
			must(t, d.Ack(ctx))
		}
	}
}

// refusedWhile: a second process cannot have the folder.
func refusedWhile(t *testing.T, dir string) {
	t.Helper()
	_, kill := serve(t, dir)
	defer kill()
	refused(t, broker.Options{Dir: dir}, ivd.Locked, "another `ivd serve`")
}

const writers = 4

// writeUntilKilled keeps writers busy, each with a key that counts up and a job
// for each count, kills the server in the middle of that, and notes what it had
// acknowledged.
func writeUntilKilled(t *testing.T, dir, url string, kill func(), round int, acknowledged *sync.Map) {
	t.Helper()
	q, err := queue.Connect(t.Context(), queue.Options{URL: url, CredsFile: filepath.Join(dir, "coordinator.creds"), Patience: time.Millisecond})
	must(t, err)
	defer q.Close()
	must(t, q.Setup(t.Context()))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var acks atomic.Int64
	enough := make(chan struct{})
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			key := fmt.Sprintf("count.%d.%d", round, w)
			for n := 1; ; n++ {
				if _, err := q.State().Put(ctx, key, n); err != nil {
					return
				}
				acknowledged.Store(key, n)
				j := testJob(ivd.JobID(fmt.Sprintf("%d-%d-%d", round, w, n)))
				if err := q.Publish(ctx, j); err != nil {
					return
				}
				acknowledged.Store(j.ID, n)
				if acks.Add(1) == int64(40*(round+1)) {
					close(enough)
				}
			}
		})
	}
	select {
	case <-enough:
	case <-time.After(time.Minute):
		t.Error(errors.New("the writers are too slow"))
	}
	kill()
	all.Wait()
}

func testJob(id ivd.JobID) job.Job {
	return job.Job{
		Version: job.Version, Kind: job.Backup, Class: job.AnyClass, ID: id, Run: "run",
		Disk: job.IVD(ivd.NewDiskRef("lab", "datastore-1", "11111111-2222-3333-4444-555555555555")),
	}
}
