package supervise

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"time"

	"ivdmover/shared/pause"
)

// Tests change them:
var (
	// listenEvery is how often the signs of life are counted. What is counted are our own
	// looks without one: a machine that stood still has not listened either.
	listenEvery = time.Second
	// unburied is how many looks a child that was killed may take to die.
	unburied = 30
)

// family are the children there are. All of it is used by one goroutine.
type family struct {
	o       Options
	events  chan event
	over    chan struct{} // closed when nobody reads events any more
	backoff pause.Backoff
	deaths  int
	wait    <-chan time.Time // before the next child; nil: none is due
	late    <-chan time.Time // when those that were asked to end are killed; nil: never

	current  *child
	leaving  *child   // relieved, and not ended yet
	undead   []*child // killed, and not dead
	stopping bool     // the end was asked for
	result   error
}

// event is a child's end, or what it said.
type event struct {
	c     *child
	ended bool
	err   error // of its end
	said  string
}

func newFamily(o Options) *family {
	return &family{
		o: o, events: make(chan event), over: make(chan struct{}),
		backoff: pause.Backoff{First: o.FirstWait, Cap: o.LastWait},
	}
}

// leave lets go of whoever is still there: their pipes end.
func (f *family) leave() {
	close(f.over)
	for _, c := range append(f.living(), f.undead...) {
		_ = c.tie.Close()
	}
}

func (f *family) living() (list []*child) {
	for _, c := range []*child{f.current, f.leaving} {
		if c != nil {
			list = append(list, c)
		}
	}
	return list
}

// lost is how many slots are held by children that do no work for us any more.
func (f *family) lost() (n int) {
	for _, c := range f.undead {
		n += c.slots
	}
	if f.leaving != nil {
		n += f.leaving.slots
	}
	return n
}

// next starts the current child, beside another where that is not gone yet. It reports
// whether Run is over.
func (f *family) next() (over bool) {
	f.wait = nil
	args, beside := f.o.Args, f.leaving != nil
	if beside {
		args = f.o.Beside
	}
	c, err := f.start(args)
	if err != nil {
		return f.ended(fmt.Errorf("start %s: %w", f.o.Path, err), 0)
	}
	c.beside = beside
	f.current = c
	return false
}

// ended decides what comes after the current child.
func (f *family) ended(err error, lived time.Duration) (over bool) {
	if final, err := finality(err); final && (!f.o.Always || f.o.Final && errors.Is(err, ErrFinal)) {
		f.result = err
		return f.ask(os.Interrupt, false)
	}
	if lived >= f.o.Healthy {
		f.deaths = 0
		if exitStatus(err) == ExitReplace {
			f.o.Log.Warn("child process replaced at its own request", "lived", lived.Round(time.Millisecond))
			return f.next()
		}
	}
	if err == nil {
		err = errors.New("exit status 0")
	}
	if f.o.Ended != nil {
		f.o.Ended(err)
	}
	f.deaths++
	wait := f.backoff.After(f.deaths)
	f.o.Log.Warn("child process ended and is replaced", "err", err, "lived", lived.Round(time.Millisecond), "in", wait)
	f.wait = time.After(wait)
	return false
}

// take deals with an event.
func (f *family) take(e event) (over bool) {
	if !e.ended {
		f.hear(e.c, e.said)
		return false
	}
	c := e.c
	_ = c.tie.Close()
	if i := slices.Index(f.undead, c); i >= 0 {
		f.undead = slices.Delete(f.undead, i, i+1)
		f.o.Log.Warn("child process that did not die is dead: its slots are free again with the next child", "pid", c.pid(), "slots", c.slots)
		return false
	}
	current := c == f.current
	if current {
		f.current = nil
	} else {
		f.leaving = nil
	}
	switch {
	case f.stopping:
		f.keep(c, e.err)
		return len(f.living()) == 0
	case !current:
		f.o.Log.Info("child process that was relieved has ended", "pid", c.pid(), "err", e.err)
		f.retire()
		return false
	case c.retired:
		f.o.Log.Info("child process that ran beside another has ended", "pid", c.pid(), "err", e.err)
		return f.next()
	}
	return f.ended(e.err, time.Since(c.started))
}

// keep keeps the first error of children that were asked to end.
func (f *family) keep(c *child, err error) {
	switch {
	case err == nil || endedBySignal(err): // or it did not listen for signals yet
		return
	case c.killed:
		err = ErrForced
	}
	if f.result == nil {
		f.result = err
	}
}

// hear takes what a child says.
func (f *family) hear(c *child, said string) {
	c.silent = 0
	var slots int
	switch n, err := fmt.Sscanf(said, "alive %d", &slots); {
	case n == 1 && err == nil:
		c.slots = slots
	case said == "relieve" && c == f.current && f.leaving == nil && f.o.Beside != nil && !f.stopping && !c.beside:
		f.relieve()
	case said == "relieve" && f.o.Beside == nil:
		f.o.Log.Warn("child process hangs in a call, and no other may run beside it: what it has not begun waits until it has ended, or goes elsewhere", "pid", c.pid(), "slots", c.slots)
	}
}

// relieve starts a child beside the current one, which finishes what it has.
func (f *family) relieve() {
	first := f.current
	f.leaving = first // its slots are not the second's
	second, err := f.start(f.o.Beside)
	if err != nil {
		f.leaving = nil
		f.o.Log.Warn("child process asks to be relieved, and no other could be started", "err", err)
		return
	}
	second.beside = true
	f.current = second
	f.o.Log.Warn("child process hangs in a call: another one takes over what it has not begun", "pid", first.pid(), "instead", second.pid(), "slots", first.slots)
}

// retire asks the child beside to end, when it is alone: one with Args takes its place.
func (f *family) retire() {
	if c := f.current; c != nil && c.beside && !c.retired {
		c.retired = true
		c.signal(os.Interrupt)
	}
}

// listen counts the looks without a sign of life, and kills who gives none.
func (f *family) listen() (over bool) {
	for _, c := range f.living() {
		switch {
		case c.killed:
			c.silent++
			if c.silent > unburied {
				over = f.bury(c) || over
			}
		case f.o.Silence > 0:
			if c.silent++; c.silent > int(f.o.Silence/listenEvery) {
				f.o.Log.Error("child process gives no sign of life, and is killed", "pid", c.pid(), "silence", f.o.Silence, "slots", c.slots)
				c.kill()
			}
		}
	}
	return over
}

// bury goes on without a child that does not die: it hangs in the kernel, and what it
// has opened stays open.
func (f *family) bury(c *child) (over bool) {
	f.o.Log.Error("child process does not die although it was killed: it hangs in the kernel, and keeps its disks; their slots are lost until it is gone",
		"pid", c.pid(), "slots", c.slots)
	f.undead = append(f.undead, c)
	if c == f.leaving {
		f.leaving = nil
		f.retire()
		return false
	}
	f.current = nil
	if f.stopping {
		f.result = ErrForced
		return len(f.living()) == 0
	}
	return f.next()
}

// ask passes a request to end on; the second one kills.
func (f *family) ask(s os.Signal, again bool) (over bool) {
	living := f.living()
	switch {
	case len(living) == 0:
		return true
	case f.stopping && again:
		return f.force()
	case f.stopping:
		return false // the context has ended after a signal
	}
	f.stopping = true
	for _, c := range living {
		c.signal(s)
	}
	if f.o.Grace > 0 {
		f.late = time.After(f.o.Grace)
	}
	return false
}

// force kills who was asked to end.
func (f *family) force() (over bool) {
	f.late = nil
	for _, c := range f.living() {
		c.kill()
	}
	return false
}

// finality reports whether another child would fare no better than one that ended
// by itself with err, and what Run then returns.
func finality(err error) (final bool, _ error) {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return true, nil
	case !errors.As(err, &exit):
		return true, err // it could not be started
	case exit.ExitCode() == ExitFinal:
		return true, ErrFinal
	}
	return false, nil
}
