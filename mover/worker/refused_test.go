package worker

import (
	"bytes"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"ivdmover/mover/disk"
	"ivdmover/mover/disk/disktest"
	"ivdmover/mover/pipeline"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// A mover that came after the run was planned is none of the proxies that its jobs
// name; the login says that it is one now. What a login says counts the other way as
// well, and where it says nothing the job's does.
func TestALoginSaysWhatAJobCouldNotKnow(t *testing.T) {
	w := newWard(t, 1)
	w.host(disk.Options{Transports: []string{"hotadd", "nbdssl"}, Machine: w.proxy(1)})
	w.start("late", 1, pipeline.Limits{})
	none, this := &job.Allows{Placement: true}, &job.Allows{Placement: true, ProxyVMs: []string{disktest.Proxy}}
	for i, c := range []struct {
		planned, now *job.Allows
		by           string
	}{{none, this, "hotadd"}, {this, none, "nbdssl"}, {none, nil, "nbdssl"}, {this, nil, "hotadd"}} {
		w.bench.logins(func(job.LoginRequest) job.Login {
			l := w.login
			l.Allows = c.now
			return l
		})
		j := w.backup(0, ivd.JobID(fmt.Sprintf("j%04d", i)))
		j.Allows = c.planned
		w.publish(j)
		rec := w.wait(j, state(job.Done))
		if !slices.Equal(rec.Transports, []string{c.by}) || (c.by == "nbdssl") != (len(rec.Refused) == 1) {
			t.Errorf("%d: by %v, want %s; refused %+v", i, rec.Transports, c.by, rec.Refused)
		}
		reply, err := w.queue.Ask(t.Context(), "late", job.Request{
			Version: job.Version, Op: job.Inspect, Run: j.Run, Disk: j.Disk, Snapshot: j.Backup.Snapshot, Allows: c.planned,
		})
		if err != nil || reply.Failure != nil || reply.Transport != c.by {
			t.Errorf("%d: inspected by %s, want %s: %v, %+v", i, reply.Transport, c.by, err, reply.Failure)
		}
	}
}

// lines keeps what is logged.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) count(parts ...string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.text.String()) {
		if !slices.ContainsFunc(parts, func(s string) bool { return !strings.Contains(line, s) }) {
			n++
		}
	}
	return n
}

// What holds for a datastore is told once, and again when the reason is another.
func TestARefusalIsToldOnce(t *testing.T) {
	w, log := newWard(t, 1), new(lines)
	w.log = slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})
	w.host(disk.Options{Transports: []string{"hotadd", "nbdssl"}})
	m := w.start("m", 1, pipeline.Limits{})
	for i := range 4 {
		j := w.backup(0, ivd.JobID(fmt.Sprintf("j%04d", i)))
		w.publish(j)
		if rec := w.wait(j, state(job.Done)); len(rec.Refused) != 1 {
			t.Fatalf("record %+v", rec)
		}
	}
	const what = "would be better"
	if info, debug := log.count(what, "level=INFO", "transport=hotadd"), log.count(what, "level=DEBUG"); info != 1 || debug != 3 {
		t.Errorf("%d times at INFO, %d at DEBUG", info, debug)
	}
	for _, c := range []struct {
		ds   ivd.DatastoreID
		r    job.Refusal
		want slog.Level
	}{
		{"other", job.Refusal{Transport: "san", Reason: "a"}, slog.LevelInfo},
		{"other", job.Refusal{Transport: "san", Reason: "a"}, slog.LevelDebug},
		{"other", job.Refusal{Transport: "san", Reason: "b"}, slog.LevelInfo},
		{"another", job.Refusal{Transport: "san", Reason: "a"}, slog.LevelInfo},
	} {
		if got := m.told.level(c.ds, c.r); got != c.want {
			t.Errorf("%s, %+v: %s, want %s", c.ds, c.r, got, c.want)
		}
	}
	for i := range 3 * maxTold {
		m.told.level("ds", job.Refusal{Reason: fmt.Sprint(i)})
	}
	if len(m.told.said) > maxTold {
		t.Errorf("%d refusals are remembered", len(m.told.said))
	}
}
