package engine_test

import (
	"context"
	"crypto/ed25519"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ivdmover/coordinator/backup"
	"ivdmover/coordinator/catalogue"
	"ivdmover/coordinator/coordtest"
	"ivdmover/coordinator/engine"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/queue"
)

// mallory has a mover's credentials and is none: what she writes is of no use to her.
type mallory struct {
	b *coordtest.Bench
	q *queue.Queue
}

func newMallory(b *coordtest.Bench) mallory {
	b.Helper()
	q, err := queue.Connect(b.Context(), queue.Options{InProcess: asMover{b.Broker}, Mover: "mallory", Patience: time.Second})
	b.Must(err)
	b.Cleanup(q.Close)
	return mallory{b, q}
}

// asMover is the server to whoever comes by the socket.
type asMover struct{ queue.InProcess }

func (asMover) Token() string { return "" }

// change writes a job's record, over whatever is there.
func (m mallory) change(at job.Record, change func(*job.Record)) error {
	for {
		rec, rev, err := m.q.JobRecord(m.b.Context(), at.Run, at.Disk, at.ID)
		if err != nil {
			return err
		}
		change(&rec)
		if _, err = m.q.UpdateJobRecord(m.b.Context(), rec, rev); ivd.KindOf(err) != ivd.Conflict {
			return err
		}
	}
}

// A job that nobody did is marked as done, in the name of a mover that lives, of one
// that does not, and of none; or what a mover has sealed is exchanged. Nothing of it
// gets into a point: the job is done, and the point is the mover's.
func TestForgedRecords(t *testing.T) {
	t.Parallel()
	done := func(r *job.Record) {
		r.State, r.Batches, r.Next = job.Done, 1, 1
		r.Stats = ivd.Stats{DiskBytes: 8 << 20, ReadBytes: 8 << 20, ZeroBytes: 8 << 20}
	}
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	for what, forge := range map[string]func(*job.Record){
		"nobody's word": done,
		"in the mover's name": func(r *job.Record) {
			done(r)
			_ = r.Sign("m1", r.Process, private)
		},
		"in a stranger's name": func(r *job.Record) {
			done(r)
			_ = r.Sign("mallory", "her own", private)
		},
		"a name that leads elsewhere": func(r *job.Record) {
			done(r)
			_ = r.Sign("*", "../>", private)
		},
		"a signature of nothing": func(r *job.Record) {
			done(r)
			r.Seal = &job.Seal{Mover: "m1", Process: r.Process}
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			b := coordtest.New(t)
			d := b.Disk("a", 8)
			c, _ := b.Serving("one")
			m := newMallory(b)
			p := b.Mover("m1")
			var forged atomic.Bool
			p.Set(func(p *coordtest.Puppet) {
				p.Work = func(ctx context.Context, rec job.Record) error {
					if forged.Swap(true) {
						return nil // another attempt
					}
					return m.change(rec, forge)
				}
			})
			v := b.Begin(c, backup.Request{Disks: []catalogue.Disk{{ID: d.Ref.ID()}}})
			v = b.Until(c, v.ID, func(v engine.View) bool { return v.State.Ended() })
			if v.State != engine.Done || len(v.Items) != 1 {
				t.Fatalf("the run is %s", v.State)
			}
			if it := v.Items[0]; it.Retries == 0 || !strings.Contains(it.Retried, "was not written by the mover") {
				t.Errorf("%d retries, because of %q", it.Retries, it.Retried)
			}
			points := b.Points(b.InLab(d.Ref).ID())
			if len(points) != 1 {
				t.Fatalf("points: %v", points)
			}
			point, _, err := b.Repo.ReadPoint(t.Context(), points[0])
			b.Must(err)
			if point.Stats.StoredBytes != 1 || len(point.Pages) != 1 {
				t.Errorf("the point is of what was forged: %+v", point.Stats)
			}
		})
	}
}
