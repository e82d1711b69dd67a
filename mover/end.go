package main

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/google/uuid"

	"ivdmover/shared/job"
	"ivdmover/shared/queue"
)

// endTimeout is how long a process that ends with an error tries to say so.
const endTimeout = 5 * time.Second

// tellEnd sends a last heartbeat with the error that a process ends with: where it runs on
// another host than the coordinator, nothing else says that there. What the queue cannot
// be told the log has. Where there is no queue none is asked again: credentials that it
// refuses are sent once.
func tellEnd(f flags, why error) {
	if errors.As(why, new(noQueue)) {
		return
	}
	c, log, err := f.load()
	if err != nil {
		return
	}
	ctx, stop := context.WithTimeout(context.Background(), endTimeout)
	defer stop()
	q, err := queue.Connect(ctx, queue.Options{
		URL: c.Queue.URL, CredsFile: c.Queue.CredsFile, CAFile: c.Queue.CAFile, Mover: c.Mover.Name, Patience: endTimeout, Log: log,
	})
	if err == nil {
		defer q.Close()
		host, _ := os.Hostname() // without one it is named by its name alone
		err = q.Beat(ctx, job.Mover{Version: job.Version, Name: c.Mover.Name, Process: uuid.NewString(), Host: host, Started: time.Now(), Ended: oneLine(why)})
	}
	if err != nil {
		log.Debug("telling the coordinator why the mover has ended failed", "err", err)
	}
}
