package worker

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"

	"ivdmover/mover/disk"
	"ivdmover/mover/pipeline"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// devices are those that an earlier process left.
type devices struct {
	mu       sync.Mutex
	left     []disk.Attachment
	released []string // by whose login
	given    []disk.Attachment
	stays    bool // what is released is not gone
}

func (d *devices) Left() []disk.Attachment {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.left)
}

func (d *devices) Release(_ context.Context, a disk.Attachment, l job.Login) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.released = append(d.released, l.Password.Reveal())
	if !d.stays {
		d.left = slices.DeleteFunc(d.left, func(o disk.Attachment) bool { return o == a })
	}
	return true
}

func (d *devices) GiveUp(a disk.Attachment) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.given = append(d.given, a)
	d.left = slices.DeleteFunc(d.left, func(o disk.Attachment) bool { return o == a })
}

// A mover releases what its predecessor left although it has no job, with the login
// for that very disk; where there is none any more it is not asked for again. What
// stays attached at its end it says.
func TestWhatWasLeftAttachedIsReleasedAtTheStart(t *testing.T) {
	attachment := func(n int) disk.Attachment {
		return disk.Attachment{Run: "run-1", Disk: job.IVD(ivd.NewDiskRef("lab", "datastore-1", id(n)))}
	}
	for _, stays := range []bool{false, true} {
		b, log := newBench(t), new(lines)
		b.log = slog.NewTextHandler(log, nil)
		b.refuse = map[ivd.DiskID]error{id(1): ivd.Errorf(ivd.Denied, "run run-1 is over")}
		d := &devices{left: []disk.Attachment{attachment(1), attachment(2)}, stays: stays}
		b.devices = d
		m := b.start("mover-1", 1, pipeline.Limits{})
		eventually(t, "both are looked at", func() bool {
			d.mu.Lock()
			defer d.mu.Unlock()
			return len(d.released) == 1 && len(d.given) == 1
		})
		b.end(m)
		if !slices.Equal(d.released, []string{"of " + string(id(2))}) || !slices.Equal(d.given, []disk.Attachment{attachment(1)}) {
			t.Errorf("released by %v, given up %+v", d.released, d.given)
		}
		said := log.count("level=WARN", "the next start of this mover releases it", string(id(2)))
		if (said == 1) != stays || log.count("level=WARN", "nobody waits for it", string(id(1))) != 1 {
			t.Errorf("stays %t: said %d times", stays, said)
		}
	}
}
