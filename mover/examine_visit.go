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
	// patience is how long a queue that is away is waited for: somebody sits and waits.
	patience = 5 * time.Second
	// farewell is how long the deletion of the snapshot is waited for. It goes on in
	// any case.
	farewell = time.Minute
)

// noCoordinator is what to do where none can be asked.
const noCoordinator = "start `ivd serve` on this queue, or say it all without a coordinator: --server, --user, --password-file, --thumbprint and --datastore"

// visit is an examination that a coordinator has prepared. While it lasts a
// heartbeat says that somebody reads the snapshot.
type visit struct {
	queue *queue.Queue
	ask   job.ExamineRequest
	found job.Examination
	stop  func() // the heartbeat
}

// visiting asks the coordinators for the disk. Whoever gets a visit leaves it.
func visiting(ctx context.Context, c *config.Config, p *patient) (*visit, error) {
	if err := c.ValidateQueue(); err != nil {
		return nil, usageError{&ivd.Error{Err: err, Remedy: noCoordinator}}
	}
	key, err := sealed.NewKey()
	if err != nil {
		return nil, err
	}
	process := uuid.NewString()
	name := c.Mover.Name[:min(len(c.Mover.Name), 100)] + "-doctor-" + process[:8]
	host, err := os.Hostname()
	if err != nil {
		host = c.Mover.Name
	}
	q, err := queue.Connect(ctx, queue.Options{
		URL: c.Queue.URL, CredsFile: c.Queue.CredsFile, CAFile: c.Queue.CAFile,
		Name: "ivd-mover doctor " + c.Mover.Name, Patience: patience,
	})
	if err != nil {
		return nil, away(err)
	}
	v := &visit{queue: q, ask: job.ExamineRequest{
		Version: job.Version, Doctor: name, Process: process, Disk: p.disk, Snapshot: ivd.SnapshotID(p.snapshot),
	}}
	machine := disk.ThisMachine(c.Mover.BIOSUUID, c.Mover.LUNs)
	if err := v.live(ctx, job.Mover{
		Version: job.Version, Name: name, Process: process, Host: host, Started: time.Now(), Doctor: true, Draining: true,
		PublicKey: key.Public(), BIOSUUID: machine.BIOSUUID, LUNs: machine.LUNs, Modes: c.Mover.VDDK.Transports,
	}); err != nil {
		q.Close()
		return nil, away(err)
	}
	if v.found, err = q.BeginExamination(ctx, v.ask, key); err != nil {
		v.leave()
		if errors.Is(err, queue.ErrNobody) {
			err = away(err)
		}
		return nil, err
	}
	v.ask.Disk = string(v.found.Disk.ID())
	return v, nil
}

// away says what to do where the queue is not there, or nobody on it. Where it is
// there and does not let us in, the error knows better.
func away(err error) error {
	if k := ivd.KindOf(err); k == ivd.Transient || k == ivd.NotFound {
		return &ivd.Error{Kind: k, Op: "look for a coordinator", Err: err, Remedy: noCoordinator}
	}
	return err
}

// live sends the first heartbeat, and others until the visit is left.
func (v *visit) live(ctx context.Context, m job.Mover) error {
	m.Beat = 1
	if err := v.queue.Beat(ctx, m); err != nil {
		return err
	}
	beating, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() {
		for pause.For(beating, doctorBeat) == nil {
			m.Beat++
			_ = v.queue.Beat(beating, m) // the next one is soon
		}
	})
	v.stop = func() { cancel(); group.Wait() }
	return nil
}

// leave withdraws the heartbeat: what is not deleted by then, the coordinators
// delete without being asked.
func (v *visit) leave() {
	v.stop()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	_ = v.queue.Leave(ctx, v.ask.Doctor) // it expires by itself
	v.queue.Close()
}

func (v *visit) order(measure int64) order {
	x := v.found
	f := &doctor.Facts{
		Coordinator: x.Coordinator, VCenter: x.VCenter, Name: x.Name, Datastore: x.Datastore,
		Capacity: x.Capacity, AttachedTo: x.AttachedTo, SnapshotMade: x.Made,
	}
	if a := x.Login.Allows; a != nil {
		f.DatastoreType, f.Encrypted, f.Thin, f.ProxyVMs, f.LUNs = a.DatastoreType, a.Encrypted, a.Thin, a.ProxyVMs, a.LUNs
	}
	return order{Disk: x.Disk, Snapshot: x.Snapshot, Login: openly(x.Login), Capacity: x.Capacity, Measure: measure, Facts: f}
}

// end has the snapshot deleted, and tells in the report whether it is.
func (v *visit) end(ctx context.Context, r *doctor.Report) {
	if !v.found.Made {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, farewell)
	defer cancel()
	c := doctor.Check{Name: "deleting its snapshot", Detail: string(v.found.Snapshot)}
	err := v.queue.EndExamination(ctx, v.ask)
	if c.Good = err == nil; err != nil {
		c.Detail = strings.ReplaceAll(err.Error(), "\n", "; ")
		c.Remedy = "look at `ivd snapshots` in a while: the coordinator goes on deleting it"
	}
	r.Checks = append(r.Checks, c)
}

// interrupted are contexts that end at the first and at the second signal.
type interrupted struct {
	once, twice context.Context
	close       func()
}

func interrupts(ctx context.Context) *interrupted {
	i := &interrupted{}
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

// are is a list of what is missing, in order.
func are(list []string) string {
	slices.Sort(list)
	if len(list) == 1 {
		return list[0] + " is"
	}
	return fmt.Sprintf("%s and %s are", strings.Join(list[:len(list)-1], ", "), list[len(list)-1])
}
