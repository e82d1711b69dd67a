package worker

import (
	"context"
	"log/slog"
	"sync"

	"ivdmover/mover/disk"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// bearing is what bears on the transports: what a login says is as of now and for
// this mover, what came with the work is as of its planning.
func bearing(l job.Login, planned *job.Allows) *job.Allows {
	if l.Allows != nil {
		return l.Allows
	}
	return planned
}

// maxTold bounds what is remembered as told; then all is told once more.
const maxTold = 1000

// told remembers which refusals the log has at INFO: what holds for a datastore
// would be said for each of its jobs otherwise. The zero told has said nothing.
type told struct {
	mu   sync.Mutex
	said map[refused]bool
}

type refused struct {
	datastore ivd.DatastoreID
	job.Refusal
}

func (t *told) level(ds ivd.DatastoreID, r job.Refusal) slog.Level {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := refused{ds, r}
	if t.said[key] {
		return slog.LevelDebug
	}
	if t.said == nil || len(t.said) >= maxTold {
		t.said = map[refused]bool{}
	}
	t.said[key] = true
	return slog.LevelInfo
}

func (t *attempt) tellRefused(ctx context.Context, d *disk.Disk) {
	ds := t.job.Disk.Ref.Datastore()
	for _, r := range d.Refused() {
		t.log.Log(ctx, t.w.told.level(ds, r), "a transport that would be better does not serve",
			"datastore", ds, "transport", r.Transport, "why", r.Reason, "instead", d.Transport())
	}
}
