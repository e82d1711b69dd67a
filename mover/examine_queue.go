package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/google/uuid"

	"ivdmover/mover/disk"
	"ivdmover/mover/doctor"
	"ivdmover/shared/config"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/pause"
	"ivdmover/shared/queue"
	"ivdmover/shared/sealed"
)

const (
	// doctorBeat is how often a doctor's heartbeat is sent.
	doctorBeat = 3 * time.Second
	// queueWait is how long to wait for a queue that does not answer: a person waits too.
	queueWait = 5 * time.Second
	// deletionWait is how long to wait until the coordinator has deleted the snapshot.
	// The deletion goes on afterwards.
	deletionWait = time.Minute
)

// noCoordinator is the remedy where no coordinator answers.
const noCoordinator = "start `ivd serve` on this queue, or examine without a coordinator, by --server, --user, --password-file, --thumbprint and --datastore"

// examination is one that a coordinator has prepared. A heartbeat tells the
// coordinators that its snapshot is still in use.
type examination struct {
	queue *queue.Queue
	asked job.ExamineRequest
	found job.Examination
	stop  func() // ends the heartbeat
}

// beginExamination asks the coordinators for the disk. The caller must call leave.
func beginExamination(ctx context.Context, c *config.Config, p *doctorFlags) (*examination, error) {
	if err := c.ValidateQueue(); err != nil {
		return nil, usageError{&ivd.Error{Err: err, Remedy: noCoordinator}}
	}
	key, err := sealed.NewKey()
	if err != nil {
		return nil, err
	}
	process := uuid.NewString()
	name := queue.PartName(c.Mover.Name, "doctor-"+process[:8])
	host, err := os.Hostname()
	if err != nil {
		host = c.Mover.Name
	}
	q, err := queue.Connect(ctx, queue.Options{
		URL: c.Queue.URL, CredsFile: c.Queue.CredsFile, CAFile: c.Queue.CAFile,
		Mover: c.Mover.Name, Patience: queueWait,
	})
	if err != nil {
		return nil, noCoordinatorFound(err)
	}
	x := &examination{queue: q, asked: job.ExamineRequest{
		Version: job.Version, Doctor: name, Process: process, Disk: p.disk, Snapshot: ivd.SnapshotID(p.snapshot),
	}}
	machine := disk.ThisMachine(c.Mover.BIOSUUID, c.Mover.LUNs)
	if err := x.startHeartbeat(ctx, job.Mover{
		Version: job.Version, Name: name, Process: process, Host: host, Started: time.Now(), Doctor: true, Draining: true,
		PublicKey: key.Public(), BIOSUUID: machine.BIOSUUID, LUNs: machine.LUNs, Modes: c.Mover.VDDK.Transports,
	}); err != nil {
		q.Close()
		return nil, noCoordinatorFound(err)
	}
	if x.found, err = q.BeginExamination(ctx, x.asked, key); err != nil {
		x.leave()
		if errors.Is(err, queue.ErrNobody) {
			err = noCoordinatorFound(err)
		}
		return nil, err
	}
	x.asked.Disk = string(x.found.Disk.Ref.ID())
	return x, nil
}

// noCoordinatorFound adds the remedy to the error of a queue that does not answer, or
// on which no coordinator does. Any other error has its own remedy.
func noCoordinatorFound(err error) error {
	if k := ivd.KindOf(err); k == ivd.Transient || k == ivd.NotFound {
		return &ivd.Error{Kind: k, Op: "look for a coordinator", Err: err, Remedy: noCoordinator}
	}
	return err
}

// startHeartbeat sends the first heartbeat, and others until leave is called.
func (x *examination) startHeartbeat(ctx context.Context, m job.Mover) error {
	m.Beat = 1
	if err := x.queue.Beat(ctx, m); err != nil {
		return err
	}
	beating, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() {
		for pause.For(beating, doctorBeat) == nil {
			m.Beat++
			_ = x.queue.Beat(beating, m) // the next one follows soon
		}
	})
	x.stop = func() { cancel(); group.Wait() }
	return nil
}

// leave withdraws the heartbeat. The coordinators then delete the snapshot, if it is
// still there.
func (x *examination) leave() {
	x.stop()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	_ = x.queue.Leave(ctx, x.asked.Doctor) // the heartbeat expires by itself
	x.queue.Close()
}

func (x *examination) request(measure int64) childRequest {
	e := x.found
	f := &doctor.Facts{
		Coordinator: e.Coordinator, VCenter: e.VCenter, Name: e.Name, Datastore: e.Datastore,
		Capacity: e.Capacity, AttachedTo: e.AttachedTo, SnapshotMade: e.Made,
	}
	if a := e.Login.Allows; a != nil {
		f.DatastoreType, f.Encrypted, f.Thin, f.ProxyVMs, f.LUNs = a.DatastoreType, a.Encrypted, a.Thin, a.ProxyVMs, a.LUNs
	}
	return childRequest{Disk: e.Disk, Snapshot: e.Snapshot, Login: expose(e.Login), Capacity: e.Capacity, Measure: measure, Facts: f}
}

// end has the coordinator delete the snapshot that it made, and reports the result.
func (x *examination) end(ctx context.Context, r *doctor.Report) {
	if !x.found.Made {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, deletionWait)
	defer cancel()
	c := doctor.Check{Name: "deleting its snapshot", Detail: string(x.found.Snapshot)}
	err := x.queue.EndExamination(ctx, x.asked)
	if c.Good = err == nil; err != nil {
		c.Detail = strings.ReplaceAll(err.Error(), "\n", "; ")
		c.Remedy = "see `ivd snapshots` later: the coordinator goes on trying to delete it"
	}
	r.Checks = append(r.Checks, c)
}

// interruption has contexts that end at the first and at the second signal.
type interruption struct {
	once, twice context.Context
	close       func()
}

func onInterrupts(ctx context.Context) *interruption {
	i := &interruption{}
	var first, second context.CancelFunc
	i.twice, second = context.WithCancel(ctx)
	i.once, first = context.WithCancel(i.twice)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	done := make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		for _, end := range []context.CancelFunc{first, second} {
			select {
			case <-signals:
				end()
			case <-done:
				return
			}
		}
	})
	i.close = func() { signal.Stop(signals); close(done); group.Wait(); first(); second() }
	return i
}

// areMissing says that the flags of a list are missing.
func areMissing(list []string) string {
	slices.Sort(list)
	if len(list) == 1 {
		return list[0] + " is missing"
	}
	return fmt.Sprintf("%s and %s are missing", strings.Join(list[:len(list)-1], ", "), list[len(list)-1])
}
