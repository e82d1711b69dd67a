package backup_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"ivdmover/coordinator/backup"
	"ivdmover/coordinator/coordtest"
	"ivdmover/coordinator/engine"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// A disk that fails for good does not fail the others.
func TestOneDiskFailsAndTheOthersAreDone(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	bad := b.Disk("bad", 8)
	good := b.Disk("good", 8)
	m := b.Mover("m1")
	m.Set(func(p *coordtest.Puppet) {
		p.Work = func(_ context.Context, rec job.Record) error {
			if rec.Disk == bad.Ref.ID() {
				return ivd.Errorf(ivd.Corrupt, "the disk is damaged")
			}
			return nil
		}
	})
	s, _ := b.Serving("one")
	v := b.Until(s, b.Begin(s, backup.Request{All: true}).ID, coordtest.Ended)
	if v.State != engine.Partial || b.Item(v, "bad").Result != engine.Failed || b.Item(v, "good").Result != engine.Done {
		t.Errorf("%s: %+v", v.State, v.Items)
	}
	if f := b.Item(v, "bad").Failure; f == nil || f.Kind != ivd.Permanent {
		t.Errorf("failure %+v", f)
	}
	if m.Times(job.EndAccess) != 2 {
		t.Errorf("access was ended %d times", m.Times(job.EndAccess))
	}
	if len(b.Points(bad.Ref.ID())) != 0 || len(b.Points(good.Ref.ID())) != 1 {
		t.Error("points of the wrong disks")
	}
	b.NothingLeft(bad)
	b.NothingLeft(good)
}

// What may pass is tried again, by the same or another mover.
func TestTransientFailureOfAJobIsTriedAgain(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	d := b.Disk("a", 8)
	m := b.Mover("m1")
	m.Set(func(p *coordtest.Puppet) {
		p.Work = func(_ context.Context, rec job.Record) error {
			if rec.Attempt < 3 {
				return ivd.Errorf(ivd.Transient, "the host is away")
			}
			return nil
		}
	})
	s, _ := b.Serving("one")
	v := b.Until(s, b.Begin(s, backup.Request{All: true}).ID, coordtest.Ended)
	if v.State != engine.Done || len(m.Began()) != 3 {
		t.Errorf("%s after %d attempts", v.State, len(m.Began()))
	}
	if d := v.Items[0]; d.Retries != 2 || d.Retried != "the host is away" {
		t.Errorf("the record tells of %d retries after %q", d.Retries, d.Retried)
	}
	b.NothingLeft(d)
}

// Where no mover's library can prepare access, disks are backed up without, and there
// is none to end when they have ended.
func TestAccessThatNoMoverCanPrepare(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	d := b.Disk("a", 8)
	m := b.Mover("m1")
	m.Set(func(p *coordtest.Puppet) {
		p.Answer = func(r job.Request) error {
			if r.Op == job.Inspect {
				return nil
			}
			return ivd.Errorf(ivd.Unsupported, "no such function")
		}
	})
	s, _ := b.Serving("one")
	v := b.Until(s, b.Begin(s, backup.Request{All: true}).ID, coordtest.Ended)
	if v.State != engine.Done {
		t.Errorf("%s: %+v", v.State, v.Items[0].Failure)
	}
	if got, want := m.Questions(), []job.Op{job.PrepareAccess, job.EndAccess, job.Inspect}; !slices.Equal(got, want) {
		t.Errorf("asked were %v, want %v", got, want)
	}
	b.NothingLeft(d)
}

// Access that could be prepared for some of a disk's VMs only is ended before it is
// tried again, and once more when the disk has ended, whichever way.
func TestAccessThatFailsIsEndedAtOnce(t *testing.T) {
	t.Parallel()
	for kind, want := range map[ivd.Kind][]job.Op{
		ivd.Transient: {job.PrepareAccess, job.EndAccess, job.PrepareAccess, job.Inspect, job.EndAccess},
		ivd.Denied:    {job.PrepareAccess, job.EndAccess, job.EndAccess},
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			b := coordtest.New(t)
			d := b.Disk("a", 8)
			m := b.Mover("m1")
			var failed atomic.Bool
			m.Set(func(p *coordtest.Puppet) {
				p.Answer = func(r job.Request) error {
					if r.Op == job.PrepareAccess && !failed.Swap(true) {
						return ivd.Errorf(kind, "the second VM is away")
					}
					return nil
				}
			})
			s, _ := b.Serving("one")
			v := b.Until(s, b.Begin(s, backup.Request{All: true}).ID, coordtest.Ended)
			if (v.State == engine.Done) != kind.Retry() {
				t.Errorf("%s: %+v", v.State, v.Items[0].Failure)
			}
			if got := m.Questions(); !slices.Equal(got, want) {
				t.Errorf("asked were %v, want %v", got, want)
			}
			b.NothingLeft(d)
		})
	}
}

// A vCenter that is away for a moment at any step costs time only.
func TestVCenterAwayForAMoment(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"VStorageObjectCreateSnapshot_Task", "RetrieveSnapshotDetails", "DeleteSnapshot_Task"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			b := coordtest.New(t)
			d := b.Disk("a", 8)
			b.Mover("m1")
			var calls atomic.Int64
			b.Wire.Intercept(func(m, _ string) error {
				if m == method && calls.Add(1) == 1 {
					return errors.New("away")
				}
				return nil
			})
			s, _ := b.Serving("one")
			v := b.Until(s, b.Begin(s, backup.Request{All: true}).ID, coordtest.Ended)
			if v.State != engine.Done || calls.Load() < 2 {
				t.Errorf("%s after %d calls: %+v", v.State, calls.Load(), v.Items[0].Failure)
			}
			if told := v.Items[0].Retries > 0 && strings.Contains(v.Items[0].Retried, "503"); told != (method == "VStorageObjectCreateSnapshot_Task") {
				t.Errorf("the record tells of %d retries after %q", v.Items[0].Retries, v.Items[0].Retried)
			}
			b.NothingLeft(d)
		})
	}
}
