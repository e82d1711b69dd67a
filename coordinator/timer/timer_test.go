package timer_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"ivdmover/coordinator/broker"
	"ivdmover/coordinator/schedule"
	"ivdmover/coordinator/timer"
	"ivdmover/shared/ivd"
	"ivdmover/shared/queue"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const name = "work"

// bench is a queue and a clock.
type bench struct {
	*testing.T
	server *broker.Server
	clock  atomic.Int64 // seconds
	said   strings.Builder
	logMu  sync.Mutex
}

func (b *bench) Write(p []byte) (int, error) {
	b.logMu.Lock()
	defer b.logMu.Unlock()
	return b.said.Write(p)
}

// says is how often the log says something.
func (b *bench) says(text string) int {
	b.logMu.Lock()
	defer b.logMu.Unlock()
	return strings.Count(b.said.String(), text)
}

func (b *bench) now() time.Time        { return time.Unix(b.clock.Load(), 0).UTC() }
func (b *bench) pass(by time.Duration) { b.clock.Add(int64(by / time.Second)) }

// newBench begins at 12:00; what is tested fires at 05:30.
func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{T: t}
	b.clock.Store(time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC).Unix())
	var err error
	if b.server, err = broker.Start(t.Context(), broker.Options{Dir: t.TempDir()}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.server.Close)
	return b
}

func (b *bench) connect() *queue.Queue {
	b.Helper()
	q, err := queue.Connect(b.Context(), queue.Options{InProcess: b.server, Name: "test", Patience: time.Second})
	if err == nil {
		b.Cleanup(q.Close)
		err = q.Setup(b.Context())
	}
	if err != nil {
		b.Fatal(err)
	}
	return q
}

// coordinator is one with a timer, which notes each work that it does.
type coordinator struct {
	*timer.Room
	b    *bench
	q    *queue.Queue
	done atomic.Int64
}

func (b *bench) coordinator(instance string, change ...func(*timer.Timer)) *coordinator {
	b.Helper()
	c := &coordinator{b: b, q: b.connect()}
	s, err := schedule.Parse("30 5 * * *", time.UTC)
	if err != nil {
		b.Fatal(err)
	}
	t := timer.Timer{Name: name, Schedule: s, Do: func(context.Context) error { c.done.Add(1); return nil }}
	for _, f := range change {
		f(&t)
	}
	c.Room = timer.New(timer.Deps{State: c.q.State(), Instance: instance, Now: b.now, Log: slog.New(slog.NewTextHandler(b, nil))}, t)
	return c
}

func (c *coordinator) look() time.Duration {
	c.b.Helper()
	wait, err := c.Look(c.b.Context(), name)
	if err != nil {
		c.b.Fatal(err)
	}
	return wait
}

func (c *coordinator) want(done int64, when string) {
	c.b.Helper()
	if n := c.done.Load(); n != done {
		c.b.Fatalf("%s: the work was done %d times, want %d", when, n, done)
	}
}

// Of any number of coordinators one does the work of each firing.
func TestOncePerFiring(t *testing.T) {
	b := newBench(t)
	all := []*coordinator{b.coordinator("a"), b.coordinator("b"), b.coordinator("c")}
	together := func() {
		var looks sync.WaitGroup
		for _, c := range all {
			looks.Go(func() {
				if _, err := c.Look(t.Context(), name); err != nil {
					t.Error(err)
				}
			})
		}
		looks.Wait()
	}
	together()
	for day := range int64(20) {
		b.pass(24 * time.Hour)
		together()
		together()
		n := int64(0)
		for _, c := range all {
			n += c.done.Load()
		}
		if n != day+1 {
			t.Fatalf("after %d firings the work was done %d times", day+1, n)
		}
	}
}

// What falls due while nobody is there is done once; what fell due before there was a timer
// is not.
func TestMissed(t *testing.T) {
	b := newBench(t)
	first := b.coordinator("a")
	if wait := first.look(); wait != time.Minute {
		t.Errorf("it looks again in %s", wait)
	}
	first.look()
	first.want(0, "when it is new")
	b.pass(17*time.Hour + 29*time.Minute + 30*time.Second)
	if wait := first.look(); wait != 30*time.Second {
		t.Errorf("30 s before it is due it looks again in %s", wait)
	}
	first.want(0, "before it is due")
	b.pass(3 * 24 * time.Hour)
	back := b.coordinator("a")
	back.look()
	back.look()
	back.want(1, "after three days")
	s, err := back.Status(t.Context(), name)
	if err != nil || !s.Due.Equal(time.Date(2026, 12, 4, 5, 30, 0, 0, time.UTC)) || !s.Next.Equal(time.Date(2026, 12, 5, 5, 30, 0, 0, time.UTC)) || s.UnderWay() || s.Failure != nil {
		t.Errorf("%+v, %v", s, err)
	}
}

// hangs makes work that goes on until it is stopped, and says why it was.
func hangs(begun chan<- struct{}, stopped chan<- error) func(*timer.Timer) {
	return func(t *timer.Timer) {
		t.Do = func(ctx context.Context) error {
			begun <- struct{}{}
			<-ctx.Done()
			stopped <- context.Cause(ctx)
			return context.Cause(ctx)
		}
	}
}

// The work of a coordinator that is gone is done by another one, when that has seen it
// silent for long enough; by its own next start at once.
func TestOwnerDies(t *testing.T) {
	for _, next := range []string{"another", "its own"} {
		t.Run(next, func(t *testing.T) {
			b := newBench(t)
			begun, stopped := make(chan struct{}, 1), make(chan error, 1)
			dead := b.coordinator("a", hangs(begun, stopped))
			dead.look()
			b.pass(24 * time.Hour)
			ctx, cancel := context.WithCancel(t.Context())
			var looks sync.WaitGroup
			looks.Go(func() { _, _ = dead.Look(ctx, name) })
			<-begun
			dead.q.Close() // nobody hears of it any more
			if next == "its own" {
				again := b.coordinator("a")
				again.look()
				again.want(1, "at its next start")
			} else {
				other := b.coordinator("b")
				other.look()
				b.pass(timer.SilentOwner - time.Second)
				other.look()
				other.want(0, "before it is silent for long enough")
				b.pass(time.Second)
				other.look()
				other.want(1, "after that")
				other.look()
				other.want(1, "then")
			}
			cancel()
			<-stopped
			looks.Wait()
		})
	}
}

// A coordinator that ends in order lets go of its work, and one that was silent stops where
// another one has begun.
func TestOwnerLetsGo(t *testing.T) {
	b := newBench(t)
	begun, stopped := make(chan struct{}, 1), make(chan error, 1)
	first := b.coordinator("a", hangs(begun, stopped))
	first.Beat(time.Millisecond)
	first.look()
	b.pass(24 * time.Hour)
	ctx, cancel := context.WithCancel(t.Context())
	var looks sync.WaitGroup
	looks.Go(func() { _, _ = first.Look(ctx, name) })
	<-begun
	cancel()
	<-stopped
	looks.Wait()
	second := b.coordinator("b", hangs(begun, stopped))
	second.Beat(time.Millisecond)
	looks.Go(func() { _, _ = second.Look(t.Context(), name) })
	<-begun
	// The queue loses the record: it is made again, and the work goes on.
	state := b.connect().State()
	if err := state.DeletePrefix(t.Context(), "timer"); err != nil {
		t.Fatal(err)
	}
	for {
		if _, _, err := queue.Get[timer.Record](t.Context(), state, "timer."+name); err == nil {
			break
		} else if ivd.KindOf(err) != ivd.NotFound {
			t.Fatal(err)
		}
	}
	if _, err := state.Put(t.Context(), "timer."+name, timer.Record{Version: 1, Due: b.now(), Owner: "c", Began: b.now()}); err != nil {
		t.Fatal(err)
	}
	if err := <-stopped; !strings.Contains(err.Error(), "another coordinator") {
		t.Errorf("it was stopped since %v", err)
	}
	looks.Wait()
	if s, err := second.Status(t.Context(), name); err != nil || s.Owner != "c" || !s.UnderWay() {
		t.Errorf("%+v, %v", s, err)
	}
}

// Who cannot do the work claims nothing, and says so once.
func TestNotAble(t *testing.T) {
	b := newBench(t)
	var why error = &ivd.Error{Kind: ivd.Denied, Err: errors.New("no right to delete"), Remedy: "give it"}
	asked := 0
	weak := b.coordinator("a", func(t *timer.Timer) {
		t.Able = func(context.Context) error { asked++; return why }
	})
	strong := b.coordinator("b")
	weak.look()
	b.pass(24 * time.Hour)
	for range 3 {
		weak.look()
	}
	weak.want(0, "without the right")
	if n := b.says("leaves what has a schedule to others"); n != 1 || asked != 1 {
		t.Errorf("asked %d times, it says %d times that it is not able", asked, n)
	}
	if s, err := weak.Status(t.Context(), name); err != nil || !errors.Is(s.Why, why) || s.UnderWay() {
		t.Errorf("%+v, %v", s, err)
	}
	strong.look()
	strong.want(1, "another one")
	b.pass(24 * time.Hour)
	weak.look()
	why = nil
	b.pass(timer.AbleEvery)
	weak.look()
	weak.want(1, "with the right")
	if n := b.says("leaves what has a schedule to others"); n != 1 {
		t.Errorf("it said %d times that it is not able", n)
	}
}

// What may heal is tried again before the next firing, by whomever; what does not, is not.
func TestFailures(t *testing.T) {
	for _, kind := range []ivd.Kind{ivd.Transient, ivd.Unmet} {
		b := newBench(t)
		failing := b.coordinator("a", func(t *timer.Timer) {
			t.Do = func(context.Context) error { return ivd.Errorf(kind, "it does not work") }
		})
		other := b.coordinator("b")
		failing.look()
		b.pass(24 * time.Hour)
		failing.look()
		if s, err := other.Status(t.Context(), name); err != nil || s.Failure == nil || s.Failure.Message != "it does not work" || s.UnderWay() {
			t.Errorf("%+v, %v", s, err)
		}
		if b.says("the work of a timer failed") != 1 {
			t.Error("the log does not say that it failed")
		}
		other.look()
		other.want(0, "at once")
		b.pass(timer.RetryEvery)
		other.look()
		want := int64(0)
		if kind.Retry() {
			want = 1
		}
		other.want(want, fmt.Sprintf("a failure of kind %s, later", kind))
		b.pass(24 * time.Hour)
		other.look()
		other.want(want+1, "the next day")
	}
}

// A clock that was a year ahead does not stop the timer for a year, and the record of a
// newer program is not touched.
func TestOddRecords(t *testing.T) {
	b := newBench(t)
	c := b.coordinator("a")
	put := func(r timer.Record) {
		t.Helper()
		if _, err := c.q.State().Put(t.Context(), "timer."+name, r); err != nil {
			t.Fatal(err)
		}
	}
	put(timer.Record{Version: 1, Due: b.now().AddDate(1, 0, 0), Ended: b.now()})
	c.look()
	c.look()
	c.want(1, "after a claim in a year's time")
	b.pass(24 * time.Hour)
	newer := timer.Record{Version: 2, Ended: b.now()}
	put(newer)
	if _, err := c.Look(t.Context(), name); ivd.KindOf(err) != ivd.Unsupported {
		t.Errorf("a newer record: %v", err)
	}
	c.want(1, "beside a newer record")
}

// Serve looks until it is stopped.
func TestServe(t *testing.T) {
	b := newBench(t)
	b.coordinator("a").look()
	b.pass(24 * time.Hour)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c := b.coordinator("b", func(t *timer.Timer) {
		t.Delay = time.Hour
		t.Do = func(context.Context) error { cancel(); return nil }
	})
	c.Serve(ctx) // ends, since the work was done
	if s, err := c.Status(t.Context(), name); err != nil || s.UnderWay() || s.Owner != "b" || !s.Next.Equal(time.Date(2026, 12, 3, 6, 30, 0, 0, time.UTC)) {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := c.Status(t.Context(), "other"); ivd.KindOf(err) != ivd.NotFound {
		t.Error(err)
	}
}
